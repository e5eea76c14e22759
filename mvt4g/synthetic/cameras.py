"""Cameras by recipe; here those on a shell about the scene, each looking near its centre."""

import numpy as np
import torch
from einops import repeat
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose, look_at
from mvt4g.synthetic.camera_specs import CameraSpec, LinearCameras, RecamCameras, RingCameras
from mvt4g.synthetic.linear_cameras import draw_linear
from mvt4g.synthetic.recam_cameras import draw_recam
from mvt4g.synthetic.ring_cameras import draw_ring
from mvt4g.types import Cameras, InputError

CENTRE_HEIGHT = 0.5
"""The point the shell is about lies this far above the ground."""
ATTEMPTS = 500


def draw_cameras(
    rng: np.random.Generator,
    spec: CameraSpec | LinearCameras | RingCameras | RecamCameras,
    num_views: int,
    num_frames: int,
    image_size: tuple[int, int],
) -> Cameras:
    """Draw fp32 cameras ``(v t)``.

    Raises:
        InputError: If so many views cannot be placed.
    """
    if isinstance(spec, CameraSpec):
        return _draw_shell(rng, spec, num_views, num_frames, image_size)
    if isinstance(spec, RecamCameras):
        world_from_cam, focal = draw_recam(rng, spec, num_views, num_frames)
    elif isinstance(spec, LinearCameras):
        world_from_cam = draw_linear(rng, spec, num_views, num_frames)
        focal = spec.focal
    else:
        world_from_cam = draw_ring(rng, spec, num_views, num_frames)
        focal = spec.focal
    height, width = image_size
    intrinsics = torch.tensor([[focal * width, 0, width / 2], [0, focal * width, height / 2], [0, 0, 1]])
    alike = repeat(intrinsics, "i j -> v t i j", v=num_views, t=num_frames).contiguous()
    return Cameras(invert_pose(world_from_cam).float(), alike)


def _draw_shell(
    rng: np.random.Generator,
    spec: CameraSpec,
    num_views: int,
    num_frames: int,
    image_size: tuple[int, int],
) -> Cameras:
    """Draw directions of views that scatter about a common one, whose azimuth is free.

    Every camera has its own focal length, keeps its own point near the centre in the middle of the image, and moves at
    constant speed along its own straight line.
    """
    centre = np.array([0.0, 0.0, CENTRE_HEIGHT])
    for _ in range(ATTEMPTS):
        positions = _draw_paths(rng, spec, num_views, num_frames)
        angles = separation_degrees(positions)
        off_diagonal = angles[~np.eye(num_views, dtype=bool)]
        # The whole set is drawn anew: moving one camera would favour some layouts.
        least, largest = spec.separation
        if num_views == 1 or (off_diagonal.min() >= least and off_diagonal.max() <= largest):
            break
    else:
        got = f"{spec.separation} for {num_views} views"
        raise InputError(f"scene.cameras.separation: got {got}, want room for them all")
    aim = centre + _in_ball(rng, num_views) * spec.look_at_radius
    world_from_cam = look_at(torch.from_numpy(positions + centre), torch.from_numpy(aim[:, None]))
    fields = np.deg2rad(rng.uniform(*spec.fov, num_views))
    intrinsics = torch.stack([intrinsics_from_fov(float(field), *image_size) for field in fields])
    every_frame = intrinsics[:, None].expand(-1, num_frames, -1, -1)
    return Cameras(invert_pose(world_from_cam).float(), every_frame.float().contiguous())


def separation_degrees(positions: Float[ndarray, "v t 3"]) -> Float[ndarray, "v v t"]:
    """Return the angle at the origin between every two views at every frame, degrees."""
    directions = positions / np.linalg.norm(positions, axis=-1, keepdims=True)
    cosine = np.einsum("atc,btc->abt", directions, directions)
    return np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))


def camera_centres(cameras: Cameras) -> Float[Tensor, "*b 3"]:
    """Return camera positions in the world frame."""
    return invert_pose(cameras.cam_from_world)[..., :3, 3]


def _draw_paths(rng: np.random.Generator, spec: CameraSpec, num_views: int, num_frames: int) -> Float[ndarray, "v t 3"]:
    """Draw positions about the shell's centre, without a look at how they lie to each other."""
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.deg2rad(rng.uniform(*spec.elevation))
    flat = np.cos(elevation)
    outward = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    sideways = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    upward = np.cross(outward, sideways)
    # On a disc across the common direction; the root spreads views evenly over its area.
    scatter = np.tan(np.deg2rad(spec.separation[1] / 2)) * np.sqrt(rng.uniform(0, 1, num_views))
    angle = rng.uniform(0, 2 * np.pi, num_views)
    aside = np.cos(angle)[:, None] * sideways + np.sin(angle)[:, None] * upward
    directions = outward + scatter[:, None] * aside
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    middles = directions * rng.uniform(*spec.radius, num_views)[:, None]
    headings = rng.normal(size=(num_views, 3))
    lengths = rng.uniform(*spec.travel, num_views)
    headings *= (lengths / np.linalg.norm(headings, axis=-1))[:, None]
    times = np.linspace(-0.5, 0.5, num_frames) if num_frames > 1 else np.zeros(1)
    return middles[:, None] + times[:, None] * headings[:, None]


def _in_ball(rng: np.random.Generator, count: int) -> Float[ndarray, "n 3"]:
    normal = rng.normal(size=(count, 3))
    directions = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    return directions * np.cbrt(rng.uniform(0, 1, (count, 1)))
