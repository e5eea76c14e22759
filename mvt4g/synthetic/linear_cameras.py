"""Straight camera paths within half a shell about the origin, as MOVi-E and MOVi-F have them, but seeded.

Source: kubric, challenges/movi/movi_def_worker.py and randomness.py (the laws; not their code). There the path is run
from its end to its start and its ends do not follow from the seed.
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from mvt4g.geometry.pose import look_at
from mvt4g.synthetic.camera_specs import LinearCameras
from mvt4g.types import InputError

ATTEMPTS = 10_000


def draw_linear(
    rng: np.random.Generator,
    spec: LinearCameras,
    num_views: int,
    num_frames: int,
) -> Float[Tensor, "v t 4 4"]:
    """Draw ``world_from_cam``; every view has a random stream of its own, so that more views leave the first as is.

    Raises:
        InputError: If no path fits within the shell.
    """
    # A path is margin frames longer at either end than what is shown of it.
    along = (np.arange(num_frames) + spec.margin) / (num_frames + 2 * spec.margin)
    paths = []
    for stream in rng.spawn(num_views):
        start, end = draw_path(stream, spec)
        paths.append(start + along[:, None] * (end - start))
    positions = np.stack(paths)
    return look_at(torch.from_numpy(positions), torch.tensor(spec.look_at, dtype=torch.float64))


def draw_path(rng: np.random.Generator, spec: LinearCameras) -> tuple[Float[ndarray, " 3"], Float[ndarray, " 3"]]:
    """Draw where a path starts and ends: one length, then starts and directions until the end fits.

    Raises:
        InputError: If none fits.
    """
    length = rng.uniform(*spec.travel)
    for _ in range(ATTEMPTS):
        start = in_half_shell(rng, spec.radius, spec.lowest)
        direction = rng.uniform(size=3) - 0.5  # leans to the corners of the cube, as there
        end = start + length * direction / np.linalg.norm(direction)
        if spec.radius[0] <= np.linalg.norm(end) <= spec.radius[1] and end[2] > spec.lowest:
            return start, end
    raise InputError(f"scene.cameras.travel: got {spec.travel} within a shell of {spec.radius}, want room for the path")


def in_half_shell(rng: np.random.Generator, radius: tuple[float, float], lowest: float) -> Float[ndarray, " 3"]:
    """Draw a point of the upper half of a shell, evenly in volume but for the rim.

    ``lowest`` is compared with the height of a standard normal vector before it is scaled, as there.
    """
    normal = rng.normal(size=3)
    while normal[2] < lowest:
        normal = rng.normal(size=3)
    low, high = radius
    # A cube root of an even draw: as many points in every shell of one volume.
    distance = np.cbrt(rng.uniform(low**3, high**3))
    return normal / np.linalg.norm(normal) * distance
