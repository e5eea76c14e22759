"""Scenes of a box before a wall, each frame marked with its own number."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mvt4g.formats.scene4d import METRES, Scene4D, SceneTracks, SceneView, TrueTracks
from mvt4g.geometry.camera import project_points
from mvt4g.types import Cameras

WALL, BOX = 4.0, 2.0
"""Distance of the wall and of the front of the box."""
BOX_HALF = (0.5, 0.3)
ROOT = 16
"""A frame's number is written as two grey blocks, one for each digit to this base."""


def box_scene(
    frames: int = 3,
    size: tuple[int, int] = (48, 64),
    generated_size: tuple[int, int] | None = None,
    points: int = 12,
    with_truth: bool = True,
    with_confidence: bool = True,
) -> Scene4D:
    """Return a scene whose reference camera stands still and whose generated camera goes to the right."""
    path = torch.linspace(0, 0.8, frames)
    reference = box_view(torch.zeros(frames), size, 0, with_confidence)
    generated = box_view(path, generated_size or size, 1, with_confidence)
    true_poses = generated.cameras.cam_from_world.clone()
    true_poses[:, 1, 3] += 0.1
    if with_truth:
        generated = SceneView(generated.video, generated.depth, generated.cameras, generated.confidence, true_poses)
    tracks, truth = None, None
    if points:
        tracks, truth = box_tracks((reference, generated), frames, points)
    return Scene4D(
        reference,
        generated,
        times_s=torch.arange(frames) / 24,
        alignment=torch.tensor([[1.0, 0.0], [1.3, 0.1]]),
        alignment_residual=torch.tensor([torch.nan, 0.01]),
        unit=METRES,
        tracks=tracks,
        true_tracks=truth if with_truth else None,
    )


def box_view(shift: Float[Tensor, " t"], size: tuple[int, int], seed: int, with_confidence: bool) -> SceneView:
    """Return a view from (shift, 0, 0) along z."""
    height, width = size
    frames = len(shift)
    focal = 0.9 * width
    lens = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    poses = torch.eye(4).expand(frames, 4, 4).clone()
    poses[:, 0, 3] = -shift
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    right, down = (x - width / 2) / focal, (y - height / 2) / focal
    at_box_x = right * BOX + shift[:, None, None]
    hits = (at_box_x.abs() < BOX_HALF[0]) & ((down * BOX).abs() < BOX_HALF[1])
    depth = torch.where(hits, BOX, WALL)
    wave = torch.stack([(9 * (right * depth + shift[:, None, None]) + k).sin() for k in range(3)], dim=-1)
    level = 128 + 70 * wave * torch.where(hits, 1.0, 0.4)[..., None]
    video = level.clamp(0, 255).to(torch.uint8)
    for frame in range(frames):
        number_frame(video[frame], frame)
    confidence = (depth / depth.max() * (x + 1) / width) if with_confidence else None
    return SceneView(video, depth, Cameras(poses, lens.expand(frames, 3, 3).clone()), confidence)


def number_frame(picture: UInt8[Tensor, "h w 3"], number: int) -> None:
    """Write a frame's number into the upper left corner."""
    height, width = picture.shape[0] // 6, picture.shape[1] // 8
    picture[:height, :width] = 8 + ROOT * (number // ROOT)
    picture[:height, width : 2 * width] = 8 + ROOT * (number % ROOT)


def box_tracks(views: tuple[SceneView, SceneView], frames: int, points: int) -> tuple[SceneTracks, TrueTracks]:
    """Return points that drift over the box's front, a third of them hidden, and their true tracks."""
    start = torch.stack(
        [torch.linspace(-0.4, 0.3, points), torch.linspace(-0.2, 0.2, points), torch.full((points,), BOX)], dim=-1
    )
    drift = torch.linspace(0, 0.4, frames)[:, None, None] * torch.tensor([1.0, 0.5, 0.0])
    world = start + drift
    pixels = []
    for view in views:
        cameras = view.cameras
        pixels.append(project_points(world, cameras.cam_from_world[:, None], cameras.intrinsics[:, None])[0])
    visible = torch.ones(2, frames, points, dtype=torch.bool)
    visible[:, :, ::3] = False
    lifted = world.expand(2, -1, -1, -1).clone()
    lifted[1] += 0.15
    tracks = SceneTracks(torch.stack(pixels), lifted, visible, visible)
    return tracks, TrueTracks(torch.stack(pixels), visible, world)
