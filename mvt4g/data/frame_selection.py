"""Selections of frames of a video: the first and the last, their distance or rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mvt4g.ranges import Count, Natural, NonNegative, Positive, check_ranges
from mvt4g.types import InputError

_ROUNDING_S = 1e-6
_RATE_TOLERANCE = 1.01
"""A rate asked for may be over the video's by what 24 is over 23.976."""


@dataclass(frozen=True)
class FrameSelection:
    """What is taken of a video before a model's number of frames is.

    Frame numbers count the frames that a player shows, from 0; seconds count from the first of them.

    Attributes:
        start: First frame.
        end: The frame after the last one; None = to the end.
        start_s: Nothing that is shown before this; None = from the start.
        end_s: Nothing that is shown at this time or after it; None = to the end.
        step: Take every so many-th frame.
        fps: Take so many frames a second: those nearest in time to ``k / fps`` after the first (of two, the earlier);
            None = as they are. At most the video's rate; where its own rate falls below, a frame stands twice.
        folder_fps: Rate of a folder of images, which states none; None = 24, or in a pair the other video's.
    """

    start: Natural = 0
    end: Natural | None = None
    start_s: NonNegative | None = None
    end_s: NonNegative | None = None
    step: Count = 1
    fps: Positive | None = None
    folder_fps: Positive | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of its range, or two say the same thing.
        """
        check_ranges(self, "size.frames")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise InputError(f"size.frames: got start {self.start} and end {self.end}, want 0 <= start < end")
        start_s = self.start_s or 0.0
        if start_s < 0 or (self.end_s is not None and self.end_s <= start_s):
            want = "0 <= start_s < end_s"
            raise InputError(f"size.frames: got start_s {self.start_s} and end_s {self.end_s}, want {want}")
        if self.fps is not None and self.step > 1:
            raise InputError(f"size.frames: got step {self.step} and fps {self.fps}, want one of them")

    def of(
        self, times_s: Sequence[float], name: str, span: tuple[float, float] = (0.0, float("inf"))
    ) -> tuple[int, ...]:
        """Return the frame numbers that are meant.

        Args:
            times_s: When each frame is shown.
            name: What messages call the video.
            span: Only frames from the first time to the last one, both included.

        Raises:
            InputError: If none is left, or ``fps`` is over the video's rate.
        """
        times = np.asarray(times_s, dtype=np.float64)
        low = max(span[0], self.start_s or 0.0)
        high = span[1]
        # A time in an option and a frame's own may differ by rounding.
        inside = (times >= low - _ROUNDING_S) & (times <= high + _ROUNDING_S)
        if self.end_s is not None:
            inside &= times < self.end_s - _ROUNDING_S
        inside[: self.start] = False
        if self.end is not None:
            inside[self.end :] = False
        numbers = np.flatnonzero(inside)
        if not len(numbers):
            raise InputError(f"{name}: got {len(times)} frames, none of them {self.sentence() or 'then'}")
        if self.fps is None:
            return tuple(numbers[:: self.step].tolist())
        return tuple(numbers[self._at_rate(self.fps, times[numbers], name)].tolist())

    def sentence(self) -> str:
        """Say in words by what rule frames are taken; empty where all are."""
        parts = []
        if self.start or self.end is not None:
            end = "" if self.end is None else f" to before {self.end}"
            parts.append(f"frames from {self.start}{end}")
        if self.start_s or self.end_s is not None:
            last = "" if self.end_s is None else f" to before {self.end_s:g} s"
            parts.append(f"from {self.start_s or 0:g} s{last}")
        if self.step > 1:
            parts.append(f"one frame in {self.step}")
        if self.fps is not None:
            parts.append(f"the frames nearest in time at {self.fps:g} a second")
        return ", ".join(parts)

    def _at_rate(self, fps: float, times: Float[np.ndarray, " t"], name: str) -> Int[np.ndarray, " k"]:
        """Return places in ``times``, increasing, nearest to moments 1 / fps apart."""
        span = times[-1] - times[0]
        own = (len(times) - 1) / span if span > 0 else float("inf")
        if fps > own * _RATE_TOLERANCE:
            want = f"at most {own:.4g}, the video's own rate: frames are not made up"
            raise InputError(f"{name}: size.frames.fps: got {fps:g}, want {want}")
        last = span + (0.5 / own if span > 0 else 0.0)  # a frame stands for half its time before and after
        # Moments by multiplication: a sum of steps of 1 / fps would drift.
        moments = times[0] + np.arange(int(last * fps + _ROUNDING_S) + 1) / fps
        return nearest_in_time(times, moments)


def nearest_in_time(
    times: Sequence[float] | Float[np.ndarray, " t"], moments: Sequence[float] | Float[np.ndarray, " m"]
) -> Int[np.ndarray, " m"]:
    """Return the place of the time nearest to each moment; of two as near, to within a microsecond, the earlier.

    Args:
        times: Increasing, at least one.
        moments: Any.
    """
    known = np.asarray(times, dtype=np.float64)
    wanted = np.asarray(moments, dtype=np.float64)
    after = np.searchsorted(known, wanted).clip(0, len(known) - 1)
    before = (after - 1).clip(0)
    return np.where(wanted - known[before] <= known[after] - wanted + _ROUNDING_S, before, after)
