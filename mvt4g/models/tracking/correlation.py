"""Local 4D correlation: a patch of query features around each point against patches of keys in every frame.

All positions of a patch lie a whole number of cells apart, so they share one bilinear fraction. The keys are therefore
gathered once, on the (2*radius + 2)^2 whole cells around a point, and it is their dot products that are interpolated.
Nothing gathered is kept for backward: it is gathered again.
"""

from collections.abc import Iterator
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

MAX_GATHERED = 2**20
"""Key features gathered at once (4 MiB in fp32, to stay in cache); any value gives the same result."""


def local_correlation(
    query_features: Float[Tensor, "p r d"],
    key_maps: Float[Tensor, "f d h w"],
    key_xy: Float[Tensor, "f p 2"],
    radius: int,
) -> Float[Tensor, "f p r o"]:
    """Return the dot products of every query feature with the keys at offsets -radius..radius around each position.

    Gradients reach features and maps, never positions.

    Args:
        query_features: Of the patch around each query point, r = (2*radius + 1)^2 row-major.
        key_maps: One per frame.
        key_xy: Where each point is thought to be in each frame, in cells of ``key_maps``, cell centres at i + 0.5.
        radius: In cells.

    Returns:
        Plain dot products, unscaled; last axis o = (2*radius + 1)^2, row-major over offsets (dy, dx), read bilinearly;
        outside the map counts the border cell.

    Source: LocoTrack (arXiv 2407.15420), section 3.2.
    """
    maps = rearrange(key_maps, "f d h w -> 1 f h w d")
    correlation = batched_correlation(query_features[None], maps, rearrange(key_xy, "f p xy -> 1 p f xy"), radius)
    return rearrange(correlation, "1 p f o r -> f p r o")


def batched_correlation(
    query_features: Float[Tensor, "b p r d"],
    key_maps: Float[Tensor, "b f h w d"],
    key_xy: Float[Tensor, "b p f 2"],
    radius: int,
    max_gathered: int = MAX_GATHERED,
) -> Float[Tensor, "b p f o r"]:
    """As ``local_correlation`` for a batch of clips, with the axes in the order that moves the least memory.

    Frames are taken a few at a time: at most ``max_gathered`` key features, or one frame's, exist at once.
    """
    batch, points, _, dim = query_features.shape
    height, width = key_maps.shape[2:4]
    cell, fraction = _surrounding_cells(key_xy.detach(), height, width, radius)
    block = max(1, max_gathered // max(1, batch * points * cell.shape[-1] * dim))
    correlation: Tensor = _LocalDots.apply(query_features.to(key_maps.dtype), key_maps, cell, fraction, block)
    return correlation


def local_patches(
    maps: Float[Tensor, "m h w d"], map_index: Int[Tensor, " n"], xy: Float[Tensor, "n 2"], radius: int
) -> Float[Tensor, "n r d"]:
    """Read the patch of features around each position, each from its own map, bilinearly; no gradient to positions.

    Args:
        maps: Any number of maps of one size.
        map_index: Which map each position is on.
        xy: In cells, centres at i + 0.5; outside the map counts the border cell.
        radius: In cells; r = (2*radius + 1)^2, row-major over offsets (dy, dx).
    """
    height, width = maps.shape[1:3]
    cell, fraction = _surrounding_cells(xy.detach(), height, width, radius)
    index = map_index[:, None] * (height * width) + cell
    rows = rearrange(maps, "m h w d -> (m h w) d").index_select(0, index.flatten())
    return _blended(rearrange(rows, "(n m) d -> n m d", m=cell.shape[-1]), fraction)


class _LocalDots(torch.autograd.Function):
    """Interpolated dot products (b p f o r) of query patches with the keys in the cells around each position."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key_maps: Tensor, cell: Tensor, fraction: Tensor, block: int) -> Tensor:
        ctx.save_for_backward(query, key_maps, cell, fraction)
        ctx.block = block
        with torch.autocast(query.device.type, enabled=False):
            parts = [
                _blended(_per_frame(_gathered(key_maps, index) @ query.mT, part), fraction[:, :, part])
                for part, index in _frame_blocks(key_maps, cell, block)
            ]
        return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        query, key_maps, cell, fraction = ctx.saved_tensors
        query_grad, key_grad = torch.zeros_like(query), key_maps.new_zeros(key_maps.shape)
        key_rows = rearrange(key_grad, "b f h w d -> (b f h w) d")
        for part, index in _frame_blocks(key_maps, cell, ctx.block):
            dots_grad = rearrange(_unblended(grad[:, :, part], fraction[:, :, part]), "b p f m r -> b p (f m) r")
            query_grad += dots_grad.mT @ _gathered(key_maps, index)
            key_rows.index_add_(0, index.flatten(), rearrange(dots_grad @ query, "b p l d -> (b p l) d"))
        return query_grad, key_grad, None, None, None


def _frame_blocks(key_maps: Tensor, cell: Tensor, block: int) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the frame axis, with the rows (b p fm) of the flattened maps that their cells are."""
    batch, frames, height, width, _ = key_maps.shape
    first = torch.arange(batch * frames, device=cell.device) * (height * width)
    rows = cell + rearrange(first, "(b f) -> b 1 f 1", b=batch)
    for start in range(0, frames, block):
        part = slice(start, min(start + block, frames))
        yield part, rearrange(rows[:, :, part], "b p f m -> b p (f m)")


def _gathered(key_maps: Tensor, index: Tensor) -> Tensor:
    """Keys (b p fm d) of the flattened maps."""
    rows = rearrange(key_maps, "b f h w d -> (b f h w) d").index_select(0, index.flatten())
    return rows.view(*index.shape, key_maps.shape[-1])


def _per_frame(dots: Tensor, part: slice) -> Tensor:
    return rearrange(dots, "b p (f m) r -> b p f m r", f=part.stop - part.start)


def _surrounding_cells(xy: Tensor, height: int, width: int, radius: int) -> tuple[Tensor, Tensor]:
    """Flat indices of the (2*radius + 2)^2 cells whose centres surround a patch, and the fraction (x, y) past them."""
    corner = torch.floor(xy - 0.5)
    offsets = torch.arange(-radius, radius + 2, device=xy.device)
    columns = (corner[..., 0, None].long() + offsets).clamp(0, width - 1)
    rows = (corner[..., 1, None].long() + offsets).clamp(0, height - 1)
    cell = rearrange(rows, "... y -> ... y 1") * width + rearrange(columns, "... x -> ... 1 x")
    return rearrange(cell, "... y x -> ... (y x)"), xy - 0.5 - corner


def _blended(cells: Tensor, fraction: Tensor) -> Tensor:
    """Interpolate (... m c) on side x side cells between neighbours: (... o c) on one row and one column less."""
    side = round(cells.shape[-2] ** 0.5)
    square = rearrange(cells, "... (y x) c -> ... y x c", y=side)
    along_x, along_y = fraction.to(cells.dtype)[..., None, None, None].unbind(dim=-4)
    rows = torch.lerp(square[..., :-1, :], square[..., 1:, :], along_x)
    return rearrange(torch.lerp(rows[..., :-1, :, :], rows[..., 1:, :, :], along_y), "... y x c -> ... (y x) c")


def _unblended(grad: Tensor, fraction: Tensor) -> Tensor:
    """Carry a gradient (... o c) back through ``_blended``: (... m c)."""
    side = round(grad.shape[-2] ** 0.5)
    square = rearrange(grad, "... (y x) c -> ... y x c", y=side)
    along_x, along_y = fraction.to(grad.dtype)[..., None, None, None].unbind(dim=-4)
    late = square * along_y
    rows = square.new_zeros(*square.shape[:-3], side + 1, *square.shape[-2:])
    torch.sub(square, late, out=rows[..., :-1, :, :])
    rows[..., 1:, :, :] += late
    late = rows * along_x
    cells = rows.new_zeros(*rows.shape[:-2], side + 1, rows.shape[-1])
    torch.sub(rows, late, out=cells[..., :-1, :])
    cells[..., 1:, :] += late
    return rearrange(cells, "... y x c -> ... (y x) c")
