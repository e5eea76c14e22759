"""Feature extractors: timm's vision transformers with weights from local files, under their authors' rules."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from mvt4g.metrics.functional.preprocessing import IMAGENET_MEAN, IMAGENET_STD, normalize
from mvt4g.metrics.networks.weights import load_strict, read_state_dict
from mvt4g.ranges import check_word
from mvt4g.types import InputError

FOREIGN_MARKS = ("visual.class_embedding", "mask_token", "storage_tokens")
"""Weights that only OpenAI's CLIP, Meta's DINOv2 and Meta's DINOv3 have in files of their own layout."""
PositionRule = Literal["dino", "timm"]


class PatchFeatures(nn.Module):
    """Patch tokens of the last layer, after its LayerNorm: what MEt3R compares.

    The map covers the whole image: an image whose sides are no multiples of ``patch_size`` is resized to the nearest
    ones. (DINO's own code would cut the rest off, and the map would lie beside the image by up to a patch.)

    Args:
        weights: A local file, in timm's layout (which is DINO's own) or that of OpenAI, DINOv2 or DINOv3.
        architecture: A name of timm's: ``vit_small_patch16_224.dino`` (MEt3R's), ``vit_base_patch16_224.dino``,
            ``vit_small_patch14_dinov2.lvd142m``, ``vit_small_patch16_dinov3.lvd1689m`` ...
        position_rule: How position embeddings fit other image sizes, as ``ImageFeatures``.
        channel_norm: Normalise each token over its channels once more, as FeatUp does (``use_norm``) and so MEt3R.
        sha256: Checksum of the file, where the caller insists on these very weights.

    Raises:
        InputError: As ``load_timm``; or if the position rule does not fit the architecture.

    Source:
        MEt3R (arXiv 2501.06336) and FeatUp (arXiv 2403.10516), whose ``ChannelNorm`` is never trained.
    """

    def __init__(
        self,
        weights: str | Path,
        architecture: str = "vit_small_patch16_224.dino",
        position_rule: PositionRule = "dino",
        channel_norm: bool = True,
        sha256: str | None = None,
    ) -> None:
        super().__init__()
        self.net = load_timm(architecture, weights, sha256)
        self.position_rule = checked_rule(self.net, position_rule, architecture)
        self.channel_norm = channel_norm
        self.patch_size: int = self.net.patch_embed.patch_size[0]

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n height width d"]:
        """Take images in [0, 1] to maps of features, one a patch.

        Raises:
            InputError: If an image is smaller than a patch.
        """
        if min(images.shape[-2:]) < self.patch_size:
            raise InputError(f"images: got {tuple(images.shape[-2:])}, want sides of at least {self.patch_size}")
        size = [self.patch_size * round(side / self.patch_size) for side in images.shape[-2:]]
        if size != list(images.shape[-2:]):
            images = F.interpolate(images, size, mode="bilinear", align_corners=False)
        images = normalize(images, IMAGENET_MEAN, IMAGENET_STD)
        patches = tokens(self.net, images, self.position_rule)[:, self.net.num_prefix_tokens :]
        if self.channel_norm:
            patches = F.layer_norm(patches, patches.shape[-1:])
        return rearrange(patches, "n (h w) d -> n h w d", h=images.shape[-2] // self.patch_size)


class ImageFeatures(nn.Module):
    """One vector an image: DINO's class token, CLIP's projected embedding.

    Args:
        weights: A local file, as for ``PatchFeatures``.
        architecture: A name of timm's: ``vit_base_patch16_224.dino`` for VBench's subject consistency,
            ``vit_base_patch32_clip_quickgelu_224.openai`` for background consistency,
            ``vit_large_patch14_clip_quickgelu_224.openai`` for aesthetic quality. CLIP without ``quickgelu`` in the
            name has another activation, and gives other embeddings of the same weights.
        position_rule: How position embeddings fit image sizes other than the trained one: ``dino`` as DINO's own
            code (``dino_position_embedding``), ``timm`` as timm's. They agree at the trained size alone.
        sha256: Checksum of the file, where the caller insists on these very weights.

    Raises:
        InputError: As ``load_timm``; or if the position rule does not fit the architecture.
    """

    def __init__(
        self,
        weights: str | Path,
        architecture: str = "vit_base_patch16_224.dino",
        position_rule: PositionRule = "dino",
        sha256: str | None = None,
    ) -> None:
        super().__init__()
        self.net = load_timm(architecture, weights, sha256)
        self.position_rule = checked_rule(self.net, position_rule, architecture)
        self.patch_size: int = self.net.patch_embed.patch_size[0]

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Take images that are preprocessed already to vectors.

        Raises:
            InputError: If a side is no multiple of the patch.
        """
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size or not height * width:
            raise InputError(f"images: got {height}x{width}, want sides that are multiples of {self.patch_size}")
        return self.net.forward_head(tokens(self.net, images, self.position_rule))


def aesthetic_head(
    weights: str | Path,
    embedding_size: int = 768,
    sha256: str | None = None,
) -> nn.Linear:
    """Load LAION's rating of embeddings of length 1, from 1 to 10 (``sa_0_4_vit_l_14_linear.pth`` for CLIP ViT-L/14).

    Raises:
        InputError: As ``read_state_dict`` and ``load_strict``.
    """
    head = nn.utils.skip_init(nn.Linear, embedding_size, 1)
    load_strict(head, read_state_dict(weights, sha256), weights)
    return head.eval().requires_grad_(False)


def load_timm(architecture: str, weights: str | Path, sha256: str | None = None) -> Any:
    """Build one of timm's vision transformers for images of any size, with weights from a local file.

    Returns:
        The network, in evaluation mode and frozen; ``Any``, since timm has no types.

    Raises:
        InputError: If timm knows no such architecture; as ``read_state_dict`` and ``load_strict``.
    """
    import timm  # takes seconds

    if not timm.is_model(architecture):
        raise InputError(f"architecture: got {architecture}, want a name of timm's (timm.list_models)")
    state_dict = read_state_dict(weights, sha256)
    with torch.random.fork_rng(devices=[]):  # the draws that the weights replace are nobody's business
        net = timm.create_model(architecture, pretrained=False, dynamic_img_size=True)
    load_strict(net, timm_layout(net, state_dict), weights)
    return net.eval().requires_grad_(False)


def timm_layout(
    net: Any,
    state_dict: Mapping[str, Shaped[Tensor, "..."]],
) -> dict[str, Shaped[Tensor, "..."]]:
    """Return weights under timm's names, converted where they carry another's.

    Weights made for other patches or another image size stay as they are, for ``load_strict`` to refuse: timm's own
    conversion would resample them.
    """
    if not any(mark in state_dict for mark in FOREIGN_MARKS):
        return dict(state_dict)
    # OpenAI calls the patches' kernel and the positions otherwise than Meta and timm do.
    kernel = state_dict.get("visual.conv1.weight", state_dict.get("patch_embed.proj.weight"))
    positions = state_dict.get("visual.positional_embedding", state_dict.get("pos_embed"))
    fits = kernel is not None and kernel.shape == net.patch_embed.proj.weight.shape
    if positions is not None:
        # One position for the class token, then one a patch.
        fits = fits and positions.shape[-2] == net.patch_embed.num_patches + 1
    if not fits:
        return dict(state_dict)
    from timm.models import eva, vision_transformer

    family = eva if isinstance(net, eva.Eva) else vision_transformer
    return family.checkpoint_filter_fn(dict(state_dict), net)


def checked_rule(net: Any, position_rule: PositionRule, architecture: str) -> PositionRule:
    """Return the rule, if the network has what it is about.

    Raises:
        InputError: If DINO's is asked of a network without a position embedding for one class token and every patch.
    """
    check_word("position_rule", position_rule, PositionRule)
    embedding = getattr(net, "pos_embed", None)
    num_patches = net.patch_embed.num_patches
    fits = embedding is not None and net.num_prefix_tokens == 1 and embedding.shape[1] == num_patches + 1
    if position_rule == "dino" and not fits:
        raise InputError(f"position_rule: got dino, want timm: {architecture} has no position embedding like DINO's")
    return position_rule


def tokens(
    net: Any,
    images: Float[Tensor, "n 3 h w"],
    position_rule: PositionRule,
) -> Float[Tensor, "n l d"]:
    """Run a transformer of timm's up to its last LayerNorm; prefix tokens come first."""
    if position_rule == "timm":
        return net.forward_features(images)
    cells = net.patch_embed(images)
    embedding = dino_position_embedding(net.pos_embed, net.patch_embed.grid_size, cells.shape[1:3])
    class_token = net.cls_token.expand(len(images), -1, -1)
    patches = rearrange(cells, "n h w d -> n (h w) d")
    sequence = torch.cat([class_token, patches], dim=1) + embedding
    return net.norm(net.blocks(net.norm_pre(sequence)))


def dino_position_embedding(
    embedding: Float[Tensor, "1 trained d"],
    trained: tuple[int, int],
    grid: tuple[int, int],
) -> Float[Tensor, "1 l d"]:
    """Fit a position embedding (class token first, then row by row) to another grid of patches as DINO does.

    Bicubic without antialiasing, by the factor ``(cells + 0.1) / trained``: the 0.1 kept a rounding error from losing
    a row, and shifts where every cell is read. The trained grid itself is returned untouched.

    Source:
        DINO (arXiv 2104.14294), ``interpolate_pos_encoding``. Its code also resamples, by 14.1 / 14, where the trained
        grid comes from an image that is not square before cutting (224 x 225 to 224 x 239); here it is untouched.
    """
    if tuple(grid) == tuple(trained):
        return embedding
    cells = rearrange(embedding[:, 1:], "1 (h w) d -> 1 d h w", h=trained[0])
    factor = ((grid[0] + 0.1) / trained[0], (grid[1] + 0.1) / trained[1])
    cells = F.interpolate(cells, scale_factor=factor, mode="bicubic")
    patches = rearrange(cells, "1 d h w -> 1 (h w) d")
    return torch.cat([embedding[:, :1], patches], dim=1)
