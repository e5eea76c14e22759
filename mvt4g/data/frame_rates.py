"""Frames of clips that samples have: their number, their rate, the first of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mvt4g.ranges import Count, Frames, Share, check_ranges
from mvt4g.types import PIXEL_MAPS, Cameras, InputError, MultiViewClip

OF_EVERY_VIEW = ("video", "tracks", "visible", *PIXEL_MAPS)
"""Fields of a clip that begin with the axes of views and frames, cameras aside."""


@dataclass(frozen=True)
class FrameSpec:
    """How many frames, and how far apart they may be.

    Attributes:
        count: Frames of a sample: the codec's temporal_stride * m + 1. None = all frames of the clip.
        strides: Distances from a frame to the next that are drawn from, those that fit in the clip alike.
        reversed: Share of the training samples that play backwards, cameras and tracks too; ReDirector trains with 0.5.
            Held-out clips play forwards.
    """

    count: Frames | None = None
    strides: tuple[Count, ...] = (1,)
    reversed: Share = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range, or there are strides but no count.
        """
        check_ranges(self, "sampling.frames")
        if self.count is not None and self.count < 1:
            want = "at least 1, or null for all"
            raise InputError(f"sampling.frames.count: got {self.count}, want {want}")
        if not self.strides or min(self.strides) < 1:
            want = "one or more, each at least 1"
            raise InputError(f"sampling.frames.strides: got {self.strides}, want {want}")
        if self.count is None and self.strides != (1,):
            want = "sampling.frames.count"
            raise InputError(f"sampling.frames.strides: got {self.strides} without a count, want {want}")

    def draw(self, available: int, rng: np.random.Generator, what: str) -> range | None:
        """Draw the frames of a training sample: a stride that fits, then a start; None = all.

        Args:
            available: Frames the clip has.
            rng: Source of all randomness.
            what: The clip, for messages.

        Raises:
            InputError: If the clip is too short.
        """
        if self.count is None:
            return None
        fitting = self._fitting(self.count, available, what)
        stride = fitting[int(rng.integers(len(fitting)))]
        start = int(rng.integers(available - (self.count - 1) * stride))
        return range(start, start + (self.count - 1) * stride + 1, stride)

    def first(self, available: int, what: str) -> range | None:
        """Return the frames of a held-out clip: from frame 0 at the first stride that fits; None = all.

        Raises:
            InputError: If the clip is too short.
        """
        if self.count is None:
            return None
        stride = self._fitting(self.count, available, what)[0]
        return range(0, (self.count - 1) * stride + 1, stride)

    def _fitting(self, count: int, available: int, what: str) -> list[int]:
        fitting = [stride for stride in self.strides if (count - 1) * stride < available]
        if not fitting:
            least = (count - 1) * min(self.strides) + 1
            want = f"at least {least} (sampling.frames)"
            raise InputError(f"{what}: got {available} frames, want {want}")
        return fitting


def select_frames(clip: MultiViewClip, frames: Sequence[int]) -> MultiViewClip:
    """Return one clip (no batch axis) with only these frames, in this order; its rate stays as it is."""
    index = torch.as_tensor(list(frames))
    taken: dict[str, Any] = {}
    for name in OF_EVERY_VIEW:
        value = getattr(clip, name)
        if value is not None:
            taken[name] = value.index_select(1, index)
    if clip.points_world is not None:  # the same in all views
        taken["points_world"] = clip.points_world.index_select(0, index)
    cameras = Cameras(clip.cameras.cam_from_world[:, index], clip.cameras.intrinsics[:, index])
    return replace(clip, cameras=cameras, **taken)


def play_backwards(clip: MultiViewClip) -> MultiViewClip:
    """Return one clip (no batch axis) whose last frame comes first."""
    return select_frames(clip, range(clip.video.shape[1] - 1, -1, -1))


def at_stride(clip: MultiViewClip, stride: int) -> MultiViewClip:
    """Return the clip with the frame rate of every ``stride``-th frame."""
    if stride == 1 or not isinstance(clip.fps, float | int):
        return clip
    return replace(clip, fps=clip.fps / stride)
