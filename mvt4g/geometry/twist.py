"""Small motions of a camera: applying them, what they do to pixels, and how well a fit determines them.

A twist is (rotation vector in radians, translation in scene units), both in the camera frame: a camera-frame point X
moves to exp(rotation) X + translation.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.pose import compose, pose_from, rotation_from_axis_angle

RANK_TOLERANCE = 1e-14
"""Eigenvalues of an information matrix below this share of the largest count as this share: nearly undetermined."""


def apply_twist(
    cam_from_world: Float[Tensor, "*#b 4 4"],
    twist: Float[Tensor, "*#b 6"],
) -> Float[Tensor, "*b 4 4"]:
    """Move the points of the camera frame by a twist."""
    moved = pose_from(rotation_from_axis_angle(twist[..., :3]), twist[..., 3:])
    return compose(moved, cam_from_world)


def projection_jacobian(
    points_cam: Float[Tensor, "*#b 3"], intrinsics: Float[Tensor, "*#b 3 3"]
) -> Float[Tensor, "*b 2 6"]:
    """Return the derivative of a point's pixel by a twist of its camera, at the zero twist.

    Args:
        points_cam: Camera frame, scene units, in front of the camera.
        intrinsics: K, in pixels.
    """
    x, y, z = points_cam.unbind(dim=-1)
    zero = torch.zeros_like(x)
    one = zero + 1
    # d exp(w) X + t = -[X]x dw + dt: a row a coordinate.
    by_x = torch.stack([zero, z, -y, one, zero, zero], dim=-1)
    by_y = torch.stack([-z, zero, x, zero, one, zero], dim=-1)
    by_z = torch.stack([y, -x, zero, zero, zero, one], dim=-1)
    point_by_twist = torch.stack([by_x, by_y, by_z], dim=-2)
    # The quotient rule: K's rows over z, less the pixel over z in the column of z.
    homogeneous = rearrange((intrinsics * points_cam[..., None, :]).sum(dim=-1), "... i -> ... i 1")
    pixel_by_point = intrinsics[..., :2, :] / z[..., None, None]
    offset = torch.zeros_like(pixel_by_point)
    offset[..., 2] = homogeneous[..., :2, 0] / z[..., None].square()
    pixel_by_point = pixel_by_point - offset
    pixel_by_point, point_by_twist = torch.broadcast_tensors(
        rearrange(pixel_by_point, "... i j -> ... i j 1"), rearrange(point_by_twist, "... j k -> ... 1 j k")
    )
    return (pixel_by_point * point_by_twist).sum(dim=-2)


def twist_deviation(
    information: Float[Tensor, "*b 6 6"],
    variance: Float[Tensor, " *b"],
    depth: Float[Tensor, " *b"],
) -> tuple[Float[Tensor, " *b"], Float[Tensor, " *b"]]:
    """Return the standard deviation of a fitted camera's rotation (radians) and position (share of ``depth``).

    Args:
        information: J^T J of the fit's residuals by the twist; may be singular, which gives huge deviations.
        variance: Of one residual.
        depth: Typical depth of the scene, scene units.
    """
    # Translations in depths, so that the matrix's entries have one unit and its rank a meaning.
    unit = torch.ones_like(information[..., 0])
    unit[..., 3:] = depth[..., None]
    scaled = information * rearrange(unit, "... i -> ... i 1") * rearrange(unit, "... j -> ... 1 j")
    values, vectors = torch.linalg.eigh(scaled)
    floor = (values[..., -1:] * RANK_TOLERANCE).clamp(min=torch.finfo(values.dtype).tiny)
    inverse = values.maximum(floor).reciprocal()
    inverse = rearrange(inverse, "... j -> ... 1 j")
    deviations = (vectors.square() * inverse).sum(dim=-1) * variance[..., None]
    rotation = deviations[..., :3].sum(dim=-1).sqrt()
    return rotation, deviations[..., 3:].sum(dim=-1).sqrt()
