"""Pixel coordinates (x, y), continuous, centres at i + 0.5, and the ways to and from other conventions.

A coordinate of another convention exists only between a call of this module and the foreign file or function it is for.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def pixel_centres(
    height: int,
    width: int,
    stride: float | int = 1.0,
    device: torch.device | str | None = None,
) -> Float[Tensor, "h w 2"]:
    """Return the centres (x, y) of a grid of cells, in pixels.

    Args:
        height: Rows of cells.
        width: Columns of cells.
        stride: Pixels a cell covers on each side.
        device: Where the grid is made.
    """
    y = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) * stride
    x = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) * stride
    x = x.expand(height, width)
    return torch.stack([x, y[:, None].expand(height, width)], dim=-1)


def from_integer_centres(xy: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
    """Convert from the convention with pixel centres at i (OpenCV, CoTracker)."""
    return xy + 0.5


def to_integer_centres(pixels: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
    """Convert to the convention with pixel centres at i (OpenCV, CoTracker)."""
    return pixels - 0.5


def from_normalised(
    xy: Float[Tensor, "*b 2"],
    height: int,
    width: int,
) -> Float[Tensor, "*b 2"]:
    """Convert from [0, 1] between the outer edges of the image (TAP-Vid's files)."""
    return xy * xy.new_tensor([width, height])


def to_normalised(
    pixels: Float[Tensor, "*b 2"],
    height: int,
    width: int,
) -> Float[Tensor, "*b 2"]:
    """Convert to [0, 1] between the outer edges of the image (TAP-Vid's files)."""
    return pixels / pixels.new_tensor([width, height])


def from_grid_sample(
    grid: Float[Tensor, "*b 2"],
    height: int,
    width: int,
) -> Float[Tensor, "*b 2"]:
    """Convert from [-1, 1] of ``grid_sample`` with ``align_corners=False``: the outer edges of the image."""
    size = grid.new_tensor([width, height])
    return (grid + 1.0) * (0.5 * size)


def to_grid_sample(
    pixels: Float[Tensor, "*b 2"],
    height: int,
    width: int,
) -> Float[Tensor, "*b 2"]:
    """Convert to [-1, 1] of ``grid_sample`` with ``align_corners=False``: the outer edges of the image."""
    size = pixels.new_tensor([width, height])
    return pixels * (2.0 / size) - 1.0
