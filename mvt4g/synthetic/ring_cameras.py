"""Cameras that stand still on rings about a point, as Kubric-4D has them."""

import numpy as np
import torch
from einops import repeat
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from mvt4g.geometry.pose import look_at
from mvt4g.synthetic.camera_specs import RingCameras
from mvt4g.types import InputError


def draw_ring(rng: np.random.Generator, spec: RingCameras, num_views: int, num_frames: int) -> Float[Tensor, "v t 4 4"]:
    """Return ``world_from_cam`` of all places in order, or of as many as asked for, drawn without repetition.

    Raises:
        InputError: If more views are asked for than there are places.
    """
    places = ring_places(spec)
    if num_views > len(places):
        raise InputError(f"scene.num_views: got {num_views}, want at most the {len(places)} places of scene.cameras")
    chosen = np.arange(len(places))
    if num_views < len(places):
        chosen = rng.permutation(len(places))[:num_views]
    target = torch.tensor(spec.look_at, dtype=torch.float64)
    world_from_cam = look_at(torch.from_numpy(places[chosen]), target)
    return repeat(world_from_cam, "v i j -> v t i j", t=num_frames)


def ring_places(spec: RingCameras) -> Float[ndarray, "n 3"]:
    """Return all places, ring after ring; world frame."""
    places = []
    for count, elevation, first in zip(spec.counts, spec.elevations, spec.azimuths, strict=True):
        azimuth = np.deg2rad(first) + 2 * np.pi * np.arange(count) / count
        height = np.deg2rad(elevation)
        flat = np.cos(height)
        up = np.full(count, np.sin(height))
        places.append(np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), up], axis=-1))
    return np.asarray(spec.look_at) + spec.distance * np.concatenate(places)
