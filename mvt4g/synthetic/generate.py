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
from mvt4g.synthetic.physics import Body, simulate
from mvt4g.synthetic.render import Frame, FrameRenderer
from mvt4g.synthetic.shapes import Shape, draw_resting_rotation, draw_shape, mesh
from mvt4g.synthetic.spec import ObjectSpec, SceneSpec
from mvt4g.synthetic.tracks import Poses, carry, draw_pixels, project_tracks, visibility
from mvt4g.synthetic.world import draw_world
from mvt4g.types import Cameras, InputError, MultiViewClip

__all__ = ["SceneSpec", "generate_clip"]

DYNAMIC_SHARE = 0.01
"""A body is dynamic when a point of it is ever farther than this share of its size from where it is in frame 0."""
PLACING_ATTEMPTS = 100


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
    body_rng, look_rng, camera_rng, point_rng = np.random.default_rng((seed, index)).spawn(4)
    bodies = draw_bodies(body_rng, scene.objects)
    positions, quaternions = simulate(bodies, scene.num_frames, scene.fps, scene.objects.restitution)
    poses = Poses(rotation_from_quaternion(torch.from_numpy(quaternions)).numpy(), positions)
    shapes = [body.shape for body in bodies]
    world = draw_world(look_rng, shapes, scene.looks)
    if cameras is None:
        cameras = draw_cameras(camera_rng, scene.cameras, scene.num_views, scene.num_frames, scene.image_size)
    elif cameras.intrinsics.shape != (scene.num_views, scene.num_frames, 3, 3):
        got, want = tuple(cameras.intrinsics.shape[:-2]), (scene.num_views, scene.num_frames)
        raise InputError(f"cameras: got {got} of views and frames, want {want}")
    frames = [
        FrameRenderer(world, poses.rotations[time], poses.positions[time]).render(cameras[:, time], scene.image_size)
        for time in range(scene.num_frames)
    ]
    return _assemble(scene, frames, cameras, poses, shapes, point_rng, f"synthetic-{seed}-{index:06d}")


def draw_bodies(rng: np.random.Generator, objects: ObjectSpec) -> list[Body]:
    """Draw resting bodies beside each other on the ground, then thrown ones in the air.

    A body for which no free place is found is left out.
    """
    resting, thrown = (int(rng.integers(low, high + 1)) for low, high in (objects.resting, objects.thrown))
    bodies: list[Body] = []
    for number in range(resting + thrown):
        for _ in range(PLACING_ATTEMPTS):
            shape = draw_shape(rng, objects.kinds[int(rng.integers(len(objects.kinds)))], rng.uniform(*objects.size))
            body = _draw_resting(rng, shape, objects) if number < resting else _draw_thrown(rng, shape, objects)
            if all(_apart(body, other) for other in bodies):
                bodies.append(body)
                break
    return bodies


def dynamic_instances(shapes: Sequence[Shape], poses: Poses) -> Bool[ndarray, " i"]:
    """Say which bodies count as dynamic (see DYNAMIC_SHARE)."""
    moves = np.zeros(len(shapes), dtype=bool)
    for number, shape in enumerate(shapes):
        rotation, position = poses.rotations[:, number], poses.positions[:, number, None]
        paths = np.einsum("tij,nj->tni", rotation, mesh(shape).vertices) + position
        moves[number] = np.linalg.norm(paths - paths[:1], axis=-1).max() > DYNAMIC_SHARE * shape.size
    return moves


def _draw_resting(rng: np.random.Generator, shape: Shape, objects: ObjectSpec) -> Body:
    rotation, height = draw_resting_rotation(rng, shape)
    place = _in_disc(rng, objects.spawn_radius)
    return Body(shape, np.array([*place, height]), _quaternion(rotation))


def _draw_thrown(rng: np.random.Generator, shape: Shape, objects: ObjectSpec) -> Body:
    place = _in_disc(rng, objects.spawn_radius)
    height = shape.bounding_radius + rng.uniform(0.1, 1.5)
    # Towards a point near the centre, so that bodies stay in view.
    heading = _in_disc(rng, objects.spawn_radius) - place
    speed = rng.uniform(*objects.speed) / max(float(np.linalg.norm(heading)), 1e-9)
    velocity = np.array([*(speed * heading), rng.uniform(-1.0, 2.5)])
    quaternion = rng.normal(size=4)
    spin = rng.uniform(-1, 1, 3) * objects.spin
    return Body(shape, np.array([*place, height]), quaternion / np.linalg.norm(quaternion), velocity, spin)


def _apart(body: Body, other: Body) -> bool:
    gap = float(np.linalg.norm(body.position - other.position))
    return gap > body.shape.bounding_radius + other.shape.bounding_radius


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


def _in_disc(rng: np.random.Generator, radius: float) -> Float[ndarray, " 2"]:
    angle = rng.uniform(0, 2 * np.pi)
    return radius * np.sqrt(rng.uniform()) * np.array([np.cos(angle), np.sin(angle)])


def _quaternion(rotation: Float[ndarray, "3 3"]) -> Float[ndarray, " 4"]:
    """Return wxyz of a rotation by the largest of the four squares, which is never near 0."""
    m = rotation
    squares = np.array(
        [1 + m[0, 0] + m[1, 1] + m[2, 2], 1 + m[0, 0] - m[1, 1] - m[2, 2],
         1 - m[0, 0] + m[1, 1] - m[2, 2], 1 - m[0, 0] - m[1, 1] + m[2, 2]]
    )  # fmt: skip
    products = np.array(
        [[squares[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
         [m[2, 1] - m[1, 2], squares[1], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
         [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], squares[2], m[1, 2] + m[2, 1]],
         [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[3]]]
    )  # fmt: skip
    quaternion = products[int(squares.argmax())]
    return quaternion / np.linalg.norm(quaternion)
