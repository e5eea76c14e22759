"""Where a point is, as a label over the cells of a frame: one cell, or a few that share it."""

import math
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.matching.tokens import cell_of_pixels, flat_cell

LabelKind = Literal["hard", "bilinear", "gaussian"]


def cell_labels(
    xy: Float[Tensor, "*batch 2"], stride: int, height: int, width: int, kind: LabelKind = "hard", sigma: float = 1.0
) -> tuple[Int[Tensor, "*batch m"], Float[Tensor, "*batch m"]]:
    """Return the cells that share a point's label, and their shares, which sum to 1.

    Args:
        xy: Pixels; a point outside the map counts as on its border.
        stride: Pixels a cell covers on each side.
        height: Rows of the map.
        width: Its columns.
        kind: ``hard``: the cell under the point (m = 1). ``bilinear``: the four cells whose centres surround it, by
            how near they are (m = 4); at the border, cells repeat. ``gaussian``: a normal density about the point,
            cut off at three sigma and at the border.
        sigma: Of ``gaussian``, in cells.

    Returns:
        Flat cells (row * width + column) and shares.
    """
    if kind == "hard":
        cell = flat_cell(cell_of_pixels(xy, stride), height, width)[..., None]
        return cell, torch.ones_like(cell, dtype=xy.dtype)
    limit = xy.new_tensor([width, height])
    position = torch.minimum((xy / stride).clamp(min=0), limit)
    if kind == "bilinear":
        corner = torch.floor(position - 0.5)
        offset = _offsets(0, 1, xy.device)
        share = (1 - (position - 0.5 - corner)[..., None, :] - offset).abs().prod(dim=-1)
    else:
        corner = torch.minimum(torch.floor(position), limit - 1)
        reach = math.ceil(3 * sigma)
        offset = _offsets(-reach, reach, xy.device)
        away = corner[..., None, :] + offset + 0.5 - position[..., None, :]
        share = torch.exp(-away.square().sum(dim=-1) / (2 * sigma**2))
        cell = corner[..., None, :] + offset
        share = torch.where(((cell >= 0) & (cell < limit)).all(dim=-1), share, 0.0)
        share = share / share.sum(dim=-1, keepdim=True)
    return flat_cell((corner[..., None, :] + offset).long(), height, width), share


def _offsets(first: int, last: int, device: torch.device) -> Int[Tensor, "m 2"]:
    """Every (column, row) offset from ``first`` to ``last``, row-major."""
    steps = torch.arange(first, last + 1, device=device)
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    return rearrange(torch.stack([columns, rows], dim=-1), "y x two -> (y x) two")
