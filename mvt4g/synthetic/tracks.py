"""Material points: how rigid bodies carry them, where views see them and when."""

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from mvt4g.geometry.camera import points_depth, project_points
from mvt4g.synthetic.cameras import camera_centres
from mvt4g.types import Cameras

NEAR = 3.0
"""Depths, scene units, below which points are projected in fp64."""
NORMAL_STEP = 0.05
"""Length of the difference of two unit normals from which on they count as different."""


@dataclass(frozen=True)
class Poses:
    """World from object, of every instance 1, 2, ... at every frame.

    Attributes:
        rotations: Proper rotations.
        positions: Centres, world frame.
    """

    rotations: Float[ndarray, "t i 3 3"]
    positions: Float[ndarray, "t i 3"]


@dataclass(frozen=True)
class SurfacePoints:
    """Points on the surfaces of bodies, at every frame.

    Attributes:
        points_world: World frame.
        normals_world: Outward, world frame.
        instance: What each is fixed to, 0 = background.
        one_sided: False for points whose surface may be seen from behind.
    """

    points_world: Float[torch.Tensor, "t n 3"]
    normals_world: Float[torch.Tensor, "t n 3"]
    instance: Int[torch.Tensor, " n"]
    one_sided: Bool[torch.Tensor, " n"]


def carry(
    vectors: Float[ndarray, "n 3"],
    frame: Int[ndarray, " n"],
    instance: Int[ndarray, " n"],
    poses: Poses,
    as_points: bool,
) -> Float[ndarray, "t n 3"]:
    """Move what is fixed to a body, and given in the world frame at one frame each, to all frames.

    Args:
        vectors: Points or directions.
        frame: When each is where it is given.
        instance: What each is fixed to; 0 stays in place.
        poses: Motion of the bodies.
        as_points: Whether to rotate and translate (points) or only to rotate (normals).
    """
    carried = np.broadcast_to(vectors, (len(poses.positions), *vectors.shape)).copy()
    on = np.flatnonzero(instance > 0)
    body = instance[on] - 1
    when = frame[on]
    origin = poses.positions if as_points else np.zeros_like(poses.positions)
    # Into the body's frame when it was given, and out of it at every frame.
    own = np.einsum("nji,nj->ni", poses.rotations[when, body], vectors[on] - origin[when, body])
    carried[:, on] = np.einsum("tnij,nj->tni", poses.rotations[:, body], own) + origin[:, body]
    return carried


def visibility(
    tracks: Float[torch.Tensor, "v t n 2"],
    points: SurfacePoints,
    cameras: Cameras,
    depth: Float[torch.Tensor, "v t h w"],
    instances: Int[torch.Tensor, "v t h w"],
    depth_tolerance: float | int,
) -> Bool[torch.Tensor, "v t n"]:
    """Say where points are seen.

    A point is hidden if any of this holds: it is behind the camera; outside the image; all four pixels about it are
    nearer than (1 - tolerance) times its own z-depth; none of the four is of its instance; its surface faces away.
    z-depth is used on both sides of the comparison (Kubric uses distance on both). The four pixels are those whose
    centres surround the point, the border's repeated outside.

    Args:
        tracks: Projections of the points, pixels.
        points: The points themselves.
        cameras: fp32 (v t).
        depth: z-depth of pixel centres.
        instances: Of pixel centres.
        depth_tolerance: Share of a point's depth.

    Source: kubric, challenges/point_tracking/dataset.py (the rules; not its code).
    """
    height, width = depth.shape[-2:]
    own_depth = points_depth(points.points_world, rearrange(cameras.cam_from_world, "v t i j -> v t 1 i j"))
    inside = (tracks >= 0).all(-1) & (tracks[..., 0] < width) & (tracks[..., 1] < height)
    corner = (tracks - 0.5).floor().clamp(-1, max(height, width)).long()
    left, top = corner.unbind(dim=-1)
    depth_rows = rearrange(depth, "v t h w -> v t (h w)")
    id_rows = rearrange(instances, "v t h w -> v t (h w)")
    farthest = torch.full_like(own_depth, -torch.inf)
    recognised = torch.zeros_like(inside)
    # The four pixels about a point: one of its instance, or one as far as it is, is enough to see it.
    for row in (top, top + 1):
        for column in (left, left + 1):
            pixel = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
            farthest = torch.maximum(farthest, depth_rows.gather(-1, pixel))
            recognised |= id_rows.gather(-1, pixel) == points.instance
    uncovered = farthest >= (1 - depth_tolerance) * own_depth
    facing = faces_camera(points.points_world, points.normals_world, cameras) | ~points.one_sided
    return (own_depth > 0) & inside & uncovered & recognised & facing


def faces_camera(
    points_world: Float[torch.Tensor, "t n 3"],
    normals_world: Float[torch.Tensor, "t n 3"],
    cameras: Cameras,
) -> Bool[torch.Tensor, "v t n"]:
    """Say which cameras are on the outer side of the surface at each point."""
    towards = rearrange(camera_centres(cameras), "v t c -> v t 1 c") - points_world
    return (towards * normals_world).sum(-1) > 0


def alike_around(
    normals: Float[ndarray, "v t 3 h w"],
    view: Int[ndarray, " n"],
    frame: Int[ndarray, " n"],
    row: Int[ndarray, " n"],
    column: Int[ndarray, " n"],
) -> Bool[ndarray, " n"]:
    """Say at which pixels the normals map is smooth: at most two diagonal neighbours have another normal.

    Another is one farther than NORMAL_STEP; the border is repeated outside.

    Source: kubric, challenges/point_tracking/dataset.py (the rule; not its code).
    """
    height, width = normals.shape[-2:]
    own = normals[view, frame, :, row, column]
    others = np.zeros(len(view), dtype=np.int64)
    for down in (-1, 1):
        for right in (-1, 1):
            row_beside = (row + down).clip(0, height - 1)
            column_beside = (column + right).clip(0, width - 1)
            beside = normals[view, frame, :, row_beside, column_beside]
            others += ((beside - own) ** 2).sum(-1) > NORMAL_STEP**2
    return others <= 2


def project_tracks(points_world: Float[torch.Tensor, "t n 3"], cameras: Cameras) -> Float[torch.Tensor, "v t n 2"]:
    """Project points into every view, to under 1e-3 px; pixels behind a camera are finite and mean nothing.

    Points that come close to a camera are projected in fp64: fp32's last bits of a place in the world, a millionth of a
    unit, would show there.
    """
    poses = rearrange(cameras.cam_from_world, "v t i j -> v t 1 i j")
    intrinsics = rearrange(cameras.intrinsics, "v t i j -> v t 1 i j")
    pixels, in_front = project_points(points_world, poses, intrinsics)
    near = in_front & (points_depth(points_world, poses) < NEAR)
    view, time, point = near.nonzero(as_tuple=True)
    pixels[view, time, point] = project_points(
        points_world[time, point].double(),
        cameras.cam_from_world[view, time].double(),
        cameras.intrinsics[view, time].double(),
    )[0].float()
    return pixels.contiguous()
