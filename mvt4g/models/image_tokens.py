"""CLIP's image tokens, which Wan2.1-Fun and ReDirector attend to beside the text: of the reference's first frame."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from mvt4g.models.pretrained import DTYPES, fill_frozen, read_pretrained
from mvt4g.ranges import Depth, Side, Width

IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the colours of CLIP's training images, in [0, 1]."""
HEAD_DIM = 80
"""Of ViT-H: 16 heads of 1280; weights do not tell it."""
EPS = 1e-5

_PREFIX = "visual."
_AFTER_TOKENS = re.compile(r"post_norm\.|head")


@dataclass(frozen=True)
class VisionSizes:
    """Sizes of the vision tower; the defaults are ViT-H/14's, less its last block, whose output is not used."""

    dim: Width = 1280
    mlp_dim: Width = 5120
    num_blocks: Depth = 31
    patch: Side = 14
    side: Side = 16  # patches on each side of an image


class ImageEncoder(nn.Module):
    """OpenCLIP's XLM-R ViT-H/14 up to its last block but one: a class token and 16 x 16 patches, each 1280 wide.

    Args:
        weights: Local: ``models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth``, of whose names those under
            ``visual.`` are taken; its text tower is left unread.
        dtype: What weights and activations are kept in; tokens are fp32 all the same.

    Raises:
        InputError: If the file is missing, broken, or of something else.

    Source: Wan2.1's image-to-video model, which looks at the same tokens.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path, dtype: Literal["float32", "bfloat16"] = "float32") -> None:
        super().__init__()
        path = Path(weights)
        found, sizes = _visual(read_pretrained(path))
        self.tower = fill_frozen(lambda: VisionTower(sizes), found, path, DTYPES[dtype])
        self.size = sizes.patch * sizes.side
        for name, values in (("mean", IMAGE_MEAN), ("std", IMAGE_STD)):
            self.register_buffer(name, rearrange(torch.tensor(values), "c -> c 1 1"), persistent=False)

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b i d"]:
        """Return the tokens of images in [0, 1], the class token first.

        An image becomes a square whatever its shape, as Wan2.1 and ReDirector make it: nothing is cut off, and nothing
        is smoothed before it is made smaller.
        """
        weight = next(self.tower.parameters())
        device_images = images.to(weight.device, torch.float32)
        square = F.interpolate(device_images, (self.size, self.size), mode="bicubic")
        normalised = (square - self.mean) / self.std
        with torch.autocast(weight.device.type, enabled=False):
            tokens: Tensor = self.tower(normalised.to(weight.dtype))
        return tokens.float()


class VisionTower(nn.Module):
    """The ViT, under the names of the original checkpoint."""

    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, sizes.dim, sizes.patch, sizes.patch, bias=False)
        self.cls_embedding = nn.Parameter(torch.zeros(1, 1, sizes.dim))
        self.pos_embedding = nn.Parameter(torch.zeros(1, sizes.side**2 + 1, sizes.dim))
        self.pre_norm = nn.LayerNorm(sizes.dim, EPS)
        self.transformer = nn.Sequential(*(VisionBlock(sizes) for _ in range(sizes.num_blocks)))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b i d"]:
        """Return the tokens after the last block there is."""
        patches = rearrange(self.patch_embedding(images), "b d h w -> b (h w) d")
        class_token = self.cls_embedding.expand(len(images), -1, -1)
        tokens = torch.cat([class_token, patches], dim=1) + self.pos_embedding
        out: Tensor = self.transformer(self.pre_norm(tokens))
        return out


class VisionBlock(nn.Module):
    """Norm before self-attention, norm before the perceptron."""

    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.dim, EPS)
        self.norm2 = nn.LayerNorm(sizes.dim, EPS)
        self.attn = nn.ModuleDict()
        self.attn["to_qkv"] = nn.Linear(sizes.dim, 3 * sizes.dim)
        self.attn["proj"] = nn.Linear(sizes.dim, sizes.dim)
        self.mlp = nn.Sequential(
            nn.Linear(sizes.dim, sizes.mlp_dim),
            nn.GELU(),
            nn.Linear(sizes.mlp_dim, sizes.dim),
        )

    def forward(self, tokens: Float[Tensor, "b i d"]) -> Float[Tensor, "b i d"]:
        """Return the next tokens."""
        joint = self.attn["to_qkv"](self.norm1(tokens))
        query, key, value = rearrange(joint, "b i (three k d) -> three b k i d", three=3, d=HEAD_DIM)
        attended = F.scaled_dot_product_attention(query, key, value)
        attended = rearrange(attended, "b k i d -> b i (k d)")
        tokens = tokens + self.attn["proj"](attended)
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


def _visual(found: Mapping[str, Shaped[Tensor, "..."]]) -> tuple[dict[str, Shaped[Tensor, "..."]], VisionSizes]:
    """Return the weights that tokens need, and the sizes they have; ViT-H's where they cannot be told."""
    visual = {}
    layers = set()
    for name, value in found.items():
        own = name.removeprefix(_PREFIX)
        if own != name and not _AFTER_TOKENS.match(own):
            visual[own] = value
            if match := re.match(r"transformer\.(\d+)\.", own):
                layers.add(int(match[1]))
    # The output of the last block is not looked at.
    last = max(layers, default=0)
    kept = {name: value for name, value in visual.items() if not (last and name.startswith(f"transformer.{last}."))}
    try:
        dim, _, patch, _ = visual["patch_embedding.weight"].shape
        mlp_dim, _ = visual["transformer.0.mlp.0.weight"].shape
        side = round((visual["pos_embedding"].shape[1] - 1) ** 0.5)
    except (KeyError, ValueError):
        return kept, VisionSizes()
    return kept, VisionSizes(dim, mlp_dim, last, patch, side)
