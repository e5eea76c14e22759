"""What a model takes of a video of any size and length: which frames, and how each is brought to one size."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mvt4g.geometry.framing import FitSpec, Framing
from mvt4g.types import InputError

_WAYS = ("first", "spread")


@dataclass(frozen=True)
class VideoSize:
    """The video a model takes.

    Attributes:
        height: Rows.
        width: Columns.
        num_frames: Frames, ``temporal_stride`` * m + 1 of them; a shorter video gives the largest such number it has.
        temporal_stride: Of the codec.
        time: Which frames of a longer video: "first" = the first ones, "spread" = evenly spread from first to last.
        fit: How a picture of another size becomes one of ``height`` and ``width``.
    """

    height: int = 64
    width: int = 64
    num_frames: int = 5
    temporal_stride: int = 1
    time: str = "first"
    fit: FitSpec = FitSpec()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range or ``time`` is unknown.
        """
        for name in ("height", "width", "temporal_stride"):
            if getattr(self, name) < 1:
                raise InputError(f"size.{name}: got {getattr(self, name)}, want at least 1")
        if self.num_frames <= self.temporal_stride or (self.num_frames - 1) % self.temporal_stride:
            stride = self.temporal_stride
            raise InputError(f"size.num_frames: got {self.num_frames}, want {stride}*m + 1 with m at least 1")
        if self.time not in _WAYS:
            raise InputError(f"size.time: got {self.time!r}, want one of {', '.join(_WAYS)}")

    def choose_frames(self, available: int, name: str) -> tuple[int, ...]:
        """Return the frame numbers to keep of a video with ``available`` frames.

        Raises:
            InputError: If it has fewer than ``temporal_stride`` + 1; ``name`` is what the message calls it.
        """
        if available <= self.temporal_stride:
            raise InputError(f"{name}: got {available} frames, want at least {self.temporal_stride + 1}")
        count = min(self.num_frames, (available - 1) // self.temporal_stride * self.temporal_stride + 1)
        if self.time == "first":
            return tuple(range(count))
        return tuple(torch.linspace(0, available - 1, count, dtype=torch.float64).round().long().tolist())

    def framing(self, source: tuple[int, int], name: str) -> Framing:
        """Return what is done to pictures of (height, width) ``source``.

        Raises:
            InputError: If the part to be taken reaches out of them; ``name`` is what the message calls the video.
        """
        return self.fit.framing(source, (self.height, self.width), name)


def describe_frames(kept: Sequence[int], available: int) -> str:
    """Say in words which frames are kept."""
    if len(kept) == available:
        return f"all {available} frames"
    if list(kept) == list(range(len(kept))):
        return f"frames 0 to {kept[-1]} of {available}"
    return f"{len(kept)} of {available} frames, evenly spread ({', '.join(map(str, kept))})"
