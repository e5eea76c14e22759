"""Wan2.1's video VAE by diffusers: 16 channels at a quarter of the frames and an eighth of the resolution."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from mvt4g.models.codec import Codec
from mvt4g.models.pretrained import DTYPES, fill_frozen, read_pretrained
from mvt4g.ranges import Side
from mvt4g.types import InputError, LatentGrid

LATENT_MEAN = (-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
               0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921)  # fmt: skip
LATENT_STD = (2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
              3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160)  # fmt: skip
"""Of each channel of the posterior's mean, over Wan's videos; latents are (mean - LATENT_MEAN) / LATENT_STD."""
BASE_DIM = 96
"""Channels of the released VAE's first layer."""

_RUN_TIME_PREFIX = "model."  # DiffSynth's
_RENAMES = (
    (r"\.norm([12])\.", lambda m: f".residual.{3 * (int(m[1]) - 1)}."),
    (r"(s\.\d+)\.conv([12])\.", lambda m: f"{m[1]}.residual.{4 * int(m[2]) - 2}."),
    (r"\.conv_shortcut\.", ".shortcut."),
    (r"\.conv_in\.", ".conv1."),
    (r"\.norm_out\.", ".head.0."),
    (r"\.conv_out\.", ".head.2."),
    (r"^quant_conv\.", "conv1."),
    (r"^post_quant_conv\.", "conv2."),
    (r"\.mid_block\.resnets\.(\d+)\.", lambda m: f".middle.{2 * int(m[1])}."),
    (r"\.mid_block\.attentions\.0\.", ".middle.1."),
    (r"\.down_blocks\.", ".downsamples."),
    (r"\.up_blocks\.(\d+)\.resnets\.(\d+)\.", lambda m: f".upsamples.{4 * int(m[1]) + int(m[2])}."),
    (r"\.up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f".upsamples.{4 * int(m[1]) + 3}."),
)  # fmt: skip


class WanCodec(Codec):
    """Latents are the posterior's mean, normalised channel by channel; nothing is drawn and nothing is trained.

    The first frame is one latent frame, every further four are one: a clip has 4m + 1 frames. Videos are taken one at a
    time and four frames at a time, each with what its causal convolutions remember of the frames before it: beyond two
    copies of the video itself, memory does not grow with its length. The weights stay in their file: checkpoints of a
    fit leave them out.

    Args:
        weights: Local: ``Wan2.1_VAE.pth``, a ``.safetensors`` under either naming, or diffusers' folder ``vae/``.
        dtype: What weights and activations are kept in; latents and videos are fp32 all the same.
        tile: Height and width in pixels of the pieces that larger frames are cut into, for less memory; None = whole
            frames. Pieces overlap and are blended, which changes values a little.
        tile_stride: From one piece to the next; None = three quarters of the piece.

    Raises:
        InputError: If diffusers is not installed, the file is not this VAE's, or a tile is no multiple of 8.

    Source: Wan2.1 (arXiv 2503.20314) and its released code.
    """

    latent_mean: Tensor
    latent_std: Tensor
    vae: Any  # diffusers' methods have no types

    def __init__(
        self,
        weights: Path,
        dtype: Literal["float32", "bfloat16"] = "float32",
        tile: tuple[Side, Side] | None = None,
        tile_stride: tuple[Side, Side] | None = None,
    ) -> None:
        super().__init__()
        self.grid = LatentGrid(temporal_stride=4, spatial_stride=8, channels=16)
        found = _unprefixed(read_pretrained(Path(weights)))
        self.vae = fill_frozen(lambda: build_vae(_base_dim(found)), found, Path(weights), DTYPES[dtype], original_name)
        self._identity = f"WanCodec {_digest(self.vae)}"
        for name, values in (("latent_mean", LATENT_MEAN), ("latent_std", LATENT_STD)):
            column = rearrange(torch.tensor(values), "d -> d 1 1 1")
            self.register_buffer(name, column, persistent=False)
        if tile is None:
            tile_stride = None
        else:
            # Three quarters of a tile, cut to whole cells of the latents.
            tile_stride = tile_stride or (tile[0] * 3 // 4 // 8 * 8, tile[1] * 3 // 4 // 8 * 8)
            self._use_tiles(tile, tile_stride)
        self._settings = {"dtype": dtype, "tile": tile, "tile_stride": tile_stride}
        self.register_state_dict_post_hook(_leave_out)
        self.register_load_state_dict_post_hook(_expect_none)

    @property
    def identity(self) -> str:
        """What a cache of latents is told by: the weights as bf16, under whichever names and precision they came."""
        return self._identity

    @property
    def settings(self) -> dict[str, Any]:
        """Precision and tiles."""
        return self._settings

    @torch.no_grad()
    def encode(self, video: Float[Tensor, "*b t 3 h w"]) -> Float[Tensor, "*b d f lh lw"]:
        """Return the latents of a video in [0, 1], fp32.

        Raises:
            InputError: If the length is not 4m + 1, which the VAE itself would cut, or a side is no multiple of 8.
        """
        self.grid.latent_frames(video.shape[-4])
        stride = self.grid.spatial_stride
        if video.shape[-2] % stride or video.shape[-1] % stride:
            raise InputError(f"video size: got {tuple(video.shape[-2:])} (h, w), want multiples of {stride}")
        latents = [self._encode_one(one) for one in video.reshape(-1, *video.shape[-4:])]
        return torch.stack(latents).reshape(*video.shape[:-4], *latents[0].shape)

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "*b d f lh lw"]) -> Float[Tensor, "*b t 3 h w"]:
        """Return the video of latents, cut to [0, 1], fp32.

        Raises:
            InputError: If there are not 16 channels.
        """
        if latents.shape[-4] != self.grid.channels:
            raise InputError(f"latents: got {latents.shape[-4]} channels, want {self.grid.channels}")
        videos = [self._decode_one(one) for one in latents.reshape(-1, *latents.shape[-4:])]
        return torch.stack(videos).reshape(*latents.shape[:-4], *videos[0].shape)

    def _encode_one(self, video: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "d f lh lw"]:
        weight = next(self.vae.parameters())
        pixels = rearrange(2 * video.to(weight.device, torch.float32) - 1, "t c h w -> 1 c t h w")
        pixels = pixels.to(weight.dtype)
        with torch.autocast(weight.device.type, enabled=False):
            mean = self.vae.encode(pixels).latent_dist.mode()[0].float()
        return (mean - self.latent_mean) / self.latent_std

    def _decode_one(self, latents: Float[Tensor, "d f lh lw"]) -> Float[Tensor, "t 3 h w"]:
        weight = next(self.vae.parameters())
        mean = latents.to(weight.device, torch.float32) * self.latent_std + self.latent_mean
        with torch.autocast(weight.device.type, enabled=False):
            pixels = self.vae.decode(mean[None].to(weight.dtype), return_dict=False)[0]
        video = rearrange(pixels[0].float(), "c t h w -> t c h w")
        return (video + 1).div_(2).clamp_(0, 1)

    def _use_tiles(self, tile: tuple[int, int], stride: tuple[int, int]) -> None:
        cell = self.grid.spatial_stride
        for name, sizes in (("tile", tile), ("tile_stride", stride)):
            if any(size % cell or size < cell for size in sizes):
                raise InputError(f"{name}: got {sizes}, want multiples of {cell} pixels")
        if stride[0] > tile[0] or stride[1] > tile[1]:
            raise InputError(f"tile_stride: got {stride}, want at most the tile's {tile}")
        self.vae.enable_tiling(*tile, *stride)


def build_vae(base_dim: int = BASE_DIM) -> nn.Module:
    """Return diffusers' VAE with random weights.

    Raises:
        InputError: If diffusers is not installed.
    """
    try:
        from diffusers import AutoencoderKLWan
    except ImportError as error:
        raise InputError(f"codec: WanCodec needs diffusers ({error}), want `pip install mvt4g[wan]`") from error
    vae: Any = AutoencoderKLWan(base_dim=base_dim)
    assert isinstance(vae, nn.Module)
    return vae


def original_name(name: str) -> str:
    """Return what ``Wan2.1_VAE.pth`` calls a weight of diffusers' VAE."""
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _unprefixed(found: Mapping[str, Shaped[Tensor, "..."]]) -> dict[str, Shaped[Tensor, "..."]]:
    return {name.removeprefix(_RUN_TIME_PREFIX): value for name, value in found.items()}


def _base_dim(found: Mapping[str, Shaped[Tensor, "..."]]) -> int:
    """Read the width off the first layer; where there is none, the released one lets messages name what is missing."""
    first = found.get("encoder.conv1.weight", found.get("encoder.conv_in.weight"))
    return BASE_DIM if first is None else len(first)


def _digest(net: nn.Module) -> str:
    """Return 16 hexadecimal digits that change with any weight's bf16 value."""
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.to(torch.bfloat16).contiguous().view(torch.int16).numpy().data)
    return digest.hexdigest()[:16]


def _leave_out(
    module: nn.Module,
    state_dict: dict[str, Any],
    prefix: str,
    local_metadata: dict[str, Any],
) -> None:
    """Keep a checkpoint of a fit free of what is never trained."""
    for name in list(state_dict):
        if name.startswith(f"{prefix}vae."):
            del state_dict[name]


def _expect_none(module: nn.Module, incompatible_keys: Any) -> None:
    """Let such a checkpoint be loaded."""
    names = set(module.get_submodule("vae").state_dict())
    missing = incompatible_keys.missing_keys
    # In place: Lightning looks at this very list. A prefix before "vae." is where the codec lies in a system.
    missing[:] = [key for key in missing if f".{key}".rpartition(".vae.")[2] not in names]
