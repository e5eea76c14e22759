"""Where the pixels of one camera, lifted by their depth, lie in another; and which of them lie on a depth edge."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mvt4g.types import Cameras

EDGE_WINDOW = 5
EDGE_TOLERANCE = 0.05
"""GEN3C's rule (arXiv 2503.03751): the depths of a 5x5 window spread over less than 5 % of their mean."""

CACHED_PIXELS = 2**14
"""Pixels that are worked on at once."""


def reproject(
    depth: Float[Tensor, "h w"], source: Cameras, target: Cameras
) -> tuple[Float[Tensor, "h w 2"], Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """Return where every pixel centre of the source lies in the target, in float64.

    The pixel p of depth d goes to d K' R K^-1 p + K' t: one matrix for all pixels, so that no point of the world, whose
    coordinates may be large, is rounded on the way. A camera moved by b along x moves a plane at depth z by f b / z.

    Args:
        depth: z-depth of the source's pixel centres, scene units; 0 or non-finite = none.
        source: One camera; K in pixels of ``depth``.
        target: One camera; K in pixels of the image rendered.

    Returns:
        Pixels (x, y) of the target, its z-depths in scene units, and the mask of the pixels that have a depth and lie
        in front of the target; where it is False the numbers mean nothing.
    """
    height, width = depth.shape
    xy = torch.empty(height, width, 2, dtype=torch.float64, device=depth.device)
    z = torch.empty(height, width, dtype=torch.float64, device=depth.device)
    kept = torch.empty(height, width, dtype=torch.bool, device=depth.device)
    for rows, x, y, distance, seen in reproject_rows(depth, source, target):
        xy[rows, :, 0] = x
        xy[rows, :, 1] = y
        z[rows] = distance
        kept[rows] = seen
    return xy, z, kept


def reproject_rows(
    depth: Float[Tensor, "h w"],
    source: Cameras,
    target: Cameras,
) -> Iterator[tuple[slice, Float[Tensor, "r w"], Float[Tensor, "r w"], Float[Tensor, "r w"], Bool[Tensor, "r w"]]]:
    """Yield what ``reproject`` returns, some rows at a time: which rows, x, y, depth and mask.

    Rows are few enough for the processor's cache to hold all intermediate values of one step.
    """
    source_from_world = source.cam_from_world.double()
    target_from_source = target.cam_from_world.double() @ torch.linalg.inv(source_from_world)
    intrinsics = target.intrinsics.double()
    inverse_source = torch.linalg.inv(source.intrinsics.double())
    pixel_from_pixel = intrinsics @ target_from_source[:3, :3] @ inverse_source
    offset = intrinsics @ target_from_source[:3, 3]
    height, width = depth.shape
    column = torch.arange(width, dtype=torch.float64, device=depth.device) + 0.5
    size = max(1, CACHED_PIXELS // width)
    for top in range(0, height, size):
        rows = slice(top, min(top + size, height))
        number = torch.arange(rows.start, rows.stop, dtype=torch.float64, device=depth.device)
        row = number[:, None] + 0.5
        distance = depth[rows].double()
        moved = []
        for (of_x, of_y, of_one), shift in zip(pixel_from_pixel, offset, strict=True):
            ray = of_x * column + (of_y * row + of_one)
            # In place: the step's values then stay in the cache.
            moved.append(ray.mul_(distance).add_(shift))
        x, y, z = moved
        kept = (z > 0) & (distance > 0) & (distance < torch.inf)
        inverse = torch.where(kept, z, 1.0).reciprocal_()
        yield rows, x.mul_(inverse), y.mul_(inverse), z, kept


def smooth_depth(
    depth: Float[Tensor, "h w"],
    window: int = EDGE_WINDOW,
    tolerance: float = EDGE_TOLERANCE,
) -> Bool[Tensor, "h w"]:
    """Return which pixels have a depth and lie on one surface; along depth edges lifted points float in the air.

    The depths of the window about a pixel, as far as there are any, spread over less than ``tolerance`` of their mean.

    Args:
        depth: z-depth, scene units; 0 or non-finite = none.
        window: Pixels a side, odd.
        tolerance: Share of the mean depth.
    """
    known = depth.isfinite() & (depth > 0)
    reach = window // 2
    farthest = _over_window(torch.where(known, depth, -torch.inf), reach, torch.maximum, -torch.inf)
    nearest = _over_window(torch.where(known, depth, torch.inf), reach, torch.minimum, torch.inf)
    total = _over_window(torch.where(known, depth, 0.0), reach, torch.add, 0.0)
    count = _over_window(known.to(depth.dtype), reach, torch.add, 0.0)
    # spread < tolerance * total / count, without the division.
    return known & ((farthest - nearest) * count < tolerance * total)


def _over_window(
    maps: Float[Tensor, "h w"],
    reach: int,
    combine: Callable[[Float[Tensor, "h w"], Float[Tensor, "h w"]], Float[Tensor, "h w"]],
    outside: float,
) -> Float[Tensor, "h w"]:
    """Combine every pixel with those up to ``reach`` away, first along rows, then along columns."""
    for axis, pads in ((1, (reach, reach, 0, 0)), (0, (0, 0, reach, reach))):
        length = maps.shape[axis]
        padded = F.pad(maps, pads, value=outside)
        maps = padded.narrow(axis, 0, length)
        for shift in range(1, 2 * reach + 1):
            maps = combine(maps, padded.narrow(axis, shift, length))
    return maps
