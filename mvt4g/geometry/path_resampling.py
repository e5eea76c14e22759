"""Camera paths of another number of poses: rotations by slerp, centres on a line or a spline, K linearly."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.pose import (
    axis_angle_from_rotation,
    compose,
    pose_from,
    quaternion_from_rotation,
    rotation_angle,
    rotation_from_axis_angle,
    rotation_from_quaternion,
)
from mvt4g.types import InputError

RULES = ("time", "arc_length")
CENTRES = ("linear", "spline")


def resampling_places(
    world_from_cam: Float[Tensor, "s 4 4"],
    num_frames: int,
    rule: str,
) -> Float[Tensor, " t"]:
    """Return where on a path, in its own (fractional) pose numbers, each of ``num_frames`` lies.

    Args:
        world_from_cam: At least 2 poses.
        num_frames: At least 1; the first lies at the path's first pose, the last at its last.
        rule: "time" takes equal steps of pose numbers: where the path waits, the result waits. "arc_length" takes equal
            steps of the distance that the centre goes (on straight lines between poses), or, where the centre never
            moves, of the angle that the camera turns: the result goes at one speed and never waits.

    Raises:
        InputError: If the rule is unknown, or a path of "arc_length" stands still.
    """
    if rule not in RULES:
        raise InputError(f"resample: got {rule!r}, want one of {', '.join(RULES)}")
    path = world_from_cam.double()
    shares = torch.linspace(0.0, 1.0, num_frames, dtype=torch.float64)
    if rule == "time":
        return shares * (len(path) - 1)
    gone = torch.linalg.vector_norm(path[1:, :3, 3] - path[:-1, :3, 3], dim=-1)
    if not bool(gone.sum() > 0):
        gone = rotation_angle(_chained(path[:-1, :3, :3].mT, path[1:, :3, :3]))
    if not bool(gone.sum() > 0):
        raise InputError("resample: got 'arc_length' for a path that stands still, want 'time'")
    way = torch.cat([gone.new_zeros(1), gone.cumsum(dim=0)])
    wanted = shares * way[-1]
    before = (torch.searchsorted(way, wanted, right=True) - 1).clamp(0, len(gone) - 1)
    while bool((gone[before] == 0).any()):  # the very end of a path that waits there
        before = torch.where(gone[before] == 0, before - 1, before)
    return before + ((wanted - way[before]) / gone[before]).clamp(0, 1)


def resample_path(
    world_from_cam: Float[Tensor, "s 4 4"],
    places: Float[Tensor, " t"],
    centres: str = "linear",
) -> Float[Tensor, "t 4 4"]:
    """Return the path at (fractional) pose numbers.

    Args:
        world_from_cam: At least 2 poses.
        places: In [0, s - 1].
        centres: "linear" goes straight from centre to centre; "spline" on a Catmull-Rom spline through them, which has
            no corners. Rotations turn from one to the next about one axis by even angles (slerp), the short way.

    Raises:
        InputError: If ``centres`` is unknown.

    Source: Catmull and Rom, A class of local interpolating splines, 1974; Shoemake, Animating rotation with quaternion
        curves, 1985.
    """
    if centres not in CENTRES:
        raise InputError(f"centres: got {centres!r}, want one of {', '.join(CENTRES)}")
    path = world_from_cam.double()
    before = places.long().clamp(0, len(path) - 2)
    share = (places.double() - before)[:, None]
    step = _chained(path[before, :3, :3].mT, path[before + 1, :3, :3])
    turn = axis_angle_from_rotation(step)
    rotation = _chained(path[before, :3, :3], rotation_from_axis_angle(share * turn))
    centre = path[:, :3, 3]
    if centres == "linear":
        position = torch.lerp(centre[before], centre[before + 1], share)
    else:
        numbers = torch.arange(len(path), dtype=torch.float64)
        position = spline(centre, numbers, places.double())
    return pose_from(rotation, position).to(world_from_cam.dtype)


def resample_intrinsics(
    intrinsics: Float[Tensor, "s 3 3"],
    places: Float[Tensor, " t"],
) -> Float[Tensor, "t 3 3"]:
    """Return K at (fractional) pose numbers, linear in every entry."""
    before = places.long().clamp(0, max(len(intrinsics) - 2, 0))
    after = (before + 1).clamp(max=len(intrinsics) - 1)
    share = rearrange(places - before, "t -> t 1 1").to(intrinsics.dtype)
    return torch.lerp(intrinsics[before], intrinsics[after], share)


def _chained(
    left: Float[Tensor, "t 3 3"],
    right: Float[Tensor, "t 3 3"],
) -> Float[Tensor, "t 3 3"]:
    zero = left.new_zeros(3)
    return compose(pose_from(left, zero), pose_from(right, zero))[..., :3, :3]


def spline(
    values: Float[Tensor, "s d"],
    knots: Float[Tensor, " s"],
    at: Float[Tensor, " t"],
) -> Float[Tensor, "t d"]:
    """Return a curve without corners through values, which are given at knots (Catmull-Rom).

    Args:
        values: At least 2.
        knots: Where each lies, increasing.
        at: Within the knots.
    """
    # A slope at a knot is that between its neighbours; at the ends, that to the only one.
    slopes = torch.cat([
        (values[1:2] - values[:1]) / (knots[1] - knots[0]),
        (values[2:] - values[:-2]) / (knots[2:] - knots[:-2])[:, None],
        (values[-1:] - values[-2:-1]) / (knots[-1] - knots[-2]),
    ])  # fmt: skip
    before = (torch.searchsorted(knots, at, right=True) - 1).clamp(0, len(knots) - 2)
    gap = (knots[before + 1] - knots[before])[:, None]
    share = (at - knots[before])[:, None] / gap
    square = share**2
    cube = share**3
    return (
        (2 * cube - 3 * square + 1) * values[before]
        + (cube - 2 * square + share) * gap * slopes[before]
        + (3 * square - 2 * cube) * values[before + 1]
        + (cube - square) * gap * slopes[before + 1]
    )


def spline_poses(
    poses: Float[Tensor, "s 4 4"],
    knots: Float[Tensor, " s"],
    at: Float[Tensor, " t"],
) -> Float[Tensor, "t 4 4"]:
    """Return a path through key poses on which neither the centre nor the rotation has a corner.

    Centres and quaternions each go on a Catmull-Rom spline; quaternions are brought to length 1. Between two key poses
    the camera turns the short way.

    Args:
        poses: At least 2.
        knots: Where each lies, increasing.
        at: Within the knots.
    """
    wxyz = quaternion_from_rotation(poses[:, :3, :3])
    # q and -q are one rotation: each takes the sign that is nearer to the one before it.
    turns_over = (wxyz[1:] * wxyz[:-1]).sum(dim=-1) < 0
    sign = torch.where(turns_over, -1.0, 1.0).to(wxyz.dtype)
    signs = torch.cat([wxyz.new_ones(1), sign]).cumprod(dim=0)
    rotation = rotation_from_quaternion(spline(wxyz * signs[:, None], knots, at))
    return pose_from(rotation, spline(poses[:, :3, 3], knots, at))
