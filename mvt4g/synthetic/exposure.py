"""The frames of a clip as a camera takes them: drawn in either look, exposed over a time, with the sensor's noise."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float
from numpy import ndarray

from mvt4g.geometry.pose import invert_pose
from mvt4g.synthetic.render import Frame
from mvt4g.synthetic.textured_look import TexturedRenderer
from mvt4g.synthetic.textured_world import TexturedWorld
from mvt4g.synthetic.tracks import Poses
from mvt4g.synthetic.wave_look import WaveRenderer
from mvt4g.synthetic.world import World
from mvt4g.types import Cameras


def render_frames(
    world: World | TexturedWorld,
    poses: Poses,
    cameras: Cameras,
    image_size: tuple[int, int],
    rng: np.random.Generator,
) -> Iterator[Frame]:
    """Draw one frame of all views after the other.

    Depth, ids and normals are those of a frame's own time; colours are the mean of the light over its exposure.

    Args:
        world: What is drawn.
        poses: Of the bodies at all frames.
        cameras: Of all views and frames ``(v t)``.
        image_size: Height and width.
        rng: Of the sensor's noise; every frame gets a stream of its own.
    """
    num_frames = len(poses.positions)
    looks = world.looks
    for time, noise_rng in enumerate(rng.spawn(num_frames)):
        frame = render_moment(world, poses, cameras, image_size, float(time))
        if world.shutter > 0:
            # Moments lie in the middles of equal parts of the exposure; light adds up, not its square root.
            shares = (np.arange(looks.shutter_samples) + 0.5) / looks.shutter_samples
            moments = time + world.shutter * (shares - 0.5)
            light = np.zeros_like(frame.colour)
            for moment in moments:
                light += np.square(render_moment(world, poses, cameras, image_size, float(moment)).colour)
            colour = np.sqrt(light / np.float32(looks.shutter_samples))
            frame = replace(frame, colour=colour)
        if looks.shot_noise > 0 or looks.read_noise > 0:
            colour = noisy(frame.colour, looks.shot_noise, looks.read_noise, noise_rng)
            frame = replace(frame, colour=colour)
        yield frame


def render_moment(
    world: World | TexturedWorld, poses: Poses, cameras: Cameras, image_size: tuple[int, int], moment: float | int
) -> Frame:
    """Draw all views at a time in frames, whole or not."""
    rotations, positions, views = at_moment(poses, cameras, float(moment))
    if isinstance(world, World):
        return WaveRenderer(world, rotations, positions).render(views, image_size)
    return TexturedRenderer(world, rotations, positions).render(views, image_size)


def at_moment(
    poses: Poses, cameras: Cameras, moment: float | int
) -> tuple[Float[ndarray, "i 3 3"], Float[ndarray, "i 3"], Cameras]:
    """Return the bodies' rotations and positions and the cameras ``(v)`` at a time in frames.

    Between frames positions are linear and rotations turn evenly; before the first and after the last frame the
    motion of the nearest interval goes on.
    """
    num_frames = len(poses.positions)
    if moment == int(moment) and 0 <= moment < num_frames:
        time = int(moment)
        return poses.rotations[time], poses.positions[time], cameras[:, time]
    before = int(np.clip(np.floor(moment), 0, max(num_frames - 2, 0)))
    after = min(before + 1, num_frames - 1)
    share = moment - before
    rotations = _turned(poses.rotations[before], poses.rotations[after], share)
    positions = (1 - share) * poses.positions[before] + share * poses.positions[after]
    first = invert_pose(cameras.cam_from_world[:, before].double()).numpy()
    second = invert_pose(cameras.cam_from_world[:, after].double()).numpy()
    world_from_cam = first.copy()
    world_from_cam[:, :3, :3] = _turned(first[:, :3, :3], second[:, :3, :3], share)
    world_from_cam[:, :3, 3] = (1 - share) * first[:, :3, 3] + share * second[:, :3, 3]
    intrinsics = (1 - share) * cameras.intrinsics[:, before] + share * cameras.intrinsics[:, after]
    cam_from_world = invert_pose(torch.from_numpy(world_from_cam)).float()
    return rotations, positions, Cameras(cam_from_world, intrinsics)


def noisy(
    colour: Float[ndarray, "*s 3"],
    shot: float | int,
    read: float | int,
    rng: np.random.Generator,
) -> Float[ndarray, "*s 3"]:
    """Add a sensor's noise to colours, square roots of light: its variance is ``shot`` times the light + ``read``^2.

    Source: Foi et al., Practical Poissonian-Gaussian noise modeling and fitting, TIP 2008.
    """
    light = np.square(colour)
    deviation = np.sqrt(np.float32(shot) * light + np.float32(read) ** 2)
    light += deviation * rng.standard_normal(light.shape, dtype=np.float32)
    return np.sqrt(np.clip(light, 0, 1))


def _turned(
    start: Float[ndarray, "n 3 3"],
    end: Float[ndarray, "n 3 3"],
    share: float,
) -> Float[ndarray, "n 3 3"]:
    """Go this share of the shortest turn from one rotation to another, at even speed."""
    turn = einsum(end, start, "n i k, n j k -> n i j")
    # Twice the sine times the axis is what makes a rotation unsymmetric (Rodrigues).
    axis = np.stack([turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], -1)
    sine = np.linalg.norm(axis, axis=-1) / 2
    angle = share * np.arctan2(sine, (np.trace(turn, axis1=1, axis2=2) - 1) / 2)
    x, y, z = (axis / np.maximum(2 * sine, 1e-12)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    sine_part = np.sin(angle)[:, None, None] * cross
    part = np.eye(3) + sine_part + (1 - np.cos(angle))[:, None, None] * (cross @ cross)
    return part @ start
