"""Static synthetic scenes with enough texture to match, seen from cameras that a test chooses."""

import math

import torch

from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import compose, invert_pose, look_at
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.geometry.twist import apply_twist
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.synthetic.spec import LookSpec, ObjectSpec
from mvt4g.types import Cameras, MultiViewClip

DEPTH = 8.0
"""About how far the cameras are from what they look at, scene units."""
FINE = LookSpec(ground_wavelength=(0.15, 2.0), ground_waves=40, ground_contrast=0.25, object_waves=12)


def static_scene(size: int, num_frames: int = 1, num_views: int = 1, looks: LookSpec = FINE) -> SceneSpec:
    return SceneSpec(
        num_frames, (size, size), num_views, objects=ObjectSpec(resting=(4, 6), thrown=(0, 0)), looks=looks
    )


def preset_clip(preset: str, size: int, num_frames: int, seed: int = 0) -> MultiViewClip:
    """Return one view along a preset path about the centre of the scene."""
    start = look_at(torch.tensor([6.9, 0.0, 4.5]), torch.tensor([0.0, 0.0, 0.5]))
    path = compose(start, preset_trajectory(preset, num_frames, scale=DEPTH / 4))
    intrinsics = intrinsics_from_fov(math.radians(44), size, size).expand(1, num_frames, 3, 3)
    return generate_clip(static_scene(size, num_frames), seed, 0, Cameras(invert_pose(path)[None], intrinsics))


def moved_pair(
    size: int, rotation_deg: float, share_of_depth: float, index: int = 0, looks: LookSpec = FINE
) -> tuple[MultiViewClip, MultiViewClip]:
    """Return one frame of a scene, and it again from a camera turned and shifted in random directions."""
    scene = static_scene(size, looks=looks)
    clip = generate_clip(scene, 0, index)
    turn, shift = torch.randn(2, 3, generator=torch.Generator().manual_seed(index))
    twist = torch.cat([turn / turn.norm() * math.radians(rotation_deg), shift / shift.norm() * share_of_depth * DEPTH])
    moved = apply_twist(clip.cameras.cam_from_world, twist)
    return clip, generate_clip(scene, 0, index, Cameras(moved, clip.cameras.intrinsics))
