"""Local 4D correlation: a patch of query features around each point against patches of keys in every frame.

All positions of a patch lie a whole number of cells apart, so they share one bilinear fraction. The keys are therefore
gathered once, on the (2*radius + 2)^2 whole cells around a point, and it is their dot products that are interpolated.
Points are taken a few at a time, each with all its frames: what is gathered for them stays in cache, and one matrix
product serves all frames of a point. Nothing gathered is kept for backward: it is gathered again.
"""

from collections.abc import Iterator
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

MAX_GATHERED = 2**20
"""Key features gathered at once on the CPU (4 MiB in fp32, to stay in cache); any value gives the same result."""
MAX_GATHERED_CUDA = 2**27
"""The same elsewhere, where few large steps are faster."""


def local_correlation(
    query_features: Float[Tensor, "p r d"],
    key_maps: Float[Tensor, "f d h w"],
    key_xy: Float[Tensor, "f p 2"],
    radius: int,
    xy_gradient: bool = False,
) -> Float[Tensor, "f p r o"]:
    """Return the dot products of every query feature with the keys at offsets -radius..radius around each position.

    Args:
        query_features: Of the patch around each query point, r = (2*radius + 1)^2 row-major.
        key_maps: One per frame.
        key_xy: Where each point is thought to be in each frame, in cells of ``key_maps``, cell centres at i + 0.5.
        radius: In cells.
        xy_gradient: Let gradients reach ``key_xy`` too, for one more matrix product in backward.

    Returns:
        Plain dot products, unscaled; last axis o = (2*radius + 1)^2, row-major over offsets (dy, dx), read bilinearly;
        outside the map counts the border cell.

    Source: LocoTrack (arXiv 2407.15420), section 3.2.
    """
    maps = rearrange(key_maps, "f d h w -> 1 f h w d")
    by_point = rearrange(key_xy, "f p xy -> 1 p f xy")
    correlation = batched_correlation(query_features[None], maps, by_point, radius, xy_gradient=xy_gradient)
    return rearrange(correlation, "1 p f o r -> f p r o")


def batched_correlation(
    query_features: Float[Tensor, "b p r d"],
    key_maps: Float[Tensor, "b f h w d"],
    key_xy: Float[Tensor, "b p f 2"],
    radius: int,
    max_gathered: int | None = None,
    xy_gradient: bool = False,
) -> Float[Tensor, "b p f o r"]:
    """As ``local_correlation`` for a batch of clips, with the axes in the order that moves the least memory.

    At most ``max_gathered`` key features, or one point's, exist at once.
    """
    batch, points, patch, _ = query_features.shape
    frames, height, width, dim = key_maps.shape[1:]
    xy = key_xy if xy_gradient else key_xy.detach()
    cell, corner = _surrounding_cells(xy.detach(), height, width, radius)
    fraction = (xy - 0.5 - corner).to(key_maps.dtype)
    first = torch.arange(batch * frames, device=cell.device) * (height * width)
    rows = cell + rearrange(first, "(b f) -> b 1 f 1", b=batch)
    if max_gathered is None:
        max_gathered = MAX_GATHERED if key_maps.device.type == "cpu" else MAX_GATHERED_CUDA
    correlation: Tensor = _LocalDots.apply(
        rearrange(query_features.to(key_maps.dtype), "b p r d -> (b p) r d"),
        rearrange(key_maps, "b f h w d -> (b f h w) d"),
        rearrange(rows, "b p f m -> (b p) f m"),
        rearrange(fraction, "b p f xy -> (b p) f xy"),
        # Points a block: as many as gather no more than that, and at least one.
        max(1, max_gathered // max(1, frames * cell.shape[-1] * dim)),
    )
    return correlation.view(batch, points, frames, (2 * radius + 1) ** 2, patch)


def local_patches(
    maps: Float[Tensor, "m h w d"],
    map_index: Int[Tensor, " n"],
    xy: Float[Tensor, "n 2"],
    radius: int,
) -> Float[Tensor, "n r d"]:
    """Read the patch of features around each position, each from its own map, bilinearly; no gradient to positions.

    Args:
        maps: Any number of maps of one size.
        map_index: Which map each position is on.
        xy: In cells, centres at i + 0.5; outside the map counts the border cell.
        radius: In cells; r = (2*radius + 1)^2, row-major over offsets (dy, dx).
    """
    height, width = maps.shape[1:3]
    cell, corner = _surrounding_cells(xy.detach(), height, width, radius)
    index = map_index[:, None] * (height * width) + cell
    rows = rearrange(maps, "m h w d -> (m h w) d").index_select(0, index.flatten())
    square = rearrange(rows, "(n y x) d -> n y x d", n=len(xy), y=2 * radius + 2)
    fraction = (xy.detach() - 0.5 - corner).to(maps.dtype)
    blended = _blended(square, fraction)
    return rearrange(blended, "n y x d -> n (y x) d")


class _LocalDots(torch.autograd.Function):
    """Interpolated dot products (p f o r) of query patches with the keys in the cells around each position."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Float[Tensor, "p o d"],
        keys: Float[Tensor, "tokens d"],
        rows: Int[Tensor, "p f m"],
        fraction: Float[Tensor, "p f 2"],
        block: int,
    ) -> Float[Tensor, "p f r o"]:
        ctx.save_for_backward(query, keys, rows, fraction)
        ctx.block = block
        side = round(rows.shape[-1] ** 0.5)
        result = query.new_empty(*rows.shape[:2], (side - 1) ** 2, query.shape[1])
        with torch.autocast(query.device.type, enabled=False):
            for part, gathered in _point_blocks(keys, rows, block):
                dots = _per_cell(gathered @ query[part].mT, side)
                _blended(dots, fraction[part], out=_per_cell(result[part], side - 1))
        return result

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: Float[Tensor, "p f r o"]
    ) -> tuple[Float[Tensor, "p o d"], Float[Tensor, "tokens d"], None, Float[Tensor, "p f 2"] | None, None]:
        query, keys, rows, fraction = ctx.saved_tensors
        grad = grad.contiguous()
        side = round(rows.shape[-1] ** 0.5)
        query_grad = torch.empty_like(query)
        key_grad = torch.zeros_like(keys)
        fraction_grad = torch.empty_like(fraction) if ctx.needs_input_grad[3] else None
        with torch.autocast(query.device.type, enabled=False):
            for part, gathered in _point_blocks(keys, rows, ctx.block):
                square = _per_cell(grad[part], side - 1)
                if fraction_grad is not None:
                    dots = _per_cell(gathered @ query[part].mT, side)
                    fraction_grad[part] = _fraction_gradient(dots, square, fraction[part])
                dots_grad = _unblended(square, fraction[part])
                dots_grad = dots_grad.view(len(gathered), -1, query.shape[1])
                torch.matmul(dots_grad.mT, gathered, out=query_grad[part])
                torch.matmul(dots_grad, query[part], out=gathered)  # no longer needed: its memory serves the gradient
                key_grad.index_add_(0, rows[part].flatten(), gathered.flatten(0, 1))
        return query_grad, key_grad, None, fraction_grad, None


def _point_blocks(
    keys: Float[Tensor, "tokens d"],
    rows: Int[Tensor, "p f m"],
    block: int,
) -> Iterator[tuple[slice, Float[Tensor, "block fm d"]]]:
    """Slices of the point axis, with the keys (p fm d) of their cells, each time in the same memory."""
    size = min(block, len(rows)) * rows[0].numel() if len(rows) else 0
    buffer = keys.new_empty(size, keys.shape[1])
    for start in range(0, len(rows), block):
        index = rows[start : start + block]
        gathered = torch.index_select(keys, 0, index.flatten(), out=buffer[: index.numel()])
        yield slice(start, start + len(index)), gathered.view(len(index), -1, keys.shape[1])


def _per_cell(
    values: Float[Tensor, "p *cells c"],
    side: int,
) -> Float[Tensor, "p f {side} {side} c"]:
    """View (p fm c) or (p f m c) as (p f y x c) of side x side cells."""
    return values.view(len(values), -1, side, side, values.shape[-1])


def _surrounding_cells(
    xy: Float[Tensor, "*batch 2"], height: int, width: int, radius: int
) -> tuple[Int[Tensor, "*batch cells"], Float[Tensor, "*batch 2"]]:
    """Flat indices of the (2*radius + 2)^2 cells whose centres surround a patch, and where the middle ones start."""
    # Centres lie at i + 0.5: cell floor(x - 0.5) is the last whose centre is not beyond x.
    corner = torch.floor(xy - 0.5)
    offsets = torch.arange(-radius, radius + 2, device=xy.device)
    columns = (corner[..., 0, None].long() + offsets).clamp(0, width - 1)
    rows = (corner[..., 1, None].long() + offsets).clamp(0, height - 1)
    cell = rearrange(rows, "... y -> ... y 1") * width + rearrange(columns, "... x -> ... 1 x")
    return rearrange(cell, "... y x -> ... (y x)"), corner


def _along(
    fraction: Float[Tensor, "*batch 2"],
) -> tuple[Float[Tensor, "*batch 1 1 1"], Float[Tensor, "*batch 1 1 1"]]:
    """Fractions (... 2) along x and y, each to go with (... y x c)."""
    along_x, along_y = fraction[..., None, None, None].unbind(dim=-4)
    return along_x, along_y


def _blended(
    square: Float[Tensor, "*b y x c"],
    fraction: Float[Tensor, "*b 2"],
    out: Float[Tensor, "*b y-1 x-1 c"] | None = None,
) -> Float[Tensor, "*b y-1 x-1 c"]:
    """Interpolate cells (... y x c) between neighbours: one row and one column less."""
    along_x, along_y = _along(fraction)
    rows = torch.lerp(square[..., :-1, :], square[..., 1:, :], along_x)
    return torch.lerp(rows[..., :-1, :, :], rows[..., 1:, :, :], along_y, out=out)


def _unblended(
    grad: Float[Tensor, "*b y x c"],
    fraction: Float[Tensor, "*b 2"],
) -> Float[Tensor, "*b y+1 x+1 c"]:
    """Carry a gradient (... y x c) back through ``_blended``."""
    along_x, along_y = _along(fraction)
    rows = _spread(grad, along_y, dim=-3)
    return _spread(rows, along_x, dim=-2)


def _spread(
    grad: Float[Tensor, "*b y x c"],
    along: Float[Tensor, "*b 1 1 1"],
    dim: int,
) -> Float[Tensor, "*b Y X c"]:
    """Share each entry between itself and the next along ``dim``, which gets one longer."""
    size = list(grad.shape)
    size[dim] += 1
    late = grad * along
    result = grad.new_empty(size)
    torch.sub(grad, late, out=result.narrow(dim, 0, grad.shape[dim]))
    result.select(dim, -1).zero_()
    result.narrow(dim, 1, grad.shape[dim]).add_(late)
    return result


def _fraction_gradient(
    square: Float[Tensor, "*batch y x c"],
    grad: Float[Tensor, "*batch _ _ c"],
    fraction: Float[Tensor, "*batch 2"],
) -> Float[Tensor, "*batch 2"]:
    """Gradient (... 2) to the fractions (x, y), of cells (... y x c) blended with gradient ``grad``."""
    along_x, along_y = _along(fraction)
    steps = square[..., 1:, :] - square[..., :-1, :]
    by_x = grad * torch.lerp(steps[..., :-1, :, :], steps[..., 1:, :, :], along_y)
    rows = torch.lerp(square[..., :-1, :], square[..., 1:, :], along_x)
    by_y = grad * (rows[..., 1:, :, :] - rows[..., :-1, :, :])
    by_axis = [values.sum(dim=(-1, -2, -3)) for values in (by_x, by_y)]
    return torch.stack(by_axis, dim=-1)
