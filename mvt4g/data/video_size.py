"""The part of a video of any size and length that a model takes: its frames, each brought to one size."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mvt4g.data.frame_selection import FrameSelection
from mvt4g.geometry.framing import FitSpec, Framing
from mvt4g.ranges import Frames, Side, check_ranges
from mvt4g.types import InputError

_WAYS = ("first", "spread")
_LISTED = 8
"""Frame numbers that a rule lists before it is cut short."""


@dataclass(frozen=True)
class VideoSize:
    """The video a model takes.

    Attributes:
        height: Rows.
        width: Columns.
        num_frames: Frames, ``temporal_stride`` * m + 1 of them; a shorter video gives the largest such number it has.
        temporal_stride: Of the codec.
        time: Which frames of more, after ``frames``: "first" = the first ones, "spread" = evenly spread from first to
            last.
        frames: Which part of the video, and at which rate.
        fit: How a picture of another size becomes one of ``height`` and ``width``.
    """

    height: Side = 64
    width: Side = 64
    num_frames: Frames = 5
    temporal_stride: Side = 1
    time: str = "first"
    frames: FrameSelection = FrameSelection()
    fit: FitSpec = FitSpec()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range or ``time`` is unknown.
        """
        check_ranges(self, "size")
        if self.num_frames <= self.temporal_stride or (self.num_frames - 1) % self.temporal_stride:
            stride = self.temporal_stride
            want = f"{stride}*m + 1 with m at least 1"
            raise InputError(f"size.num_frames: got {self.num_frames}, want {want}")
        if self.time not in _WAYS:
            raise InputError(f"size.time: got {self.time!r}, want one of {', '.join(_WAYS)}")

    def choose_frames(
        self, times_s: Sequence[float], name: str, span: tuple[float, float] = (0.0, float("inf"))
    ) -> tuple[int, ...]:
        """Return the frame numbers to keep of a video; a number stands twice where ``frames.fps`` says so.

        Args:
            times_s: When each of its frames is shown.
            name: What messages call it.
            span: Only frames from the first time to the last one, both included.

        Raises:
            InputError: If fewer than ``temporal_stride`` + 1 are left.
        """
        meant = self.frames.of(times_s, name, span)
        if len(meant) <= self.temporal_stride:
            of_more = f" of {len(times_s)}" if len(meant) < len(times_s) else ""
            want = f"at least {self.temporal_stride + 1}"
            raise InputError(f"{name}: got {len(meant)} frames{of_more}, want {want}")
        # A codec takes stride * m + 1 frames: the first one alone, and then the others by strides.
        strides = (len(meant) - 1) // self.temporal_stride
        count = min(self.num_frames, strides * self.temporal_stride + 1)
        if self.time == "first":
            return meant[:count]
        places = torch.linspace(0, len(meant) - 1, count, dtype=torch.float64).round().long()
        return tuple(map(meant.__getitem__, places.tolist()))

    def framing(self, source: tuple[int, int], name: str) -> Framing:
        """Return what is done to pictures of (height, width) ``source``.

        Raises:
            InputError: If the part to be taken reaches out of them; ``name`` is what the message calls the video.
        """
        return self.fit.framing(source, (self.height, self.width), name)

    def describe_frames(self, kept: Sequence[int], available: int) -> str:
        """Say in words which frames are kept, and by what rule."""
        parts = [self.frames.sentence()]
        if self.time == "spread" and len(kept) < available:
            parts.append("evenly spread")
        rule = ", ".join(filter(None, parts))
        sentence = _describe_numbers(kept, available)
        twice = len(kept) - len(set(kept))
        if twice:
            sentence += f", {twice} of them once more"
        return f"{sentence} ({rule})" if rule else sentence


def _describe_numbers(kept: Sequence[int], available: int) -> str:
    """Say frame numbers, a run of even steps by its ends."""
    if len(kept) == available == len(set(kept)):
        return f"all {available} frames"
    steps = {after - before for before, after in itertools.pairwise(kept)}
    if steps <= {1}:
        return f"frames {kept[0]} to {kept[-1]} of {available}"
    if len(steps) == 1 and len(kept) > _LISTED:
        return f"{len(kept)} frames, {steps.pop()} apart from {kept[0]} to {kept[-1]}, of {available}"
    listed = list(map(str, kept))
    if len(listed) > _LISTED:
        listed = [*listed[: _LISTED - 2], "...", listed[-1]]
    return f"{len(kept)} frames of {available}: {', '.join(listed)}"
