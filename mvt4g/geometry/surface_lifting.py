"""Points on a depth map's surfaces to points of the world: near the edge of an object only its own pixels are read."""

from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.geometry.camera import unproject_pixels

SAME_SURFACE = 0.05
"""Largest difference of inverse depths, as a share of the larger, of two neighbours that are taken for one surface."""
_WINDOW = 4
"""Pixels a side that a plane is fitted to where not all four neighbours of a point lie on its surface."""
_LEAST_FOR_PLANE = 4
"""Pixels that a plane is fitted to; three would fit it without any check."""
_RIDGE = 1e-6
"""Pull of a plane's slope towards 0, which settles it where pixels in a row leave it open."""


@dataclass(frozen=True)
class _Window:
    """The pixels about each point.

    Attributes:
        inverse: Inverse depth, 0 where there is none.
        known: True where there is one.
        offset: From the point to the pixel's centre, pixels (x, y).
        instance: Ids, if the map has them.
    """

    inverse: Float[Tensor, "b n k"]
    known: Bool[Tensor, "b n k"]
    offset: Float[Tensor, "b n k 2"]
    instance: Int[Tensor, "b n k"] | None


def lift_on_surface(
    pixels: Float[Tensor, "b n 2"],
    depth: Float[Tensor, "b h w"],
    cam_from_world: Float[Tensor, "b 4 4"],
    intrinsics: Float[Tensor, "b 3 3"],
    instances: Int[Tensor, "b h w"] | None = None,
    point_instance: Int[Tensor, " n"] | None = None,
) -> tuple[Float[Tensor, "b n 3"], Bool[Tensor, "b n"]]:
    """Return world points of pixels, read on the surface that each point lies on, and where there is one.

    A point's surface is its instance where ids are given; else what the pixel that it falls into shows, as far as the
    inverse depths differ by less than ``SAME_SURFACE``. Where all four neighbours are of the surface, inverse depth is
    read bilinearly, which is exact on planes. Where some are not, a plane is fitted to those of the surface in a
    window of 4x4 pixels; where these are fewer than four, the nearest is taken.

    Args:
        pixels: Anywhere; outside the image and NaN there is no point.
        depth: z-depth of pixel centres, scene units, 0 or non-finite = none.
        cam_from_world: Cameras of the maps.
        intrinsics: K, in pixels of ``depth``.
        instances: Ids of the pixels.
        point_instance: Id of each point; both or none.
    """
    height, width = depth.shape[-2:]
    size = pixels.new_tensor([width, height])
    inside = pixels.isfinite().all(dim=-1) & ((pixels >= 0) & (pixels < size)).all(dim=-1)
    pixels = torch.where(inside[..., None], pixels, 0.0).double()
    window = _read_window(pixels, depth, instances)
    if window.instance is not None and point_instance is not None:
        own = window.known & (window.instance == point_instance[:, None])
    else:
        own = _same_surface(window)
    inverse = _bilinear(window, own)
    fitted = _fit_plane(window, own)
    inverse = torch.where(inverse.isfinite(), inverse, fitted)
    known = inside & inverse.isfinite()
    inverse = torch.where(known, inverse, 1.0)
    cameras = (rearrange(matrix.double(), "b i j -> b 1 i j") for matrix in (cam_from_world, intrinsics))
    return unproject_pixels(pixels, inverse.reciprocal(), *cameras).float(), known


def _read_window(
    pixels: Float[Tensor, "b n 2"], depth: Float[Tensor, "b h w"], instances: Int[Tensor, "b h w"] | None
) -> _Window:
    """Read 4x4 pixels about each point, its four neighbours in the middle; pixels outside the image are not known."""
    height, width = depth.shape[-2:]
    before = _WINDOW // 2 - 1
    steps = torch.arange(_WINDOW, device=pixels.device) - before
    # The neighbour before a point is the last pixel whose centre, at i + 0.5, is not beyond it.
    corner = (pixels - 0.5).floor().long()
    column = repeat(corner[..., :1] + steps, "b n x -> b n (y x)", y=_WINDOW)
    row = repeat(corner[..., 1:] + steps, "b n y -> b n (y x)", x=_WINDOW)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    offset = torch.stack([column, row], dim=-1) + 0.5 - pixels[..., None, :]
    column = column.clamp(0, width - 1)  # to be read; what lies outside is not known
    row = row.clamp(0, height - 1)
    batch = torch.arange(len(depth), device=depth.device)[:, None, None]
    values = depth[batch, row, column].double()
    known = inside & values.isfinite() & (values > 0)
    inverse = torch.where(known, torch.where(known, values, 1.0).reciprocal(), 0.0)
    return _Window(inverse, known, offset, None if instances is None else instances[batch, row, column])


def _same_surface(window: _Window) -> Bool[Tensor, "b n k"]:
    """Return which pixels show what the nearest one shows; none where that one has no depth."""
    nearest = window.offset.square().sum(dim=-1).argmin(dim=-1, keepdim=True)
    centre = window.inverse.gather(-1, nearest)
    difference = (window.inverse - centre).abs()
    alike = difference <= SAME_SURFACE * torch.maximum(window.inverse, centre)
    return window.known & alike & window.known.gather(-1, nearest)


def _bilinear(window: _Window, own: Bool[Tensor, "b n k"]) -> Float[Tensor, "b n"]:
    """Return the reading of the four neighbours; NaN where one of them that counts is not of the surface."""
    weights = (1 - window.offset.abs()).clamp(min=0).prod(dim=-1)
    complete = ((weights * ~own).sum(dim=-1) < 1e-9) & own.any(dim=-1)
    return torch.where(complete, (weights * window.inverse).sum(dim=-1), torch.nan)


def _fit_plane(window: _Window, own: Bool[Tensor, "b n k"]) -> Float[Tensor, "b n"]:
    """Return a plane's inverse depth at the point, from the pixels of its surface; NaN where there is none.

    It stays within the range of these pixels, widened by its own width: a plane may be continued by a pixel, no more.
    """
    distance = window.offset.square().sum(dim=-1)
    weights = own * torch.exp(-0.5 * distance)  # a surface may bend: near pixels tell more
    count = own.sum(dim=-1)
    nearest = distance.masked_fill(~own, torch.inf).argmin(dim=-1, keepdim=True)
    at_nearest = window.inverse.gather(-1, nearest)[..., 0]

    basis = torch.cat([torch.ones_like(window.inverse)[..., None], window.offset], dim=-1)
    normal = torch.einsum("bnk,bnki,bnkj->bnij", weights, basis, basis)
    right = torch.einsum("bnk,bnki,bnk->bni", weights, basis, window.inverse)
    ridge = _RIDGE * torch.diag(torch.tensor([0.0, 1.0, 1.0], dtype=normal.dtype, device=normal.device))
    enough = count >= _LEAST_FOR_PLANE
    identity = torch.eye(3, dtype=normal.dtype, device=normal.device)
    normal = torch.where(enough[..., None, None], normal + ridge, identity)
    plane = torch.linalg.solve(normal, right[..., None])[..., 0, 0]

    # Few pixels, almost in a row, can tilt a plane without bounds.
    low = window.inverse.masked_fill(~own, torch.inf).amin(dim=-1)
    high = window.inverse.masked_fill(~own, -torch.inf).amax(dim=-1)
    plane = torch.minimum(torch.maximum(plane, 2 * low - high), 2 * high - low)
    usable = enough & (plane > 0)
    found = torch.where(usable, plane, at_nearest)
    return torch.where(count > 0, found, torch.nan)
