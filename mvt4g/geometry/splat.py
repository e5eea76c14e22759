"""Points onto pixels: the nearest point of each pixel, or the discs that cover it, nearest first."""

import math

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import rotate

NO_POINT = -1
"""Index of a pixel on which no point lies."""
SOFTNESS = 50.0
"""Exponent of the soft blend at the farthest point."""


def splat_nearest(
    points_cam: Float[Tensor, "n 3"],
    intrinsics: Float[Tensor, "3 3"],
    height: int,
    width: int,
) -> tuple[Int[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Say which point each pixel shows when every point covers the one pixel that it falls into.

    Args:
        points_cam: Frame of the camera, scene units; points behind it or not finite are left out.
        intrinsics: K, in pixels of the image.
        height: Image rows.
        width: Image columns.

    Returns:
        The index of the nearest point, the lowest one among equally near points, NO_POINT where there is none; and
        its z-depth, infinite where there is none.
    """
    with torch.no_grad():
        xy, kept = _project(points_cam, intrinsics)
        kept &= (xy >= 0).all(dim=-1) & (xy[:, 0] < width) & (xy[:, 1] < height)
        point = kept.nonzero()[:, 0]
        column, row = xy[point].long().unbind(dim=-1)
        pixel = row * width + column
        z = points_cam[point, 2]
        first = first_at_pixels(pixel, z, height * width)
        seen = first != NO_POINT
        index = pixel.new_full((height * width,), NO_POINT)
        index[seen] = point[first[seen]]
        depth = z.new_full((height * width,), torch.inf)
        depth[seen] = z[first[seen]]
        return rearrange(index, "(h w) -> h w", h=height), rearrange(depth, "(h w) -> h w", h=height)


def first_at_pixels(
    pixel: Int[Tensor, " p"],
    depth: Float[Tensor, " p"],
    num_pixels: int,
) -> Int[Tensor, " {num_pixels}"]:
    """Return the nearest entry of every pixel, the lowest among equally near ones, NO_POINT where there is none.

    Args:
        pixel: The pixel of each entry, under ``num_pixels``.
        depth: Its depth, over 0.
        num_pixels: How many pixels there are.
    """
    none = len(pixel)
    number = torch.arange(none, device=pixel.device)
    if depth.dtype == torch.float32:
        # The bits of positive floats order as the floats do: depth above, number below make one key for one pass.
        key = (depth.contiguous().view(torch.int32).long() << 32) | number
        nothing = torch.iinfo(torch.int64).max
        best = key.new_full((num_pixels,), nothing).scatter_reduce(0, pixel, key, "amin")
        return torch.where(best == nothing, NO_POINT, best & 0xFFFFFFFF)
    nearest = depth.new_full((num_pixels,), torch.inf).scatter_reduce(0, pixel, depth, "amin")
    front = depth == nearest[pixel]
    first = pixel.new_full((num_pixels,), none).scatter_reduce(0, pixel[front], number[front], "amin")
    return torch.where(first == none, NO_POINT, first)


def splat_soft(
    xy: Float[Tensor, "n 2"],
    depth: Float[Tensor, " n"],
    values: Float[Tensor, "c n"],
    image_size: tuple[int, int],
) -> tuple[Float[Tensor, "c h w"], Bool[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Spread every point over the four pixel centres about it and average, nearer points weighing far more.

    The weight is the bilinear share times ``exp(-50 log(1 + z) / log(1 + z_max))``. This is no depth test: two
    surfaces a tenth apart blend where a third is far off. It depends on the unit of depth and on the farthest point. A
    pixel that any point touches counts as seen, so that surfaces grow by up to a pixel. Public code gives a point that
    lies exactly on a pixel centre four shares; here it has one.

    Args:
        xy: Pixels (x, y).
        depth: z-depths, over 0.
        values: Of each point.
        image_size: (height, width).

    Returns:
        Values, 0 where nothing is seen; where something is; and the mean depth, 0 where nothing is.

    Source: the forward warp of GEN3C (arXiv 2503.03751), TrajectoryCrafter (arXiv 2503.05638) and CogNVS (arXiv
        2507.12646).
    """
    height, width = image_size
    nearness = depth
    if len(depth):
        # At most 80, for exp would become 0: a point far behind the rest still counts where it is alone.
        exponent = SOFTNESS * depth.log1p() / depth.log1p().amax()
        nearness = torch.exp(-exponent.clamp(max=80))
    corner = (xy - 0.5).floor()
    share = xy - 0.5 - corner
    total = values.new_zeros(len(values) + 2, height * width, dtype=torch.float64)
    # Values, depth and a one go together; float64, since sums of shares of very different size meet in a pixel.
    one = torch.ones_like(depth[None])
    carried = torch.cat([values.double(), depth[None].double(), one.double()])
    for right in (0, 1):
        for down in (0, 1):
            column = (corner[:, 0] + right).long()
            row = (corner[:, 1] + down).long()
            of_x = share[:, 0] if right else 1 - share[:, 0]
            of_y = share[:, 1] if down else 1 - share[:, 1]
            weight = of_x * of_y * nearness
            in_image = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            inside = in_image & (weight > 0)
            place = (row * width + column)[inside]
            total.index_add_(1, place, carried[:, inside] * weight[inside].double())
    weight = total[-1]
    mask = weight > 0
    mean = torch.where(mask, total[:-1] / torch.where(mask, weight, 1.0), 0.0)
    pictures = rearrange(mean, "c (h w) -> c h w", h=height)
    seen = rearrange(mask, "(h w) -> h w", h=height)
    return pictures[:-1].to(values.dtype), seen, pictures[-1].to(values.dtype)


def splat_discs(
    points_cam: Float[Tensor, "n 3"],
    intrinsics: Float[Tensor, "3 3"],
    height: int,
    width: int,
    radius_px: float | int,
    points_per_pixel: int,
) -> tuple[Int[Tensor, "h w k"], Float[Tensor, "h w k"]]:
    """Cover pixels by discs that fade from their centres and blend them front to back.

    A disc's opacity at a pixel centre at distance d is 1 - d² / radius². There is no depth test: what lies behind
    shines through.

    Args:
        points_cam: Frame of the camera, scene units; points behind it or not finite are left out.
        intrinsics: K, in pixels of the image.
        height: Image rows.
        width: Image columns.
        radius_px: Radius of every disc, whatever its depth.
        points_per_pixel: How many of the nearest discs a pixel blends.

    Returns:
        The indices of the discs over each pixel, nearest first, NO_POINT after the last; and their weights, 0 there.
        The weights of a pixel add up to less than 1.

    Source: PyTorch3D's ``rasterize_points`` and ``AlphaCompositor`` (Ravi et al., arXiv 2007.08501).
    """
    with torch.no_grad():
        xy, kept = _project(points_cam, intrinsics)
        point = kept.nonzero()[:, 0]
        point = point[points_cam[point, 2].argsort(stable=True)]
        point, pixel, square = _cover(xy, point, height, width, radius_px)
        pixel, order = pixel.sort(stable=True)  # of one pixel, nearest first
        point = point[order]
        square = square[order]
        # Pixels are sorted: how far an entry is from the first of its pixel is its rank there.
        rank = torch.arange(len(pixel), device=pixel.device) - torch.searchsorted(pixel, pixel)
        first = rank < points_per_pixel
        slot = pixel[first] * points_per_pixel + rank[first]
        index = point.new_full((height * width * points_per_pixel,), NO_POINT)
        index[slot] = point[first]
        opacity = square.new_zeros(len(index))
        opacity[slot] = 1 - square[first] / radius_px**2
        opacity = rearrange(opacity, "(h w k) -> h w k", h=height, w=width)
        passed = torch.cumprod(1 - opacity, dim=-1)
        # A disc lets through what its opacity leaves of what the discs before it let through.
        behind = torch.cat([torch.ones_like(passed[..., :1]), passed[..., :-1]], dim=-1)
        return rearrange(index, "(h w k) -> h w k", h=height, w=width), opacity * behind


def _project(
    points_cam: Float[Tensor, "n 3"], intrinsics: Float[Tensor, "3 3"]
) -> tuple[Float[Tensor, "n 2"], Bool[Tensor, " n"]]:
    """Return pixels (x, y) and whether they are finite and in front; no least depth, so that no unit is special."""
    z = points_cam[:, 2]
    in_front = z > 0
    xy = rotate(intrinsics, points_cam)[:, :2] / torch.where(in_front, z, 1.0)[:, None]
    return xy, in_front & xy.isfinite().all(dim=-1)


def _cover(
    xy: Float[Tensor, "n 2"],
    point: Int[Tensor, " m"],
    height: int,
    width: int,
    radius_px: float,
) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"], Float[Tensor, " k"]]:
    """Pair points with the pixels whose centres they cover, and the squared distance; points stay in their order."""
    reach = math.ceil(radius_px)
    place = xy[point]
    near = (place > -reach).all(dim=-1) & (place[:, 0] < width + reach) & (place[:, 1] < height + reach)
    point = point[near]
    side = 2 * reach + 1
    window = pixel_centres(side, side, device=xy.device).flatten(0, 1) - (reach + 0.5)
    cell = rearrange(xy[point].floor(), "n xy -> n 1 xy") + window
    square = (cell + 0.5 - xy[point, None]).square().sum(dim=-1)
    inside = (cell >= 0).all(dim=-1) & (cell[..., 0] < width) & (cell[..., 1] < height)
    number, place = (inside & (square < radius_px**2)).nonzero(as_tuple=True)
    column, row = cell[number, place].long().unbind(dim=-1)
    return point[number], row * width + column, square[number, place]
