"""Clips whose points are known in space and in every view, made without a renderer, and sources that hold them."""

from dataclasses import replace

import torch
from einops import rearrange

from mvt4g.formats.readers.selection import EVERYTHING
from mvt4g.geometry.camera import project_points
from mvt4g.geometry.pose import rotation_from_axis_angle
from mvt4g.types import Cameras, MultiViewClip

FOCAL = 30.0


def moving_clip(views=2, frames=3, height=24, width=32, points=40, seed=0, name="made-up"):
    """Points that move on their own before cameras that move and turn; some leave the image.

    Depth is each pixel's row + 100 * column, ids its column, so that where a pixel came from can be read off.
    """
    generator = torch.Generator().manual_seed(seed)
    start = (torch.rand(points, 3, generator=generator) - 0.5) * torch.tensor([6.0, 4.5, 2.0])
    drift = 0.2 * torch.randn(points, 3, generator=generator)
    points_world = start + torch.arange(frames)[:, None, None] * drift + torch.tensor([0.0, 0.0, 5.0])
    pose = torch.eye(4).repeat(views, frames, 1, 1)
    pose[..., :3, :3] = rotation_from_axis_angle(0.1 * torch.randn(views, frames, 3, generator=generator))
    pose[..., :3, 3] = 0.3 * torch.randn(views, frames, 3, generator=generator)
    intrinsics = torch.tensor([[FOCAL, 0, width / 2 + 1], [0, 1.1 * FOCAL, height / 2 - 1], [0, 0, 1]])
    cameras = Cameras(pose, intrinsics.repeat(views, frames, 1, 1))
    tracks, front = projected(points_world, cameras)
    inside = ((tracks >= 0) & (tracks < torch.tensor([width, height]))).all(dim=-1)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return MultiViewClip(
        video=torch.rand(views, frames, 3, height, width, generator=generator),
        cameras=cameras,
        name=name,
        tracks=tracks,
        visible=front & inside,
        points_world=points_world,
        point_instance=torch.arange(points) % 3,
        point_valid=torch.arange(points) < points - 2,
        depth=(rows + 100.0 * columns).expand(views, frames, height, width).clone(),
        instances=columns.expand(views, frames, height, width).clone(),
        dynamic=(rows % 2 == 0).expand(views, frames, height, width).clone(),
        covisible=(rows % 3 == 0).expand(views, frames, height, width).clone(),
        fps=24.0,
    )


def projected(points_world, cameras):
    pose, intrinsics = (rearrange(m, "v t i j -> v t 1 i j") for m in (cameras.cam_from_world, cameras.intrinsics))
    pixels, front = project_points(points_world, pose, intrinsics)
    return pixels.contiguous(), front


def video_and_cameras(**changes):
    """What MultiCamVideo has."""
    clip = moving_clip(**changes)
    return MultiViewClip(clip.video, clip.cameras, clip.name)


class Listed:
    """A source in memory that notes what is read of it."""

    def __init__(self, clips):
        self.clips = [replace(clip, name=f"{clip.name}-{number}") for number, clip in enumerate(clips)]
        self.reads = []

    @property
    def names(self):
        return [clip.name for clip in self.clips]

    def __len__(self):
        return len(self.clips)

    def count(self, index, /):
        return tuple(self.clips[index].video.shape[:2])

    def read(self, index, selection=EVERYTHING, /):
        self.reads.append((index, selection))
        clip = self.clips[index]
        views, frames = selection.of(clip.name, *self.count(index))
        clip = clip.select_views(views)
        by_view = {
            field: getattr(clip, field)[:, frames]
            for field in ("video", "tracks", "visible", "depth", "instances", "dynamic", "covisible")
            if getattr(clip, field) is not None
        }
        points = None if clip.points_world is None else clip.points_world[frames]
        return replace(clip, cameras=clip.cameras[:, frames], points_world=points, **by_view)
