"""A video DiT that sees both views as one sequence, and the ways that cameras and other conditions enter it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from mvt4g.models.backbone import BackboneOutput, NovelViewBackbone
from mvt4g.models.block_taps import BlockTaps, KeptBlocks
from mvt4g.models.checkpoints import load_weights
from mvt4g.models.conditioning.interface import CameraConditioning
from mvt4g.models.conditioning.lifted_view import LiftedView
from mvt4g.models.conditioning.plucker import packed_channels, packed_rays
from mvt4g.models.layers.attention import QueryKey, ScoreMod
from mvt4g.models.layers.rope import axis_dims, rotary_angles
from mvt4g.models.shipped import check_made_with
from mvt4g.models.token_parallel import share_tokens
from mvt4g.models.video_dit import CONTROL, DiTBlock, VideoDiT, VideoDiTConfig
from mvt4g.ranges import Range, Width, check_number
from mvt4g.types import (
    REFERENCE,
    TARGET,
    AttentionTap,
    Cameras,
    Conditions,
    InputError,
    LatentGrid,
    TapRequest,
    TapShape,
)


class EncodedCameras(NamedTuple):
    """What a network is told of cameras: ``JointViews.encode_cameras`` makes it once for all steps of a sampling.

    Attributes:
        angles: Rotary angles of the tokens' positions, target frames first; radians.
        features: By the name of what takes them, in the same order.
        biases: By block, what is added to the logits of its attention beside what the block has learnt.
    """

    angles: Float[Tensor, "1 f h w 1 half_d"]
    features: dict[str, Float[Tensor, "b f _ _ _"]]
    biases: Mapping[int, Float[Tensor, "b k f h w cells"] | ScoreMod] = MappingProxyType({})


class JointViews(NovelViewBackbone):
    """A DiT that sees two views as one sequence, target frames first, then reference frames.

    ``null_text``, learned, stands in where there is no text.

    Args:
        dit: Sizes of the network.
        grid: How the latents lie over the video.
        conditioning: Ways for cameras and other conditions to enter, each of a name of its own.
        null_text_length: Tokens of the learned text that stands in for none.

    Raises:
        InputError: If sizes do not go together.
    """

    keeps_blocks = True

    def __init__(
        self,
        dit: VideoDiTConfig,
        grid: LatentGrid,
        conditioning: Sequence[CameraConditioning],
        null_text_length: Width,
    ) -> None:
        super().__init__()
        for axis, size in asdict(grid).items():
            check_number(f"grid.{axis}", size, Range(1, 2**16))
        if dit.patch_size[0] != 1 or dit.patch_size[1] != dit.patch_size[2]:
            raise InputError(f"patch_size: got {dit.patch_size}, want (1, p, p)")
        if not 1 <= null_text_length <= dit.text_len:
            raise InputError(f"null_text_length: got {null_text_length}, want 1 to text_len {dit.text_len}")
        self.more_channels = sum(way.num_channels(grid) for way in conditioning)
        self.lifted_view = next((way for way in conditioning if isinstance(way, LiftedView)), None)
        if dit.in_channels < grid.channels + self.more_channels:
            more = f" and {self.more_channels} more" if self.more_channels else ""
            want = f"at least the latents' {grid.channels}{more}"
            raise InputError(f"dit.in_channels: got {dit.in_channels}, want {want}")
        if dit.control_channels not in (None, packed_channels(grid)):
            want = (
                f"{packed_channels(grid)}, those of the packed rays (6 * temporal_stride * spatial_stride**2), or null"
            )
            raise InputError(f"dit.control_channels: got {dit.control_channels}, want {want}")
        axis_dims(dit.head_dim)  # raises now rather than at the first forward
        self.grid = grid
        self.num_layers = dit.num_layers
        token_stride = dit.patch_size[1] * grid.spatial_stride
        self.tap_shape = TapShape(dit.num_heads, dit.head_dim, token_stride, grid.temporal_stride)
        self.text_shape = (dit.text_len, dit.text_dim)
        self.image_dim = dit.image_dim
        self.dit = VideoDiT(dit)
        # Channels that a base knows nothing of change nothing at first; they are the last ones.
        nn.init.zeros_(self.dit.patch_embedding.weight[:, dit.in_channels - self.more_channels :])
        self.dit.patch_embedding.more_channels = self.more_channels
        self.null_text = nn.Parameter(0.02 * torch.randn(1, null_text_length, dit.text_dim))
        self.camera_encoders = nn.ModuleDict()
        for way in conditioning:
            for layer, block in enumerate(self.dit.blocks):
                assert isinstance(block, DiTBlock)
                if (module := way.build_block(dit, layer)) is not None:
                    block.add_conditioning(way.name, module, way.place)
            if (encoder := way.build_encoder(dit, grid)) is not None:
                self.camera_encoders[way.name] = encoder

    def frame_positions(self, num_frames: int, device: torch.device) -> Int[Tensor, " joint_frames"]:
        """Return the rotary time position of the target's latent frames, then of the reference's."""
        raise NotImplementedError

    def forward(
        self,
        target_latents: Float[Tensor, "b c f h w"],
        reference_latents: Float[Tensor, "b c f h w"],
        timestep: Float[Tensor, " b"],
        cameras: Cameras | EncodedCameras,
        conditions: Conditions = Conditions(),
        taps: TapRequest = TapRequest(),
        kept: KeptBlocks | None = None,
    ) -> BackboneOutput:
        """Predict for the noisy target; see ``NovelViewBackbone.forward``.

        ``kept`` says whether the late blocks run; None = they do.
        """
        batch, _, frames, height, width = target_latents.shape
        self._check_inputs(target_latents, taps.layers)
        if isinstance(cameras, Cameras):
            cameras = self._encode_cameras(cameras, frames, height, width)
        self._check_grid(cameras.angles, frames, height, width)
        found: dict[int, AttentionTap] = {}

        def take(layer: int, queries_and_keys: QueryKey) -> None:
            tap = self._tap(layer, queries_and_keys)
            if taps.reader is None:
                found[layer] = tap
            else:
                taps.reader(tap)

        output = self.dit(
            self._joint_latents(target_latents, reference_latents, conditions.channels),
            timestep,
            self._text(conditions, batch),
            cameras.angles,
            cameras.features,
            conditions.image,
            BlockTaps(taps.layers, take, taps.stop_after, kept, cameras.biases),
            num_output_frames=frames,
        )
        return BackboneOutput(output.latents, found)

    def encode_cameras(self, cameras: Cameras, frames: int, height: int, width: int) -> EncodedCameras:
        """Return what ``forward`` makes of cameras in every call otherwise; see ``NovelViewBackbone``."""
        return self._encode_cameras(cameras, frames, height, width)

    def led(
        self,
        encoded: EncodedCameras,
        cameras: Cameras,
        way: CameraConditioning,
        height: int,
        width: int,
    ) -> EncodedCameras:
        """Return encoded cameras with the biases of a conditioning that was not trained; see ``NovelViewBackbone``.

        Raises:
            InputError: If there is no such block or head.
        """
        encoder = way.build_encoder(self.dit.config, self.grid)
        assert encoder is not None and way.place == "attention_bias", "callers hand over a bias"
        device = cameras.intrinsics.device
        # Outside autocast, as all that cameras are made into.
        with torch.autocast(device.type, enabled=False):
            features = _target_first(encoder(cameras, height, width).to(self.null_text.dtype), dim=1)
            biases = {}
            for layer in range(self.num_layers):
                block = way.build_block(self.dit.config, layer)
                if block is not None:
                    biases[layer] = block.to(device)(features)
        return encoded._replace(biases=biases)

    def shard_units(self) -> Sequence[nn.Module]:
        """Return the blocks of the DiT."""
        return list(self.dit.blocks)

    def share_tokens(self, group: ProcessGroup) -> None:
        """Let each rank of ``group`` compute a slice of the tokens; see ``token_parallel.share_tokens``."""
        share_tokens(self.dit, group)

    def freeze_beyond(self, layer: int, rotated: bool) -> None:
        """Freeze what no loss on taps of the blocks up to ``layer`` reaches.

        Args:
            layer: 0-based.
            rotated: Such a loss looks at the last tap as attention does, after rotary embedding.
        """
        self.dit.freeze_beyond(layer, rotated)
        if layer == 0:
            self.null_text.requires_grad_(False)

    def _encode_cameras(
        self,
        cameras: Cameras,
        frames: int,
        height: int,
        width: int,
    ) -> EncodedCameras:
        """Do so inside ``forward``, where FSDP2 must not gather and free the weights once more."""
        _, rows, columns = self.dit.config.patch_size
        if height % rows or width % columns:
            pixels = self.grid.spatial_stride
            size = f"{height * pixels}x{width * pixels} (h x w)"
            raise InputError(f"video size: got {size}, want multiples of {self.tap_shape.stride}")
        views, num_frames = cameras.cam_from_world.shape[1:3]
        if views != 2:
            raise InputError(f"cameras: got {views} views, want 2 (reference, target)")
        if self.grid.latent_frames(num_frames) != frames:
            wanted = (frames - 1) * self.grid.temporal_stride + 1
            raise InputError(f"cameras: got {num_frames} frames, want {wanted} for {frames} latent frames")
        angles = self._angles(frames, height, width, cameras.cam_from_world.device)
        return EncodedCameras(angles, self._camera_features(cameras, height, width))

    def _text(self, conditions: Conditions, batch: int) -> Float[Tensor, "b _ d"]:
        text = conditions.text
        null = self.null_text.expand(batch, -1, -1)
        if text is None:
            return null
        if conditions.drop_text is None or text.shape[2] != null.shape[2]:  # of another width: the DiT says so
            return text
        length = max(text.shape[1], null.shape[1])
        # Zeros behind the shorter one, as the DiT pads texts itself.
        text = F.pad(text, (0, 0, 0, length - text.shape[1]))
        null = F.pad(null, (0, 0, 0, length - null.shape[1]))
        return torch.where(conditions.drop_text[:, None, None], null, text)

    def _joint_latents(
        self,
        target: Float[Tensor, "b c f h w"],
        reference: Float[Tensor, "b c f h w"],
        more: Float[Tensor, "more_b more_v more_c more_f more_h more_w"] | None,
    ) -> Float[Tensor, "b in_c 2*f h w"]:
        """Lay the frames of both views one after the other; channels that are not given are zero.

        ``more`` takes the last channels, so that those of a base that knows nothing of it stay where they are.
        """
        joint = torch.cat([target, reference], dim=2)
        missing = self.dit.config.in_channels - joint.shape[1]
        if more is None:
            return F.pad(joint, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else joint
        if more.shape[2] != self.more_channels:
            raise InputError(f"conditions.channels: got {more.shape[2]}, want {self.more_channels}")
        wanted = (len(target), 2, self.more_channels, *target.shape[2:])
        if more.shape != wanted:
            raise InputError(f"conditions.channels: got shape {tuple(more.shape)}, want {wanted} as the latents have")
        unused = missing - self.more_channels
        if unused:
            joint = F.pad(joint, (0, 0, 0, 0, 0, 0, 0, unused))
        return torch.cat([joint, _target_first(more, dim=2).to(joint.dtype)], dim=1)

    def _angles(
        self,
        frames: int,
        height: int,
        width: int,
        device: torch.device,
    ) -> Float[Tensor, "1 f h w 1 half_d"]:
        _, rows, columns = self.dit.config.patch_size
        positions = self.frame_positions(frames, device)
        angles = rotary_angles(self.tap_shape.head_dim, positions, height // rows, width // columns)
        return rearrange(angles, "f h w half_d -> 1 f h w 1 half_d")

    def _camera_features(
        self,
        cameras: Cameras,
        height: int,
        width: int,
    ) -> dict[str, Float[Tensor, "b f _ _ _"]]:
        features = {}
        rays = None
        # Outside autocast: in bf16 a ray is half a pixel off at 480p.
        with torch.autocast(cameras.intrinsics.device.type, enabled=False):
            for name, encoder in self.camera_encoders.items():
                encoded = encoder(cameras, height, width).to(self.null_text.dtype)
                features[name] = _target_first(encoded, dim=1)
            if self.dit.config.control_channels is not None:
                rays = _target_first(packed_rays(cameras, self.grid, height, width), dim=2)
        if rays is not None:
            features[CONTROL] = self.dit.embed_control(rays)
        return features

    def _tap(self, layer: int, tap: QueryKey) -> AttentionTap:
        # The DiT has the target's frames first, taps have the reference first: flip swaps the two views.
        query, key, rotary = (rearrange(part, "b (v f) h w k d -> b v f h w k d", v=2).flip(1) for part in tap)
        times = self.grid.temporal_stride * torch.arange(query.shape[2], device=query.device)
        return AttentionTap(layer, query, key, rotary, times, self.tap_shape.stride)

    def _check_inputs(self, latents: Float[Tensor, "b c f h w"], tap_layers: Sequence[int]) -> None:
        if latents.shape[1] != self.grid.channels:
            raise InputError(f"latents: got {latents.shape[1]} channels, want {self.grid.channels}")
        for layer in tap_layers:
            if not 0 <= layer < self.num_layers:
                raise InputError(f"tap layer: got {layer}, want 0 to {self.num_layers - 1} ({self.num_layers} layers)")

    def _check_grid(
        self,
        angles: Float[Tensor, "1 f h w 1 half_d"],
        frames: int,
        height: int,
        width: int,
    ) -> None:
        _, rows, columns = self.dit.config.patch_size
        wanted = (2 * frames, height // rows, width // columns)
        if angles.shape[1:4] != wanted:
            raise InputError(f"cameras: got some encoded for {tuple(angles.shape[1:4])} tokens, want {wanted}")

    def _start_from(
        self,
        weights: Path | list[Path] | None,
        extra: Sequence[CameraConditioning],
        own_parts: Sequence[str],
    ) -> None:
        """Load what there is to load; ``own_parts`` is what this backbone adds to the blocks of its base."""
        if weights is not None:
            extra_names = [way.name for way in extra]
            self.made_with = load_weights(self, weights, extra_names, own_parts, self.more_channels)
            check_made_with(self.made_with, {"num_heads": str(self.dit.config.num_heads)}, "backbone.weights")


def _target_first(by_view: Float[Tensor, "b v *rest"], dim: int) -> Float[Tensor, "b ..."]:
    """Lay the views of (b v ...) one after the other on axis ``dim`` of what remains."""
    return torch.cat([by_view[:, TARGET], by_view[:, REFERENCE]], dim=dim)
