"""What MUSIQ sees of an image: square patches of it at several sizes, each with its place and its scale."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor

GAUSSIAN_RADIUS = 1.5
GAUSSIAN_SIGMA = 0.5
"""Of TensorFlow's resizing kernel, in pixels of the source."""


@dataclass(frozen=True)
class PatchRule:
    """How an image is cut.

    Attributes:
        patch: Side of a patch, pixels.
        grid: Rows and columns of the table of places.
        longer_sides: The image is brought to these longer sides, smaller or larger, ascending; the image as it is
            comes last.
        resize: ``bicubic`` as pyiqa does (torch's, a = -0.75) or ``gaussian`` as TensorFlow does in MUSIQ's own code;
            neither antialiases.
    """

    patch: int = 32
    grid: int = 10
    longer_sides: tuple[int, ...] = (224, 384)
    resize: Literal["bicubic", "gaussian"] = "bicubic"

    @property
    def num_scales(self) -> int:
        """Sizes at which the image is seen."""
        return len(self.longer_sides) + 1


def multiscale_patches(
    images: Float[Tensor, "n 3 h w"], rule: PatchRule
) -> tuple[Float[Tensor, "n l 3 p p"], Int[Tensor, " l"], Int[Tensor, " l"]]:
    """Cut images into patches, row by row, from the smallest size to the image itself.

    MUSIQ pads the patches of every resized image to a fixed number and masks the padding in its attention. Images that
    come in one batch are of one size and need none: leaving it out gives the same score.

    Args:
        images: In [-1, 1].

    Returns:
        The patches, the index of each one's place in the table of places, and of its scale.

    Source:
        MUSIQ (arXiv 2108.05997), section 3.2 and 3.3.
    """
    height, width = images.shape[-2:]
    cut = []
    places = []
    scales = []
    for scale, side in enumerate((*rule.longer_sides, None)):
        sized = images
        if side is not None:
            sized = resize(images, scaled_size(height, width, side), rule.resize)
        patches, rows, columns = cut_patches(sized, rule.patch)
        cut.append(patches)
        places.append(hashed_places(rows, columns, rule.grid))
        scales.append(torch.full((rows * columns,), scale))
    # Tables of places and scales are the same for every image of the batch.
    device = images.device
    return torch.cat(cut, dim=1), torch.cat(places).to(device), torch.cat(scales).to(device)


def scaled_size(height: int, width: int, longer_side: int) -> tuple[int, int]:
    """Return the size with that longer side and the same aspect; ties round to even."""
    longest = max(height, width)
    scaled_height = max(1, round(height * longer_side / longest))
    return scaled_height, max(1, round(width * longer_side / longest))


def cut_patches(
    images: Float[Tensor, "n 3 h w"],
    patch: int,
) -> tuple[Float[Tensor, "n l 3 p p"], int, int]:
    """Cut images into squares, row by row; return their rows and columns too.

    Sides that are no multiple are padded with 0 (mid-grey), half on each side, the odd pixel after.
    """
    height, width = images.shape[-2:]
    extra_y = -height % patch
    extra_x = -width % patch
    top = extra_y // 2
    left = extra_x // 2
    padded = F.pad(images, (left, extra_x - left, top, extra_y - top))
    patches = rearrange(padded, "n c (r y) (k x) -> n (r k) c y x", y=patch, x=patch)
    return patches, (height + extra_y) // patch, (width + extra_x) // patch


def hashed_places(rows: int, columns: int, grid: int) -> Int[Tensor, " l"]:
    """Return for each patch the cell of a ``grid`` x ``grid`` table that covers the image.

    Exact integers; the floats of the original differ from them at 205 patches a side and more.
    """
    row = torch.arange(rows) * grid // rows
    column = torch.arange(columns) * grid // columns
    return rearrange(grid * row[:, None] + column, "r k -> (r k)")


def resize(
    images: Float[Tensor, "n c h w"],
    size: tuple[int, int],
    how: Literal["bicubic", "gaussian"],
) -> Float[Tensor, "n c height width"]:
    """Resize by one of the two rules of MUSIQ's ports; nothing is clamped."""
    if how == "bicubic":
        return F.interpolate(images, size, mode="bicubic", align_corners=False)
    rows = _gaussian_weights(images.shape[-2], size[0]).to(images)
    columns = _gaussian_weights(images.shape[-1], size[1]).to(images)
    return einsum(images, rows, columns, "n c h w, height h, width w -> n c height width")


def _gaussian_weights(source: int, target: int) -> Float[Tensor, "{target} {source}"]:
    """Return what each source pixel gives to each target pixel: a cut Gaussian around its centre, summing to 1.

    Source:
        TensorFlow, ``scale_and_translate`` without antialiasing: the kernel keeps its width when an image shrinks.
    """
    # Pixel centres lie at i + 0.5 on both grids.
    centres = (torch.arange(target, dtype=torch.float64) + 0.5) * source / target
    places = torch.arange(source, dtype=torch.float64) + 0.5
    distance = (places - centres[:, None]).abs()
    weights = torch.exp(-(distance**2) / (2 * GAUSSIAN_SIGMA**2)) * (distance < GAUSSIAN_RADIUS)
    return weights / weights.sum(dim=1, keepdim=True)
