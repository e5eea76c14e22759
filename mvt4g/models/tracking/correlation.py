"""Local 4D correlation: a patch of query features around each point against patches of keys in every frame.

All positions of a patch lie a whole number of cells apart, so they share one bilinear fraction. The keys are therefore
gathered once, on the (2*radius + 2)^2 whole cells around a point, and it is their dot products that are interpolated.
Points are taken a few at a time, each with all its frames: what is gathered for them is a small part of the result, and
one matrix product serves all frames of a point. Nothing gathered is kept for backward, nor which cells: both are found
again.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

MIN_GATHERED = 2**20
"""Key features gathered at once on the CPU, if there are as many (4 MiB in fp32); any value gives the same result."""
MIN_GATHERED_CUDA = 2**27
"""The same elsewhere, where few large steps are faster."""
MAX_BLOCKS = 64
"""Most steps over the points, however many these are: threads wait for one another after every operator of a step."""


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
    min_gathered: int | None = None,
    xy_gradient: bool = False,
) -> Float[Tensor, "b p f o r"]:
    """As ``local_correlation`` for a batch of clips, with the axes in the order that moves the least memory.

    About ``min_gathered`` key features exist at once, or more where that would take over ``MAX_BLOCKS`` steps.
    """
    batch, points, patch, dim = query_features.shape
    frames = key_maps.shape[1]
    xy = key_xy if xy_gradient else key_xy.detach()
    # Cell floor(x - 0.5) is the last whose centre, at i + 0.5, is not beyond x.
    corner = torch.floor(xy.detach() - 0.5)
    fraction = (xy - 0.5 - corner).to(key_maps.dtype)
    if min_gathered is None:
        min_gathered = MIN_GATHERED if key_maps.device.type == "cpu" else MIN_GATHERED_CUDA
    of_a_point = frames * (2 * radius + 2) ** 2 * dim
    # Points a block: as many as gather no more than that, at least one, and more where blocks would be too many.
    block = max(1, min_gathered // max(1, of_a_point), math.ceil(batch * points / MAX_BLOCKS))
    correlation: Tensor = _LocalDots.apply(
        rearrange(query_features.to(key_maps.dtype), "b p r d -> (b p) r d"),
        key_maps.contiguous(),
        rearrange(corner, "b p f xy -> (b p) f xy"),
        rearrange(fraction, "b p f xy -> (b p) f xy"),
        radius,
        block,
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
    corner = torch.floor(xy.detach() - 0.5)
    index = map_index[:, None] * (height * width) + _cells_around(corner, height, width, radius)
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
        maps: Float[Tensor, "b f h w d"],
        corner: Float[Tensor, "p f 2"],
        fraction: Float[Tensor, "p f 2"],
        radius: int,
        block: int,
    ) -> Float[Tensor, "p f r o"]:
        ctx.save_for_backward(query, maps, corner, fraction)
        ctx.radius = radius
        ctx.block = block
        side = 2 * radius + 1
        result = query.new_empty(*corner.shape[:2], side**2, query.shape[1])
        with torch.autocast(query.device.type, enabled=False):
            for part, _, gathered in _point_blocks(maps, corner, radius, block):
                dots = _per_cell(gathered @ query[part].mT, side + 1)
                _blended(dots, fraction[part], out=_per_cell(result[part], side))
        return result

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: Float[Tensor, "p f r o"]
    ) -> tuple[Float[Tensor, "p o d"], Float[Tensor, "b f h w d"], None, Float[Tensor, "p f 2"] | None, None, None]:
        query, maps, corner, fraction = ctx.saved_tensors
        grad = grad.contiguous()
        side = 2 * ctx.radius + 1
        query_grad = torch.empty_like(query)
        key_grad = torch.zeros_like(maps)
        fraction_grad = torch.empty_like(fraction) if ctx.needs_input_grad[3] else None
        with torch.autocast(query.device.type, enabled=False):
            for part, rows, gathered in _point_blocks(maps, corner, ctx.radius, ctx.block):
                square = _per_cell(grad[part], side)
                if fraction_grad is not None:
                    dots = _per_cell(gathered @ query[part].mT, side + 1)
                    fraction_grad[part] = _fraction_gradient(dots, square, fraction[part])
                dots_grad = _unblended(square, fraction[part])
                dots_grad = dots_grad.view(len(gathered), -1, query.shape[1])
                torch.matmul(dots_grad.mT, gathered, out=query_grad[part])
                torch.matmul(dots_grad, query[part], out=gathered)  # no longer needed: its memory serves the gradient
                key_grad.flatten(0, 3).index_add_(0, rows, gathered.flatten(0, 1))
        return query_grad, key_grad, None, fraction_grad, None, None


def _point_blocks(
    maps: Float[Tensor, "b f h w d"],
    corner: Float[Tensor, "p f 2"],
    radius: int,
    block: int,
) -> Iterator[tuple[slice, Int[Tensor, " rows"], Float[Tensor, "block fm d"]]]:
    """Slices of the points of all clips, the rows of their cells in the flattened maps, and the keys (p fm d) there.

    The keys come in the same memory each time.
    """
    batch, frames, height, width, dim = maps.shape
    keys = maps.flatten(0, 3)
    points = len(corner)
    clip = torch.arange(points, device=maps.device) // max(1, points // batch)
    # Maps lie clip by clip and frame by frame: where that of each point's frame begins.
    first = (clip[:, None] * frames + torch.arange(frames, device=maps.device)) * (height * width)
    buffer = keys.new_empty(min(block, points) * frames * (2 * radius + 2) ** 2, dim)
    for start in range(0, points, block):
        part = slice(start, start + block)
        rows = (_cells_around(corner[part], height, width, radius) + first[part, :, None]).flatten()
        gathered = torch.index_select(keys, 0, rows, out=buffer[: len(rows)])
        yield part, rows, gathered.view(len(first[part]), -1, dim)


def _per_cell(
    values: Float[Tensor, "p *cells c"],
    side: int,
) -> Float[Tensor, "p f {side} {side} c"]:
    """View (p fm c) or (p f m c) as (p f y x c) of side x side cells."""
    return values.view(len(values), -1, side, side, values.shape[-1])


def _cells_around(
    corner: Float[Tensor, "*batch 2"],
    height: int,
    width: int,
    radius: int,
) -> Int[Tensor, "*batch cells"]:
    """Flat indices of the (2*radius + 2)^2 cells whose centres surround a patch, from the middle ones' first (x, y)."""
    offsets = torch.arange(-radius, radius + 2, device=corner.device)
    columns = (corner[..., 0, None].long() + offsets).clamp(0, width - 1)
    rows = (corner[..., 1, None].long() + offsets).clamp(0, height - 1)
    cell = rearrange(rows, "... y -> ... y 1") * width + rearrange(columns, "... x -> ... 1 x")
    return rearrange(cell, "... y x -> ... (y x)")


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
    # An entry goes to its own cell and to the next one: a cell gets from its own entry and from the one before, and
    # there is none beyond either end.
    spread = F.pad(grad, (0, 0, 1, 1, 1, 1))
    spread = torch.lerp(spread[..., 1:, :, :], spread[..., :-1, :, :], along_y)
    return torch.lerp(spread[..., 1:, :], spread[..., :-1, :], along_x)


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
