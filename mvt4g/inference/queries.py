"""Query points of a batch, and where their points truly are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool
from torch import Tensor

from mvt4g.geometry.sampling import sample_queries
from mvt4g.inference.noise import generator_for, name_key
from mvt4g.types import LatentClip, LatentGrid, MultiViewClip, PointTruth


def draw_queries(
    clip: MultiViewClip | LatentClip,
    grid: LatentGrid,
    num_queries: int,
    generator: torch.Generator,
) -> PointTruth:
    """Draw query points from either view and any latent frame's time.

    Args:
        clip: A batch. Without tracks there is one query a clip, which is not valid: what is learnt of it is exactly 0.
        grid: Says which video frames latent frames stand for.
        num_queries: Points a clip.
        generator: On the CPU.
    """
    if clip.tracks is None or clip.visible is None:
        return _no_queries(clip, grid)
    queries, point_index = sample_queries(
        clip.tracks,
        clip.visible,
        clip.point_valid,
        num_queries,
        generator,
        frame_step=grid.temporal_stride,
    )
    num_frames = clip.tracks.shape[2]
    latent_frame = torch.arange(grid.latent_frames(num_frames), device=queries.device)
    # A clip without a point has index -1: it takes some point's track, which ``valid`` says not to count.
    known = point_index.clamp(min=0)
    taken = rearrange(known, "b q -> b 1 1 q")
    visible = clip.visible.take_along_dim(taken, dim=3)
    moving = dynamic_points(clip) if isinstance(clip, MultiViewClip) else None
    return PointTruth(
        queries=queries,
        tracks=clip.tracks.take_along_dim(taken[..., None], dim=3),
        visible=visible,
        valid=point_index >= 0,
        frame_times=latent_frame * grid.temporal_stride,
        image_size=_image_size(clip, grid),
        dynamic=None if moving is None else moving.gather(1, known),
    )


def _no_queries(clip: MultiViewClip | LatentClip, grid: LatentGrid) -> PointTruth:
    batch, views, num_frames = clip.cameras.cam_from_world.shape[:3]
    queries = clip.cameras.intrinsics.new_zeros(batch, 1, 4)
    unseen = torch.zeros(batch, views, num_frames, 1, dtype=torch.bool, device=queries.device)
    latent_frame = torch.arange(grid.latent_frames(num_frames), device=queries.device)
    return PointTruth(
        queries=queries,
        tracks=queries.new_zeros(*unseen.shape, 2),
        visible=unseen,
        valid=unseen[:, 0, 0],
        frame_times=latent_frame * grid.temporal_stride,
        image_size=_image_size(clip, grid),
    )


def _image_size(
    clip: MultiViewClip | LatentClip,
    grid: LatentGrid,
) -> tuple[int, int]:
    """Return height and width in pixels of a batch's video, or of that which its latents stand for."""
    if isinstance(clip, MultiViewClip):
        return clip.video.shape[-2], clip.video.shape[-1]
    stride = grid.spatial_stride
    return clip.latents.shape[-2] * stride, clip.latents.shape[-1] * stride


def dynamic_points(clip: MultiViewClip) -> Bool[Tensor, "b n"] | None:
    """Return which points of a batch lie on instances that move anywhere in their clip; None where nobody says."""
    if clip.dynamic is None or clip.instances is None or clip.point_instance is None:
        return None
    on_moving = []
    for of_point, ids, moving in zip(clip.point_instance, clip.instances, clip.dynamic, strict=True):
        on_moving.append(torch.isin(of_point, ids[moving]))
    return torch.stack(on_moving)


def draw_queries_by_name(
    clip: MultiViewClip | LatentClip,
    names: Sequence[str],
    grid: LatentGrid,
    num_queries: int,
    seed: int,
) -> PointTruth:
    """Draw as ``draw_queries`` with draws that follow each clip's name: batch size, order and rank change nothing."""
    one_each = []
    for i, name in enumerate(names):
        generator = generator_for(seed, name_key(name), 1)
        one_each.append(draw_queries(_one_clip(clip, i), grid, num_queries, generator))
    joined: dict[str, Any] = {}
    for part in ("queries", "tracks", "visible", "valid", "dynamic"):
        values = [getattr(entry, part) for entry in one_each]
        # Clips of a batch have the same fields: where one does not tell what moves, none does.
        joined[part] = None if values[0] is None else torch.cat(values)
    return replace(one_each[0], **joined)


def _one_clip(
    clip: MultiViewClip | LatentClip,
    i: int,
) -> MultiViewClip | LatentClip:
    """Return one clip as a batch of its own, with what draws and truth depend on."""
    assert clip.tracks is not None and clip.visible is not None
    known: dict[str, Any] = {"cameras": clip.cameras[i : i + 1]}
    names = ["tracks", "visible", "point_valid"]
    if isinstance(clip, MultiViewClip):
        names += ["point_instance", "instances", "dynamic"]
    for name in names:
        values = getattr(clip, name)
        known[name] = None if values is None else values[i : i + 1]
    if isinstance(clip, LatentClip):
        return LatentClip(latents=clip.latents[i : i + 1], codec=clip.codec, **known)
    return MultiViewClip(video=clip.video[i : i + 1], **known)
