"""Cameras that pan, tilt, arc or translate within the ranges of ReCamMaster's training set.

MultiCamVideo's cameras start anywhere about the person they film, while ReCamMaster, asked for a new trajectory, takes
the first poses of both videos to be one. A clip here is of either kind (``shared_start``), so that a model meets both.
Translations keep the point looked at in the middle, as in ReCamMaster's ten basic trajectories.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from mvt4g.geometry.pose import look_at, rotation_from_axis_angle
from mvt4g.synthetic.camera_specs import RecamCameras
from mvt4g.types import InputError

CameraMotion = Literal["static", "pan", "tilt", "arc", "translation"]

MOTIONS: tuple[CameraMotion, ...] = ("pan", "tilt", "arc", "translation")
AIM_HEIGHT = 1.0
AIM_RADIUS = 0.5
"""The point looked at: so high, and so far off the origin to the side."""
LOWEST = 0.3
NEAREST = 3.0
"""A camera stays above the first and farther from the point looked at than the second; other motions are redrawn."""
ATTEMPTS = 1000


def draw_recam(
    rng: np.random.Generator,
    spec: RecamCameras,
    num_views: int,
    num_frames: int,
) -> tuple[Float[Tensor, "v t 4 4"], float]:
    """Draw ``world_from_cam`` and the focal length in image widths, which all views share.

    View 0 is the reference. Every view has a random stream of its own, so that more views leave the first as is.

    Raises:
        InputError: If no motion keeps above the ground and away from the scene.
    """
    shared, *streams = rng.spawn(1 + num_views)
    lens = float(shared.choice(spec.lenses))
    azimuth, sideways = shared.uniform(0, 2 * np.pi, 2)
    aim = np.array([AIM_RADIUS * np.cos(sideways), AIM_RADIUS * np.sin(sideways), AIM_HEIGHT])
    together = shared.uniform() < spec.shared_start
    still = shared.uniform() < spec.static_reference
    first = _draw_start(shared, spec, azimuth)
    views = []
    for view, stream in enumerate(streams):
        turn = np.deg2rad(stream.uniform(-spec.separation, spec.separation))
        start = first if together or view == 0 else _draw_start(stream, spec, azimuth + turn)
        views.append(_draw_view(stream, spec, start, aim, num_frames, stands=still and view == 0))
    return torch.stack(views), lens


def move(
    motion: CameraMotion,
    amount: Float[ndarray, " t"],
    start: Float[ndarray, " 3"],
    aim: Float[ndarray, " 3"],
    axis: Float[ndarray, " 3"],
) -> Float[Tensor, "t 4 4"]:
    """Return ``world_from_cam`` of a motion.

    Args:
        motion: Which.
        amount: How far at every frame: radians, or the share of the distance from ``start`` to ``aim``.
        start: Where the camera is where the amount is 0, world frame.
        aim: What it looks at there.
        axis: Of a translation, unit, in the camera's frame at the start.
    """
    here = torch.from_numpy(start)
    there = torch.from_numpy(aim)
    first = look_at(here, there)
    how_far = torch.from_numpy(amount)[:, None]
    vertical = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    if motion in ("pan", "tilt"):
        about = vertical if motion == "pan" else first[:3, 0]
        poses = first.repeat(len(amount), 1, 1)
        poses[:, :3, :3] = rotation_from_axis_angle(how_far * about) @ first[:3, :3]
        return poses
    if motion == "arc":
        turn = rotation_from_axis_angle(how_far * vertical)
        return look_at(there + turn @ (here - there), there)
    if motion == "translation":
        # Shares of the distance, so that near and far cameras change their view alike.
        along = (there - here).norm() * (first[:3, :3] @ torch.from_numpy(axis))
        return look_at(here + how_far * along, there)
    return first.repeat(len(amount), 1, 1)


def progress(num_frames: int, rate: float) -> Float[ndarray, " t"]:
    """Return the share of a path done at every frame: 0 to 1, eased by ``rate``; 0 = constant speed."""
    along = np.linspace(0, 1, num_frames) if num_frames > 1 else np.zeros(1)
    return along if rate == 0 else np.expm1(-rate * along) / np.expm1(-rate)


def _draw_start(rng: np.random.Generator, spec: RecamCameras, azimuth: float) -> Float[ndarray, " 3"]:
    """Draw a place relative to the point looked at."""
    elevation = np.deg2rad(rng.uniform(*spec.elevation))
    flat = np.cos(elevation)
    direction = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    return rng.uniform(*spec.distance) * direction


def _draw_view(
    rng: np.random.Generator,
    spec: RecamCameras,
    start: Float[ndarray, " 3"],
    aim: Float[ndarray, " 3"],
    num_frames: int,
    stands: bool,
) -> Float[Tensor, "t 4 4"]:
    """Draw one view's motion until it keeps clear of ground and scene."""
    ranges = spec.motions
    for _ in range(ATTEMPTS):
        motion = "static" if stands else MOTIONS[int(rng.integers(len(MOTIONS)))]
        # Drawn whatever the motion is: the draws after it stay where they are.
        largest = {"static": 0.0, "translation": rng.uniform(*ranges.translation)}.get(motion)
        if largest is None:
            largest = np.deg2rad(rng.uniform(*getattr(ranges, motion)))
        axis = np.eye(3)[int(rng.integers(3))]
        rate = rng.choice([-1, 1]) * rng.uniform(*ranges.easing) if rng.uniform() < spec.eased else 0.0
        amount = rng.choice([-1, 1]) * largest * progress(num_frames, float(rate))
        poses = move(motion, amount, aim + start, aim, axis)
        places = poses[:, :3, 3]
        nearest = (places - torch.from_numpy(aim)).norm(dim=-1).min()
        if float(places[:, 2].min()) >= LOWEST and float(nearest) >= NEAREST:
            return poses
    raise InputError(f"scene.cameras: got distances {spec.distance}, want room above ground and {NEAREST} from centre")
