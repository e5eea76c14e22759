"""Whether two pixels of two views can show one point."""

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.pose import rotate

NO_BASELINE = 1e-6
"""Distance of two camera centres, scene units, under which they count as one."""


def epipolar_distance(
    pixels_a: Float[Tensor, "*b n 2"],
    pixels_b: Float[Tensor, "*b n 2"],
    intrinsics_a: Float[Tensor, "*b 3 3"],
    intrinsics_b: Float[Tensor, "*b 3 3"],
    b_from_a: Float[Tensor, "*b 4 4"],
) -> Float[Tensor, "*b n"]:
    """Return how far pixels are from showing one point: Sampson's distance, pixels, in float64.

    It is, to first order, how far both pixels together must move for their rays to meet. Cameras of one centre have no
    epipolar line but one place for every pixel: there it is the distance of ``pixels_b`` to that place, infinite for a
    pixel of a that lies behind b.

    Args:
        pixels_a: Pixels (x, y) of view a.
        pixels_b: Their matches in view b.
        intrinsics_a: K of view a.
        intrinsics_b: K of view b.
        b_from_a: Takes points of camera a to camera b, scene units.

    Source: Hartley & Zisserman, Multiple View Geometry (2nd ed.), Eq. 11.9 and section 13.1.
    """
    inverse_a = torch.linalg.inv(intrinsics_a.double())
    inverse_b = torch.linalg.inv(intrinsics_b.double())
    pose = b_from_a.double()
    rays_a = _apply(inverse_a, _homogeneous(pixels_a))
    rays_b = _apply(inverse_b, _homogeneous(pixels_b))
    turned_a = _apply(pose[..., :3, :3], rays_a)
    baseline = torch.linalg.vector_norm(pose[..., :3, 3], dim=-1)
    direction = pose[..., :3, 3] / baseline.clamp(min=NO_BASELINE)[..., None]
    direction = rearrange(direction, "... i -> ... 1 i")
    # E a = t x (R a) and E^T b = R^T (b x t): normals of the plane that a ray and the baseline span.
    normal_b = torch.linalg.cross(direction.expand_as(turned_a), turned_a)
    crossed_b = torch.linalg.cross(rays_b, direction.expand_as(rays_b))
    normal_a = _apply(pose[..., :3, :3].mT, crossed_b)
    line_in_a = _apply(inverse_a.mT, normal_a)[..., :2]
    line_in_b = _apply(inverse_b.mT, normal_b)[..., :2]
    lines = torch.cat([line_in_a, line_in_b], dim=-1)
    gap = (rays_b * normal_b).sum(dim=-1).abs()
    sampson = gap / torch.linalg.vector_norm(lines, dim=-1).clamp(min=1e-12)

    seen = _apply(intrinsics_b.double(), turned_a)
    place = seen[..., :2] / seen[..., 2:].clamp(min=1e-12)
    transfer = torch.linalg.vector_norm(place - pixels_b, dim=-1)
    transfer = torch.where(seen[..., 2] > 0, transfer, torch.inf)
    return torch.where(baseline[..., None] > NO_BASELINE, sampson, transfer)


def epipolar_distances(
    pixels_a: Float[Tensor, "n 2"],
    pixels_b: Float[Tensor, "m 2"],
    intrinsics_a: Float[Tensor, "*b 3 3"],
    intrinsics_b: Float[Tensor, "*b 3 3"],
    b_from_a: Float[Tensor, "*b 4 4"],
) -> Float[Tensor, "*b n m"]:
    """Return ``epipolar_distance`` of every pixel of view a to every one of view b, for many pairs of cameras.

    Args:
        pixels_a: Pixels (x, y) of view a, the same for all cameras.
        pixels_b: Pixels of view b.
        intrinsics_a: K of view a.
        intrinsics_b: K of view b.
        b_from_a: Takes points of camera a to camera b, scene units.
    """
    cameras = b_from_a.shape[:-2]
    one_by_one = repeat(pixels_a, "n xy -> (n m) xy", m=len(pixels_b)).expand(*cameras, -1, -1)
    all_for_each = repeat(pixels_b, "m xy -> (n m) xy", n=len(pixels_a)).expand(*cameras, -1, -1)
    distance = epipolar_distance(one_by_one, all_for_each, intrinsics_a, intrinsics_b, b_from_a)
    return rearrange(distance, "... (n m) -> ... n m", n=len(pixels_a))


def _homogeneous(pixels: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 3"]:
    return torch.nn.functional.pad(pixels.double(), (0, 1), value=1.0)


def _apply(
    matrix: Float[Tensor, "*#b 3 3"],
    vectors: Float[Tensor, "*#b n 3"],
) -> Float[Tensor, "*b n 3"]:
    return rotate(rearrange(matrix, "... i j -> ... 1 i j"), vectors)
