"""Videos frame by frame: which frames are there, and from their scores to one score a video."""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape, unit_video
from mvt4g.types import InputError


def valid_video(
    video: Shaped[Tensor, "*video"], valid_frames: Shaped[Tensor, "*valid"] | None
) -> tuple[Float[Tensor, "b t 3 h w"], Bool[Tensor, "b t"]]:
    """Check videos and return them in [0, 1] with the frames that are there; the others are black, whatever they were.

    Args:
        video: (b, t, 3, h, w), uint8 or floating point in [0, 1].
        valid_frames: (b, t) bool, False for padding; None = all frames are there.

    Raises:
        InputError: If shape, type or range of what is there is wrong.
    """
    sizes = check_shape("video", video, "b t 3 h w")
    if valid_frames is None:
        return unit_video("video", video), torch.ones(video.shape[:2], dtype=torch.bool, device=video.device)
    check_shape("valid_frames", valid_frames, "b t", b=sizes["b"], t=sizes["t"])
    if valid_frames.dtype != torch.bool:
        raise InputError(f"valid_frames: got {valid_frames.dtype}, want bool")
    # Padding may hold NaN, which a product with 0 would keep.
    black = torch.zeros((), dtype=video.dtype, device=video.device)
    shown = torch.where(rearrange(valid_frames, "b t -> b t 1 1 1"), video, black)
    return unit_video("video", shown), valid_frames


def video_pair(
    video: Shaped[Tensor, "*video"],
    target_video: Shaped[Tensor, "*target"],
    valid_frames: Shaped[Tensor, "*valid"] | None,
) -> tuple[Float[Tensor, "b t 3 h w"], Float[Tensor, "b t 3 h w"], Bool[Tensor, "b t"]]:
    """Check a video and its truth and return both as fp32 in [0, 1], with the frames that are there.

    Args:
        video: (b, t, 3, h, w), uint8 or floating point in [0, 1].
        target_video: The same.
        valid_frames: (b, t) bool, False for padding, whatever it holds; None = all.

    Raises:
        InputError: Naming the argument that has another shape, type or range.
    """
    pred, there = valid_video(video, valid_frames)
    check_shape("target_video", target_video, "b t 3 h w", **check_shape("video", video, "b t 3 h w"))
    target = target_video
    if valid_frames is not None:  # else a copy of a long video would be made for nothing
        black = target_video.new_zeros(())
        target = torch.where(rearrange(there, "b t -> b t 1 1 1"), target_video, black)
    return pred, unit_video("target_video", target), there


def score_frames(
    score: Callable[..., Float[Tensor, " n"]], *videos: Shaped[Tensor, "b t ..."], batch: int
) -> Float[Tensor, "b t"]:
    """Score every frame of videos, ``batch`` frames at a time.

    Args:
        score: Takes frames (n ...) of each video, returns a value for each.
    """
    frames = [rearrange(video, "b t ... -> (b t) ...").split(batch) for video in videos]
    values = torch.cat([score(*parts) for parts in zip(*frames, strict=True)])
    return rearrange(values, "(b t) -> b t", b=len(videos[0]))


def mean_over_frames(values: Float[Tensor, "b t"], counted: Bool[Tensor, "b t"]) -> Float[Tensor, " b"]:
    """Return each video's mean over its counted frames; NaN where it has none.

    Args:
        values: Any value, NaN and infinity too, where a frame is not counted.
    """
    number = counted.sum(dim=-1)
    mean = torch.where(counted, values, 0.0).sum(dim=-1) / number.clamp(min=1)
    return torch.where(number > 0, mean, torch.nan)
