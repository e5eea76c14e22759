"""Clips of a moving patterned wall seen by two cameras side by side: all that is true of them is known by hand."""

import torch

from mvt4g.types import Cameras, MultiViewClip

SIZE, FRAMES, POINTS = 32, 3, 12
FOCAL, DEPTH = 32.0, 4.0


def wall_clip(number: int) -> MultiViewClip:
    """The wall stands square before both cameras and moves 1 px a frame to the left.

    The target camera stands ``2 + number`` pixels' worth to the right, so what the reference sees at x it sees at
    x - 2 - number. Every number has another pattern and other points.
    """
    disparity = 2.0 + number
    generator = torch.Generator().manual_seed(number)
    phase = 6.28 * torch.rand(3, 1, 1, generator=generator)
    row, column = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    start = torch.rand(POINTS, 2, generator=generator) * SIZE
    video, tracks = torch.zeros(2, FRAMES, 3, SIZE, SIZE), torch.zeros(2, FRAMES, POINTS, 2)
    for view in (0, 1):
        for frame in range(FRAMES):
            left = frame + disparity * view
            video[view, frame] = 0.5 + 0.4 * torch.sin(0.5 * (column + left) + phase) * torch.cos(0.3 * row + phase)
            tracks[view, frame] = start - torch.tensor([left, 0.0])
    pose = torch.eye(4).repeat(2, FRAMES, 1, 1)
    pose[1, :, 0, 3] = -disparity * DEPTH / FOCAL
    intrinsics = torch.tensor([[FOCAL, 0, SIZE / 2], [0, FOCAL, SIZE / 2], [0, 0, 1]]).repeat(2, FRAMES, 1, 1)
    return MultiViewClip(
        video=video,
        cameras=Cameras(pose, intrinsics),
        name=f"wall {number}",
        tracks=tracks,
        visible=((tracks >= 0) & (tracks < SIZE)).all(dim=-1),
        point_valid=torch.arange(POINTS) != POINTS - 1,
        depth=torch.full((2, FRAMES, SIZE, SIZE), DEPTH),
    )


def wall_batch(*numbers: int) -> MultiViewClip:
    return MultiViewClip.stack([wall_clip(number) for number in numbers])
