"""Material points: where they start, how rigid bodies carry them, when they are seen."""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from mvt4g.geometry.camera import points_depth, project_points
from mvt4g.synthetic.cameras import camera_centres
from mvt4g.synthetic.point_spec import PointSpec
from mvt4g.types import Cameras


@dataclass(frozen=True)
class Poses:
    """World from object, of every instance 1, 2, ... at every frame.

    Attributes:
        rotations: Proper rotations.
        positions: Centres, world frame.
    """

    rotations: Float[ndarray, "t i 3 3"]
    positions: Float[ndarray, "t i 3"]


def draw_pixels(rng: np.random.Generator, instances: Int[ndarray, "v t h w"], spec: PointSpec) -> Int[ndarray, " m"]:
    """Draw flat indices into ``instances``, without repetition, at most ``spec.count``.

    Objects share the foreground's budget equally; one that shows too few pixels leaves the rest to the others, all of
    them together to the background.
    """
    flat = instances.reshape(-1)
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(flat.max() + 2))
    pixels = [order[first:last] for first, last in itertools.pairwise(starts)]
    objects = sorted((group for group in pixels[1:] if len(group)), key=len)
    left = round(spec.count * spec.foreground) if len(pixels[0]) else spec.count
    chosen = []
    for number, group in enumerate(objects):
        take = min(len(group), round(left / (len(objects) - number)))
        chosen.append(rng.choice(group, take, replace=False))
        left -= take
    background = min(len(pixels[0]), spec.count - sum(map(len, chosen)))
    chosen.append(rng.choice(pixels[0], background, replace=False))
    return np.concatenate(chosen)


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
    body, when = instance[on] - 1, frame[on]
    origin = poses.positions if as_points else np.zeros_like(poses.positions)
    own = np.einsum("nji,nj->ni", poses.rotations[when, body], vectors[on] - origin[when, body])
    carried[:, on] = np.einsum("tnij,nj->tni", poses.rotations[:, body], own) + origin[:, body]
    return carried


def visibility(
    tracks: Float[torch.Tensor, "v t n 2"],
    points_world: Float[torch.Tensor, "t n 3"],
    normals_world: Float[torch.Tensor, "t n 3"],
    point_instance: Int[torch.Tensor, " n"],
    cameras: Cameras,
    depth: Float[torch.Tensor, "v t h w"],
    instances: Int[torch.Tensor, "v t h w"],
    depth_tolerance: float,
) -> Bool[torch.Tensor, "v t n"]:
    """Say where points are seen.

    A point is hidden if any of this holds: it is behind the camera; outside the image; all four pixels about it are
    nearer than (1 - tolerance) times its own z-depth; none of the four is of its instance; its surface faces away.
    z-depth is used on both sides of the comparison (Kubric uses distance on both). The four pixels are those whose
    centres surround the point, the border's repeated outside.

    Source: kubric, challenges/point_tracking/dataset.py (the rules; not its code).
    """
    height, width = depth.shape[-2:]
    own_depth = points_depth(points_world, rearrange(cameras.cam_from_world, "v t i j -> v t 1 i j"))
    inside = (tracks >= 0).all(-1) & (tracks[..., 0] < width) & (tracks[..., 1] < height)
    corner = (tracks - 0.5).floor().clamp(-1, max(height, width)).long()
    columns = (corner[..., 0, None] + torch.tensor([0, 1, 0, 1])).clamp(0, width - 1)
    rows = (corner[..., 1, None] + torch.tensor([0, 0, 1, 1])).clamp(0, height - 1)
    flat = rearrange(rows * width + columns, "v t n s -> v t (n s)")
    depths, ids = (
        rearrange(rearrange(maps, "v t h w -> v t (h w)").gather(-1, flat), "v t (n s) -> v t n s", s=4)
        for maps in (depth, instances)
    )
    uncovered = depths.amax(-1) >= (1 - depth_tolerance) * own_depth
    recognised = (ids == point_instance[:, None]).any(-1)
    towards = rearrange(camera_centres(cameras), "v t c -> v t 1 c") - points_world
    facing = (towards * normals_world).sum(-1) > 0
    return (own_depth > 0) & inside & uncovered & recognised & facing


def project_tracks(points_world: Float[torch.Tensor, "t n 3"], cameras: Cameras) -> Float[torch.Tensor, "v t n 2"]:
    """Project points into every view; pixels behind a camera are finite and mean nothing."""
    pixels, _ = project_points(
        points_world,
        rearrange(cameras.cam_from_world, "v t i j -> v t 1 i j"),
        rearrange(cameras.intrinsics, "v t i j -> v t 1 i j"),
    )
    return pixels.contiguous()
