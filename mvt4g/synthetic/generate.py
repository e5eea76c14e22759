"""``generate_clip``: one multi-view clip with exact cameras, depth, ids and tracks from (recipe, seed, index)."""

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import rotation_from_quaternion
from mvt4g.synthetic.cameras import draw_cameras
from mvt4g.synthetic.exposure import render_frames
from mvt4g.synthetic.placing import draw_motion
from mvt4g.synthetic.render import Frame
from mvt4g.synthetic.shapes import Shape, mesh
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.synthetic.tracks import Poses, carry, draw_pixels, project_tracks, visibility
from mvt4g.synthetic.world import draw_world
from mvt4g.types import Cameras, InputError, MultiViewClip

__all__ = ["SceneSpec", "generate_clip"]

DYNAMIC_SHARE = 0.01
"""A body is dynamic when a point of it is ever farther than this share of its size from where it is in frame 0."""


def generate_clip(scene: SceneSpec, seed: int, index: int, cameras: Cameras | None = None) -> MultiViewClip:
    """Draw, simulate and render the clip number ``index`` of a recipe.

    It is a function of the arguments alone: the same bytes in every process. Bodies, looks, cameras and points have
    random streams of their own, so that changing the cameras' recipe leaves the world as it is.

    Args:
        scene: The recipe.
        seed: Of the recipe's clips.
        index: Of the clip.
        cameras: fp32 cameras (v t) that take the place of the recipe's: the same world seen along another path.

    Raises:
        InputError: If ``seed`` or ``index`` is negative, the recipe's cameras cannot be placed, or ``cameras`` are of
            another number.
    """
    if seed < 0 or index < 0:
        raise InputError(f"seed, index: got {seed}, {index}, want both >= 0")
    body_rng, look_rng, camera_rng, point_rng, sensor_rng = np.random.default_rng((seed, index)).spawn(5)
    shapes, motion = draw_motion(body_rng, scene.objects, scene.num_frames, scene.fps)
    poses = Poses(rotation_from_quaternion(torch.from_numpy(motion.quaternions)).numpy(), motion.positions)
    world = draw_world(look_rng, shapes, scene.looks)
    if cameras is None:
        cameras = draw_cameras(camera_rng, scene.cameras, scene.num_views, scene.num_frames, scene.image_size)
    elif cameras.intrinsics.shape != (scene.num_views, scene.num_frames, 3, 3):
        got, want = tuple(cameras.intrinsics.shape[:-2]), (scene.num_views, scene.num_frames)
        raise InputError(f"cameras: got {got} of views and frames, want {want}")
    frames = list(render_frames(world, poses, cameras, scene.image_size, sensor_rng))
    return _assemble(scene, frames, cameras, poses, shapes, point_rng, f"synthetic-{seed}-{index:06d}")


def dynamic_instances(shapes: Sequence[Shape], poses: Poses) -> Bool[ndarray, " i"]:
    """Say which bodies count as dynamic (see DYNAMIC_SHARE)."""
    moves = np.zeros(len(shapes), dtype=bool)
    for number, shape in enumerate(shapes):
        rotation, position = poses.rotations[:, number], poses.positions[:, number, None]
        paths = np.einsum("tij,nj->tni", rotation, mesh(shape).vertices) + position
        moves[number] = np.linalg.norm(paths - paths[:1], axis=-1).max() > DYNAMIC_SHARE * shape.size
    return moves


def _assemble(
    scene: SceneSpec,
    frames: Sequence[Frame],
    cameras: Cameras,
    poses: Poses,
    shapes: Sequence[Shape],
    rng: np.random.Generator,
    name: str,
) -> MultiViewClip:
    """Add the tracks to the rendered frames."""
    instances = np.stack([frame.instances for frame in frames], axis=1)
    depth = torch.from_numpy(np.stack([frame.depth for frame in frames], axis=1))
    normals = np.stack([frame.facet_normals for frame in frames], axis=1)
    colour = torch.from_numpy(np.stack([frame.colour for frame in frames], axis=1))
    moving = np.concatenate([[False], dynamic_instances(shapes, poses)])

    chosen = draw_pixels(rng, instances, scene.points)
    view, time, row, column = np.unravel_index(chosen, instances.shape)
    point_instance = instances[view, time, row, column]
    start = unproject_pixels(
        pixel_centres(*scene.image_size).double()[row, column],
        depth[view, time, row, column],
        cameras.cam_from_world[view, time].double(),
        cameras.intrinsics[view, time].double(),
    ).numpy()
    points_world = carry(start, time, point_instance, poses, as_points=True)
    normals_world = carry(normals[view, time, row, column], time, point_instance, poses, as_points=False)

    padding = scene.points.count - len(chosen)
    points = _pad(torch.from_numpy(points_world).float(), padding)
    point_ids = torch.from_numpy(np.pad(point_instance, (0, padding)))
    valid = torch.arange(scene.points.count) < len(chosen)
    tracks = project_tracks(points, cameras)
    depth, ids = depth.float(), torch.from_numpy(instances)
    visible = visibility(
        tracks, points, _pad(torch.from_numpy(normals_world).float(), padding), point_ids, cameras, depth, ids,
        scene.points.depth_tolerance,
    )  # fmt: skip
    return MultiViewClip(
        video=rearrange((colour * 255).round() / 255, "v t h w c -> v t c h w").contiguous(),
        cameras=cameras,
        name=name,
        tracks=tracks,
        visible=visible & valid,
        points_world=points,
        point_instance=point_ids,
        point_valid=valid,
        depth=depth,
        instances=ids,
        dynamic=torch.from_numpy(moving[instances]),
        fps=scene.fps,
    )


def _pad(points: Float[Tensor, "t n 3"], count: int) -> Float[Tensor, "t m 3"]:
    return torch.nn.functional.pad(points, (0, 0, 0, count))
