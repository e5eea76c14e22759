"""What is known of a rendered clip: which bodies move, and the points that are tracked on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.synthetic.point_spec import PointSpec
from mvt4g.synthetic.points import choose_by_motion, draw_pixels, seen_path_length
from mvt4g.synthetic.shapes import Mesh, Shape
from mvt4g.synthetic.tracks import Poses, SurfacePoints, alike_around, carry, faces_camera, project_tracks, visibility
from mvt4g.types import Cameras

DYNAMIC_SHARE = 0.01
"""A body is dynamic when a point of it is ever farther than this share of its size from where it is in frame 0."""


@dataclass(frozen=True)
class Maps:
    """What every view shows at every frame.

    Attributes:
        depth: z-depth of pixel centres, as exact as it was rendered.
        instances: 0 = ground and sky.
        normals: Of the mesh at pixel centres, unit, world frame, outward.
    """

    depth: Float[ndarray, "v t h w"]
    instances: Int[ndarray, "v t h w"]
    normals: Float[ndarray, "v t 3 h w"]


@dataclass(frozen=True)
class TrackedPoints:
    """Points and where they are seen; padding is not valid, never visible, and lies in the world's origin.

    Attributes:
        tracks: Pixels, true through occlusion.
        visible: Seen, by the rules of ``tracks.visibility``.
        points_world: World frame.
        instance: What each is fixed to, 0 = background.
        valid: False for padding.
    """

    tracks: Float[Tensor, "v t n 2"]
    visible: Bool[Tensor, "v t n"]
    points_world: Float[Tensor, "t n 3"]
    instance: Int[Tensor, " n"]
    valid: Bool[Tensor, " n"]


def dynamic_instances(shapes: Sequence[Shape], meshes: Sequence[Mesh], poses: Poses) -> Bool[ndarray, " i"]:
    """Say which bodies count as dynamic (see DYNAMIC_SHARE)."""
    moves = np.zeros(len(shapes), dtype=bool)
    for number, (shape, body) in enumerate(zip(shapes, meshes, strict=True)):
        rotation = poses.rotations[:, number]
        position = poses.positions[:, number, None]
        paths = np.einsum("tij,nj->tni", rotation, body.vertices) + position
        farthest = np.linalg.norm(paths - paths[:1], axis=-1).max()
        moves[number] = farthest > DYNAMIC_SHARE * shape.size
    return moves


def track_points(
    rng: np.random.Generator,
    spec: PointSpec,
    maps: Maps,
    cameras: Cameras,
    poses: Poses,
    dynamic: Bool[ndarray, " i"],
) -> TrackedPoints:
    """Draw points from pixels, carry them with their bodies and say where they are seen.

    Args:
        rng: Source of all draws.
        spec: Of the points.
        maps: Of the rendered frames.
        cameras: fp32 (v t).
        poses: Of the bodies.
        dynamic: Which of them move.
    """
    sown = _sow(draw_pixels(rng, maps.instances, dynamic, spec), spec, maps, cameras, poses)
    depth = torch.from_numpy(maps.depth).float()
    instances = torch.from_numpy(maps.instances)
    if spec.budget == "motion":
        # How far a point goes is known only once it is tracked: more are sown than are wanted.
        tracks = project_tracks(sown.points_world, cameras)
        visible = visibility(tracks, sown, cameras, depth, instances, spec.depth_tolerance)
        length = seen_path_length(sown.points_world.numpy(), visible.numpy())
        sown = _take(sown, torch.from_numpy(choose_by_motion(rng, length, spec.count)))
    found = len(sown.instance)
    sown = _pad(sown, spec.count - found)
    valid = torch.arange(spec.count) < found
    tracks = project_tracks(sown.points_world, cameras)
    visible = visibility(tracks, sown, cameras, depth, instances, spec.depth_tolerance) & valid
    return TrackedPoints(tracks, visible, sown.points_world, sown.instance, valid)


def _sow(
    chosen: Int[ndarray, " n"],
    spec: PointSpec,
    maps: Maps,
    cameras: Cameras,
    poses: Poses,
) -> SurfacePoints:
    """Lift pixels, given as flat indices into the maps, to points of the bodies they show."""
    view, time, row, column = np.unravel_index(chosen, maps.instances.shape)
    instance = maps.instances[view, time, row, column]
    # In fp64, so that a point lies on its body to the last bit of what was rendered.
    start = unproject_pixels(
        pixel_centres(*maps.instances.shape[-2:]).double()[row, column],
        torch.from_numpy(maps.depth[view, time, row, column]).double(),
        cameras.cam_from_world[view, time].double(),
        cameras.intrinsics[view, time].double(),
    ).numpy()
    own_normals = maps.normals[view, time, :, row, column].astype(np.float64)
    points = torch.from_numpy(carry(start, time, instance, poses, as_points=True)).float()
    normals = torch.from_numpy(carry(own_normals, time, instance, poses, as_points=False)).float()
    one_sided = faces_camera(points, normals, cameras)[view, time, torch.arange(len(chosen))]
    if spec.facing == "smooth":
        one_sided &= torch.from_numpy(alike_around(maps.normals, view, time, row, column))
    return SurfacePoints(points, normals, torch.from_numpy(instance), one_sided)


def _take(sown: SurfacePoints, points: Int[Tensor, " m"]) -> SurfacePoints:
    places = sown.points_world[:, points]
    normals = sown.normals_world[:, points]
    return SurfacePoints(places, normals, sown.instance[points], sown.one_sided[points])


def _pad(sown: SurfacePoints, count: int) -> SurfacePoints:
    points = torch.nn.functional.pad(sown.points_world, (0, 0, 0, count))
    normals = torch.nn.functional.pad(sown.normals_world, (0, 0, 0, count))
    instance = torch.nn.functional.pad(sown.instance, (0, count))
    one_sided = torch.nn.functional.pad(sown.one_sided, (0, count))
    return SurfacePoints(points, normals, instance, one_sided)
