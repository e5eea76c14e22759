"""The perspective three-point problem: the cameras from which three known points are seen in three directions."""

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.pose import pose_from, rotate

POLISHING_STEPS = 3
CLOSED = 1e-6
"""Largest error of a squared side, as a share of the mean one, for a solution to be real."""
SLENDER = 1e-4
"""Triangles of less area (doubled) than this share of the longest side's square count as a line."""


def p3p(
    rays_cam: Float[Tensor, "*b 3 3"], points_world: Float[Tensor, "*b 3 3"]
) -> tuple[Float[Tensor, "*b 4 4 4"], Bool[Tensor, "*b 4"]]:
    """Return the up to four ``cam_from_world`` under which three points lie on three rays, and which are real.

    Args:
        rays_cam: Unit directions in the camera frame, one a row, fp64.
        points_world: Their points, one a row; on a line there is no pose.

    Source: Grunert 1841, as given by Haralick et al. 1994, "Review and Analysis of Solutions of the Three Point
    Perspective Pose Estimation Problem", equations 9 to 12; the roots are polished by Newton steps on the distances.
    """
    sides = _squared_sides(points_world)
    scale = sides.mean(dim=-1, keepdim=True)
    proper = (scale[..., 0] > 0) & _spans_a_plane(points_world) & (sides > 1e-12 * scale).all(dim=-1)
    sides = torch.where(proper[..., None], sides / torch.where(scale > 0, scale, 1.0), 1.0)
    ray_0, ray_1, ray_2 = rays_cam.unbind(dim=-2)
    cosines = torch.stack(
        [
            (ray_1 * ray_2).sum(dim=-1),
            (ray_0 * ray_2).sum(dim=-1),
            (ray_0 * ray_1).sum(dim=-1),
        ],
        dim=-1,
    )
    distances = _ray_distances(sides, cosines)
    distances, closes = _polish(distances, sides[..., None, :], cosines[..., None, :])
    distances = distances * rearrange(scale.sqrt(), "... 1 -> ... 1 1")
    points_cam = distances[..., None] * rearrange(rays_cam, "... i xyz -> ... 1 i xyz")
    poses = _from_triangles(points_cam, rearrange(points_world, "... i xyz -> ... 1 i xyz"))
    in_front = (distances > 0).all(dim=-1)
    finite = poses.isfinite().all(dim=-1).all(dim=-1)
    real = proper[..., None] & closes & in_front & finite
    identity = torch.eye(4, dtype=poses.dtype, device=poses.device)
    return torch.where(real[..., None, None], poses, identity), real


def _squared_sides(points: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Return |p1 p2|^2, |p0 p2|^2, |p0 p1|^2."""
    # Side i lies opposite point i, as in the literature on triangles.
    point_0, point_1, point_2 = points.unbind(dim=-2)
    return torch.stack(
        [
            (point_1 - point_2).square().sum(dim=-1),
            (point_0 - point_2).square().sum(dim=-1),
            (point_0 - point_1).square().sum(dim=-1),
        ],
        dim=-1,
    )


def _spans_a_plane(points: Float[Tensor, "*b 3 3"]) -> Bool[Tensor, " *b"]:
    """Say where three points are not on a line: see SLENDER."""
    first = points[..., 1, :] - points[..., 0, :]
    second = points[..., 2, :] - points[..., 0, :]
    area = torch.linalg.vector_norm(torch.linalg.cross(first, second), dim=-1)
    longest = _squared_sides(points).amax(dim=-1)
    return area > SLENDER * longest


def _ray_distances(
    sides: Float[Tensor, "*b 3"],
    cosines: Float[Tensor, "*b 3"],
) -> Float[Tensor, "*b 4 3"]:
    """Return the distances of the three points for each root of Grunert's quartic (rough, real parts)."""
    a2, b2, c2 = sides.unbind(dim=-1)
    alpha, beta, gamma = cosines.unbind(dim=-1)
    minus = (a2 - c2) / b2
    plus = (a2 + c2) / b2
    a_b = a2 / b2
    c_b = c2 / b2
    quartic = torch.stack(
        [
            (minus - 1).square() - 4 * c_b * alpha.square(),
            4 * (minus * (1 - minus) * beta - (1 - plus) * alpha * gamma + 2 * c_b * alpha.square() * beta),
            2 * (minus.square() - 1 + 2 * minus.square() * beta.square() + 2 * (1 - c_b) * alpha.square()
                 - 4 * plus * alpha * beta * gamma + 2 * (1 - a_b) * gamma.square()),
            4 * (-minus * (1 + minus) * beta + 2 * a_b * gamma.square() * beta - (1 - plus) * alpha * gamma),
            (1 + minus).square() - 4 * a_b * gamma.square(),
        ],
        dim=-1,
    )  # fmt: skip
    # u and v are the second and third distance as shares of the first, one pair for each of the four roots.
    v = _quartic_roots(quartic)
    minus = minus[..., None]
    b2 = b2[..., None]
    alpha, beta, gamma = cosines[..., None].unbind(dim=-2)
    divisor = 2 * (gamma - v * alpha)
    # Where it is 0, u comes out huge, and the root is dropped unless the Newton steps bring the triangle to close.
    divisor = torch.where(divisor.abs() > 1e-9, divisor, 1e-9)
    u = ((minus - 1) * v.square() - 2 * minus * beta * v + 1 + minus) / divisor
    first = (b2 / (1 + v.square() - 2 * v * beta).clamp(min=1e-12)).sqrt()
    return torch.stack([first, u * first, v * first], dim=-1)


def _quartic_roots(coefficients: Float[Tensor, "*b 5"]) -> Float[Tensor, "*b 4"]:
    """Return the real parts of the roots, coefficients from the highest power down: companion matrix eigenvalues."""
    lead = coefficients[..., :1]
    rest = coefficients[..., 1:]
    smallest = 1e-12 * coefficients.abs().amax(dim=-1, keepdim=True).clamp(min=1e-300)
    lead = torch.where(lead.abs() > smallest, lead, smallest)
    companion = torch.zeros(*rest.shape, 4, dtype=rest.dtype, device=rest.device)
    companion[..., 0, :] = -rest / lead
    companion[..., 1:, :3] = torch.eye(3, dtype=rest.dtype, device=rest.device)
    return torch.linalg.eigvals(torch.where(companion.isfinite(), companion, 0.0)).real


def _polish(
    distances: Float[Tensor, "*b 4 3"],
    sides: Float[Tensor, "*b 1 3"],
    cosines: Float[Tensor, "*b 1 3"],
) -> tuple[Float[Tensor, "*b 4 3"], Bool[Tensor, "*b 4"]]:
    """Take Newton steps on d_i^2 + d_j^2 - 2 d_i d_j cos = side^2; say where they then hold (sides are about 1)."""
    for step in range(POLISHING_STEPS + 1):
        d0, d1, d2 = distances.unbind(dim=-1)
        alpha, beta, gamma = cosines.unbind(dim=-1)
        opposite = [
            d1.square() + d2.square() - 2 * d1 * d2 * alpha,
            d0.square() + d2.square() - 2 * d0 * d2 * beta,
            d0.square() + d1.square() - 2 * d0 * d1 * gamma,
        ]
        error = torch.stack(opposite, dim=-1) - sides
        if step == POLISHING_STEPS:
            break
        zero = torch.zeros_like(d0)
        # Row i is half the derivative of side i, which does not depend on distance i.
        rows = [
            zero, d1 - d2 * alpha, d2 - d1 * alpha,
            d0 - d2 * beta, zero, d2 - d0 * beta,
            d0 - d1 * gamma, d1 - d0 * gamma, zero,
        ]  # fmt: skip
        jacobian = 2 * rearrange(torch.stack(rows, dim=-1), "... (i j) -> ... i j", i=3)
        change, _ = torch.linalg.solve_ex(jacobian, error)
        solvable = change.isfinite().all(dim=-1, keepdim=True)
        distances = distances - torch.where(solvable, change, 0.0)
    return distances, (error.abs() < CLOSED).all(dim=-1)


def _from_triangles(
    points_cam: Float[Tensor, "*#b 3 3"], points_world: Float[Tensor, "*#b 3 3"]
) -> Float[Tensor, "*b 4 4"]:
    """Return the rigid transform between two congruent triangles."""
    cam_from_triangle = _triangle_axes(points_cam)
    world_from_triangle = _triangle_axes(points_world)
    rotation = einsum(cam_from_triangle, world_from_triangle, "... i k, ... j k -> ... i j")
    translation = points_cam.mean(dim=-2) - rotate(rotation, points_world.mean(dim=-2))
    return pose_from(rotation, translation)


def _triangle_axes(points: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """Return axes as columns: along the first side, in the plane, normal to it."""
    first = points[..., 1, :] - points[..., 0, :]
    second = points[..., 2, :] - points[..., 0, :]
    along = first / torch.linalg.vector_norm(first, dim=-1, keepdim=True)
    normal = torch.linalg.cross(along, second)
    normal = normal / torch.linalg.vector_norm(normal, dim=-1, keepdim=True)
    return torch.stack([along, torch.linalg.cross(normal, along), normal], dim=-1)
