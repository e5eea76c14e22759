"""Points onto pixels: the nearest point of each pixel, or the discs that cover it, nearest first."""

import math

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import rotate

NO_POINT = -1
"""Index of a pixel on which no point lies."""


def splat_nearest(
    points_cam: Float[Tensor, "n 3"], intrinsics: Float[Tensor, "3 3"], height: int, width: int
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
        depth = z.new_full((height * width,), torch.inf).scatter_reduce(0, pixel, z, "amin")
        front = z == depth[pixel]
        none = len(points_cam)
        index = pixel.new_full((height * width,), none).scatter_reduce(0, pixel[front], point[front], "amin")
        index = torch.where(index == none, NO_POINT, index)
        return rearrange(index, "(h w) -> h w", h=height), rearrange(depth, "(h w) -> h w", h=height)


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
        point, square = point[order], square[order]
        rank = torch.arange(len(pixel), device=pixel.device) - torch.searchsorted(pixel, pixel)
        first = rank < points_per_pixel
        slot = pixel[first] * points_per_pixel + rank[first]
        index = point.new_full((height * width * points_per_pixel,), NO_POINT)
        index[slot] = point[first]
        opacity = square.new_zeros(len(index))
        opacity[slot] = 1 - square[first] / radius_px**2
        opacity = rearrange(opacity, "(h w k) -> h w k", h=height, w=width)
        passed = torch.cumprod(1 - opacity, dim=-1)
        behind = torch.cat([torch.ones_like(passed[..., :1]), passed[..., :-1]], dim=-1)
        return rearrange(index, "(h w k) -> h w k", h=height, w=width), opacity * behind


def _project(points_cam: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Return pixels (x, y) and whether they are finite and in front; no least depth, so that no unit is special."""
    z = points_cam[:, 2]
    in_front = z > 0
    xy = rotate(intrinsics, points_cam)[:, :2] / torch.where(in_front, z, 1.0)[:, None]
    return xy, in_front & xy.isfinite().all(dim=-1)


def _cover(xy: Tensor, point: Tensor, height: int, width: int, radius_px: float) -> tuple[Tensor, Tensor, Tensor]:
    """Pair points with the pixels whose centres they cover, and the squared distance; points stay in their order."""
    reach = math.ceil(radius_px)
    near = (xy[point] > -reach).all(dim=-1) & (xy[point, 0] < width + reach) & (xy[point, 1] < height + reach)
    point = point[near]
    window = pixel_centres(2 * reach + 1, 2 * reach + 1, device=xy.device).flatten(0, 1) - (reach + 0.5)
    cell = rearrange(xy[point].floor(), "n xy -> n 1 xy") + window
    square = (cell + 0.5 - xy[point, None]).square().sum(dim=-1)
    inside = (cell >= 0).all(dim=-1) & (cell[..., 0] < width) & (cell[..., 1] < height)
    number, place = (inside & (square < radius_px**2)).nonzero(as_tuple=True)
    column, row = cell[number, place].long().unbind(dim=-1)
    return point[number], row * width + column, square[number, place]
