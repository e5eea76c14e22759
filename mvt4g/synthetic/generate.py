"""``generate_clip``: one multi-view clip with exact cameras, depth, ids and tracks from (recipe, seed, index)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from mvt4g.geometry.pose import pose_from, rotation_from_quaternion
from mvt4g.synthetic.cameras import draw_cameras
from mvt4g.synthetic.exposure import render_frames
from mvt4g.synthetic.placing import draw_motion
from mvt4g.synthetic.render import Frame
from mvt4g.synthetic.shapes import Shape
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.synthetic.textured_world import TexturedWorld
from mvt4g.synthetic.tracks import Poses
from mvt4g.synthetic.truth import Maps, TrackedPoints, dynamic_instances, track_points
from mvt4g.synthetic.world import World, draw_world
from mvt4g.types import Cameras, InputError, MultiViewClip

__all__ = ["DrawnScene", "GeneratedScene", "SceneSpec", "draw_scene", "generate_clip", "generate_scene"]


@dataclass(frozen=True)
class DrawnScene:
    """A clip before it is rendered.

    Attributes:
        shapes: Of the instances 1, 2, ...
        poses: Of the instances, at every frame.
        collisions: As in ``GeneratedScene``.
        world: Their looks, and the light.
        cameras: fp32 (v t).
    """

    shapes: Sequence[Shape]
    poses: Poses
    collisions: Int[ndarray, "k 3"]
    world: World | TexturedWorld
    cameras: Cameras


@dataclass(frozen=True)
class GeneratedScene:
    """A clip and what a clip has no room for.

    Attributes:
        clip: With every field but the caption.
        normals: Of the mesh at pixel centres, unit, world frame, towards the camera's side.
        world_from_object: Poses of the instances 1, 2, ... fp32; rotations are proper.
        collisions: Frame, instance and other instance (0 = ground) for every two that touched since the frame before.
    """

    clip: MultiViewClip
    normals: Float[Tensor, "v t 3 h w"]
    world_from_object: Float[Tensor, "t i 4 4"]
    collisions: Int[Tensor, "k 3"]


def generate_clip(
    scene: SceneSpec,
    seed: int,
    index: int,
    cameras: Cameras | None = None,
) -> MultiViewClip:
    """Draw, simulate and render one synthetic clip: a function of its arguments, byte for byte.

    Args:
        scene: The recipe.
        seed: Of the recipe's clips, at least 0.
        index: Of the clip, at least 0.
        cameras: fp32 cameras (v t) that take the place of the recipe's: the same world seen along another path.

    Raises:
        InputError: As ``generate_scene``.
    """
    return generate_scene(scene, seed, index, cameras).clip


def generate_scene(
    scene: SceneSpec,
    seed: int,
    index: int,
    cameras: Cameras | None = None,
) -> GeneratedScene:
    """Draw, simulate and render the clip number ``index`` of a recipe.

    It is a function of the arguments alone: the same bytes in every process. Bodies, looks, cameras, points and the
    sensor's noise have random streams of their own, so that changing the cameras' recipe leaves the world as it is.

    Args:
        scene: The recipe.
        seed: Of the recipe's clips.
        index: Of the clip.
        cameras: fp32 cameras (v t) that take the place of the recipe's: the same world seen along another path.

    Raises:
        InputError: If ``seed`` or ``index`` is negative, the recipe's cameras cannot be placed, a user's mesh or image
            cannot be read, or ``cameras`` are of another number.
    """
    drawn = draw_scene(scene, seed, index, cameras)
    _, _, _, point_rng, noise_rng = _streams(seed, index)
    frames = render_frames(drawn.world, drawn.poses, drawn.cameras, scene.image_size, noise_rng)
    colour, maps = _gather(frames, (scene.num_views, scene.num_frames), scene.image_size)
    dynamic = dynamic_instances(drawn.shapes, drawn.world.meshes, drawn.poses)
    points = track_points(point_rng, scene.points, maps, drawn.cameras, drawn.poses, dynamic)
    clip = _clip(colour, maps, points, dynamic, drawn.cameras, scene.fps, f"synthetic-{seed}-{index:06d}")
    rotations = torch.from_numpy(drawn.poses.rotations)
    world_from_object = pose_from(rotations, torch.from_numpy(drawn.poses.positions))
    return GeneratedScene(
        clip=clip,
        normals=torch.from_numpy(maps.normals),
        world_from_object=world_from_object.float(),
        collisions=torch.from_numpy(drawn.collisions),
    )


def draw_scene(scene: SceneSpec, seed: int, index: int, cameras: Cameras | None = None) -> DrawnScene:
    """Do all of ``generate_scene``, whose arguments and errors these are, that comes before rendering."""
    if seed < 0 or index < 0:
        raise InputError(f"seed, index: got {seed}, {index}, want both >= 0")
    body_rng, look_rng, camera_rng, _, _ = _streams(seed, index)
    shapes, motion = draw_motion(body_rng, scene.objects, scene.num_frames, scene.fps)
    rotations = rotation_from_quaternion(torch.from_numpy(motion.quaternions)).numpy()
    poses = Poses(rotations, motion.positions)
    world = draw_world(look_rng, shapes, scene.looks)
    if cameras is None:
        cameras = draw_cameras(camera_rng, scene.cameras, scene.num_views, scene.num_frames, scene.image_size)
    elif cameras.intrinsics.shape != (scene.num_views, scene.num_frames, 3, 3):
        got = tuple(cameras.intrinsics.shape[:-2])
        want = (scene.num_views, scene.num_frames)
        raise InputError(f"cameras: got {got} of views and frames, want {want}")
    return DrawnScene(shapes, poses, motion.collisions, world, cameras)


def _streams(seed: int, index: int) -> list[np.random.Generator]:
    """Return the streams of bodies, looks, cameras, points and noise."""
    return np.random.default_rng((seed, index)).spawn(5)


def _gather(
    frames: Iterable[Frame],
    views_frames: tuple[int, int],
    image_size: tuple[int, int],
) -> tuple[Float[ndarray, "v t 3 h w"], Maps]:
    """Write frame after frame into arrays of the whole clip; colours are rounded to 8 bits."""
    colour = np.empty((*views_frames, 3, *image_size), dtype=np.float32)
    normals = np.empty_like(colour)
    instances = np.empty((*views_frames, *image_size), dtype=np.int64)
    depths = []  # fp64 in one look and fp32 in the other, kept as they are
    for time, frame in enumerate(frames):
        colour[:, time] = rearrange((frame.colour * 255).round() / 255, "v h w c -> v c h w")
        normals[:, time] = rearrange(frame.facet_normals, "v h w c -> v c h w")
        instances[:, time] = frame.instances
        depths.append(frame.depth)
    return colour, Maps(np.stack(depths, axis=1), instances, normals)


def _clip(
    colour: Float[ndarray, "v t 3 h w"],
    maps: Maps,
    points: TrackedPoints,
    dynamic: Bool[ndarray, " i"],
    cameras: Cameras,
    fps: float,
    name: str,
) -> MultiViewClip:
    return MultiViewClip(
        video=torch.from_numpy(colour),
        cameras=cameras,
        name=name,
        tracks=points.tracks,
        visible=points.visible,
        points_world=points.points_world,
        point_instance=points.instance,
        point_valid=points.valid,
        depth=torch.from_numpy(maps.depth).float(),
        instances=torch.from_numpy(maps.instances),
        dynamic=torch.from_numpy(np.concatenate([[False], dynamic])[maps.instances]),
        fps=fps,
    )
