"""Reading maps between pixels, and drawing query points from ground-truth tracks."""

from typing import Literal

import torch
from einops import pack, rearrange, unpack
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from mvt4g.geometry.pixels import to_grid_sample
from mvt4g.types import InputError

NO_POINT = -1
"""Point index of a query of a clip in which no point is seen."""


def bilinear_sample(
    maps: Float[Tensor, "*b c h w"],
    xy: Float[Tensor, "*b n 2"],
    stride: float | int = 1.0,
    padding: Literal["border", "zeros"] = "border",
) -> Float[Tensor, "*b n c"]:
    """Read maps at continuous positions, in fp32 or better; differentiable in both.

    Args:
        maps: One value per cell; cell (row, column) has its centre at ((column + 0.5), (row + 0.5)) * stride.
        xy: Positions in pixels, any value.
        stride: Pixels a cell covers on each side.
        padding: What lies outside: the value of the nearest border cell, or zeros.
    """
    precision = torch.promote_types(torch.promote_types(maps.dtype, xy.dtype), torch.float32)
    if xy.numel() == 0:
        return maps.new_zeros(*xy.shape[:-1], maps.shape[-3], dtype=precision)
    height, width = maps.shape[-2:]
    flat_maps, batch = pack([maps.to(precision)], "* c h w")
    flat_xy, _ = pack([xy.to(precision)], "* n xy")
    grid = rearrange(to_grid_sample(flat_xy / stride, height, width), "b n xy -> b n 1 xy")
    sampled = functional.grid_sample(flat_maps, grid, mode="bilinear", padding_mode=padding, align_corners=False)
    (values,) = unpack(rearrange(sampled, "b c n 1 -> b n c"), batch, "* n c")
    return values


def sample_queries(
    tracks: Float[Tensor, "b v t n 2"],
    visible: Bool[Tensor, "b v t n"],
    point_valid: Bool[Tensor, "b n"] | None,
    num_queries: int,
    generator: torch.Generator,
    frame_step: int = 1,
) -> tuple[Float[Tensor, "b q 4"], Int[Tensor, "b q"]]:
    """Draw query points: random points, each at a random (view, frame) in which it is seen.

    Points are drawn without replacement; when fewer are seen than asked for, all are drawn equally often (to within
    one). The draw depends on the generator alone, whichever device the tracks are on.

    Args:
        tracks: Pixels (x, y).
        visible: True where a point is seen.
        point_valid: False for padding; None when there is none.
        num_queries: Queries per clip, at least 1.
        generator: Source of all randomness.
        frame_step: Only frames that are multiples of it are drawn, e.g. those with a latent of their own.

    Returns:
        Queries (view, frame, x, y) and the index of each query's point on axis n. A clip in which no point is ever
        seen gets index -1 and queries at the centre of the first pixel of view 0, frame 0.

    Raises:
        InputError: If a count is under 1.
    """
    if num_queries < 1 or frame_step < 1:
        raise InputError(f"num_queries, frame_step: got {num_queries}, {frame_step}, want both at least 1")
    seen = visible[:, :, ::frame_step]
    if point_valid is not None:
        seen = seen & rearrange(point_valid, "b n -> b 1 1 n")
    num_frames = seen.shape[2]
    seen = rearrange(seen, "b v t n -> b n (v t)")
    if seen.shape[1] == 0:
        seen = seen.new_zeros(seen.shape[0], 1, seen.shape[2])  # one point that is never seen
    point, drawn = _draw_points(seen.any(dim=-1), num_queries, generator)

    # The largest of random keys among the moments at which a point is seen is a fair draw of one of them.
    batch = torch.arange(len(seen), device=seen.device)[:, None]
    moments = seen[batch, point]
    keys = _uniform(moments.shape, generator, seen.device)
    moment = keys.masked_fill(~moments, -1.0).argmax(dim=-1)
    view = moment // num_frames
    frame = moment % num_frames * frame_step

    nowhere = tracks.new_tensor([0.0, 0.0, 0.5, 0.5]).expand(*point.shape, 4)
    if tracks.shape[3] == 0:
        return nowhere.clone(), torch.full_like(point, NO_POINT)
    when_and_where = torch.stack([view.to(tracks.dtype), frame.to(tracks.dtype)], dim=-1)
    queries = torch.cat([when_and_where, tracks[batch, view, frame, point]], dim=-1)
    return torch.where(drawn[..., None], queries, nowhere), point.masked_fill(~drawn, NO_POINT)


def _draw_points(
    ever_seen: Bool[Tensor, "b n"],
    num_queries: int,
    generator: torch.Generator,
) -> tuple[Int[Tensor, "b q"], Bool[Tensor, "b q"]]:
    """Shuffle the points that are ever seen and deal them round; the mask is False where there are none."""
    keys = _uniform(ever_seen.shape, generator, ever_seen.device)
    order = keys.masked_fill(~ever_seen, -1.0).argsort(dim=-1, descending=True)
    num_seen = ever_seen.sum(dim=-1, keepdim=True)
    rank = torch.arange(num_queries, device=ever_seen.device) % num_seen.clamp(min=1)
    return order.gather(-1, rank), (num_seen > 0).expand_as(rank)


def _uniform(
    shape: torch.Size,
    generator: torch.Generator,
    device: torch.device,
) -> Float[Tensor, "..."]:
    """Draw from [0, 1) on the generator's device, so that the numbers are the same wherever the data is."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device)
