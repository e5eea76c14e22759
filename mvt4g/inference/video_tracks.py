"""Tracks at video frames: what a tracker says of every query point, in every view."""

from dataclasses import dataclass
from typing import Literal

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.matching.tokens import interpolate_frames
from mvt4g.types import TrackPrediction

SeenRule = Literal["product", "visibility"]
"""What tells whether a tracked point counts as seen: P(visible) * P(confident), or P(visible) alone."""
SEEN_ABOVE: dict[SeenRule, float] = {"product": 0.6, "visibility": 0.5}
"""Where each rule draws the line: MV-TAP's 0.6, MVTracker's 0.5."""


@dataclass(frozen=True)
class VideoTracks:
    """What is said of every query point, of one clip or of a batch with a leading ``*b``.

    Attributes:
        tracks: Pixels (x, y), through occlusion.
        visible: True where the point is said to be seen.
        confidence: In [0, 1]: how near the truth a position is thought to be.
    """

    tracks: Float[Tensor, "*b v t q 2"]
    visible: Bool[Tensor, "*b v t q"]
    confidence: Float[Tensor, "*b v t q"]

    def __getitem__(self, index: int) -> "VideoTracks":
        """Return what is said of one clip of a batch."""
        return VideoTracks(self.tracks[index], self.visible[index], self.confidence[index])

    def as_batch(self) -> "VideoTracks":
        """Return a batch of this one clip."""
        return VideoTracks(self.tracks[None], self.visible[None], self.confidence[None])


def at_video_frames(
    prediction: TrackPrediction,
    num_frames: int,
    rule: SeenRule = "product",
) -> VideoTracks:
    """Bring the last iteration of a prediction from latent frames to video frames, linearly in time.

    Args:
        prediction: Of the tracking head.
        num_frames: Of the video.
        rule: For what counts as seen.
    """
    times = prediction.frame_times
    visible = prediction.visible_logit[-1].sigmoid()
    if rule == "product":
        visible = prediction.visible_probability()
    # Interpolated as probabilities: the mean of two logits would follow the surer one.
    seen = rearrange(visible, "... -> ... 1")
    confident = rearrange(prediction.confidence_logit[-1].sigmoid(), "... -> ... 1")
    return VideoTracks(
        tracks=interpolate_frames(prediction.tracks[-1], times, num_frames),
        visible=interpolate_frames(seen, times, num_frames)[..., 0] > SEEN_ABOVE[rule],
        confidence=interpolate_frames(confident, times, num_frames)[..., 0],
    )
