"""Tracks at video frames: what a tracker says of every query point, in every view."""

from dataclasses import dataclass

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.matching.tokens import interpolate_frames
from mvt4g.types import TrackPrediction

VISIBLE_ABOVE = 0.6
"""P(visible) * P(confident) above which a tracked point counts as seen, as in MV-TAP."""


@dataclass(frozen=True)
class VideoTracks:
    """What is said of every query point.

    Attributes:
        tracks: Pixels (x, y), through occlusion.
        visible: True where the point is said to be seen.
        confidence: In [0, 1]: how near the truth a position is thought to be.
    """

    tracks: Float[Tensor, "b v t q 2"]
    visible: Bool[Tensor, "b v t q"]
    confidence: Float[Tensor, "b v t q"]


def at_video_frames(prediction: TrackPrediction, num_frames: int) -> VideoTracks:
    """Bring the last iteration of a prediction from latent frames to video frames, linearly in time.

    Args:
        prediction: Of the tracking head.
        num_frames: Of the video.
    """
    times = prediction.frame_times
    seen = rearrange(prediction.visible_probability(), "... -> ... 1")
    confident = rearrange(prediction.confidence_logit[-1].sigmoid(), "... -> ... 1")
    return VideoTracks(
        tracks=interpolate_frames(prediction.tracks[-1], times, num_frames),
        visible=interpolate_frames(seen, times, num_frames)[..., 0] > VISIBLE_ABOVE,
        confidence=interpolate_frames(confident, times, num_frames)[..., 0],
    )
