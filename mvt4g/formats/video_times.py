"""Times at which the frames of a video are shown, and their rate."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

FALLBACK_FPS = Fraction(24)
"""The rate of a video that states neither times nor a rate."""


def shown_times(stamps: Sequence[int | None], tick: Fraction, stated_fps: Fraction) -> tuple[float, ...]:
    """Return when each frame is shown, in seconds from the first; strictly increasing.

    A time stamp that is missing, or not later than all before it, is replaced: by the line between its neighbours, or
    beyond the last good one by steps of the stated rate. With fewer than two good stamps all frames follow that rate.

    Args:
        stamps: Of the frames in the order they are shown in, at least one, in ticks.
        tick: Seconds.
        stated_fps: Frames a second that the file states.
    """
    good: list[int] = []
    highest: float = -math.inf
    for frame, stamp in enumerate(stamps):
        if stamp is not None and stamp > highest:
            good.append(frame)
            highest = stamp
    frames = np.arange(len(stamps), dtype=np.float64)
    step = float(1 / stated_fps)
    if len(good) < 2:
        return tuple((frames * step).tolist())
    # Python's integers keep the differences exact, whatever the first stamp is
    first = stamps[good[0]]
    times = np.array([float((stamps[frame] - first) * tick) for frame in good])  # type: ignore[operator]
    filled = np.interp(frames, good, times)
    before = frames < good[0]
    after = frames > good[-1]
    filled[before] = times[0] + (frames[before] - good[0]) * step
    filled[after] = times[-1] + (frames[after] - good[-1]) * step
    return tuple((filled - filled[0]).tolist())


def rate_of(times_s: Sequence[float], frames: Sequence[int], tick_s: float, stated_fps: float) -> float:
    """Return the rate of some frames of a video: their intervals over the time from the first to the last.

    It is exactly the stated rate (divided by the frames' distance) where the stamps allow that: a container that
    rounds to milliseconds makes 24.02 of 24. A tick of a whole frame (AVI) rounds nothing: there a frame that is left
    out counts as the time that it leaves.

    Args:
        times_s: Of all frames, increasing.
        frames: Numbers of those kept, increasing, at least one.
        tick_s: What the container rounds stamps to.
        stated_fps: The rate of a single frame, too.
    """
    first = frames[0]
    last = frames[-1]
    if last == first:
        return stated_fps
    intervals = len(frames) - 1
    seconds = times_s[last] - times_s[first]
    stated = stated_fps * intervals / (last - first)
    # Half a tick at either end.
    rounding = min(tick_s * 1.001, 0.5 / stated_fps) + 1e-9
    if abs(intervals / stated - seconds) <= rounding:
        return stated
    return intervals / seconds
