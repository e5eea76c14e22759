"""Which frame of its source a frame of a generated video stands for, program by program: counts and index maps.

Videos are aligned by index, never by time: the rates that programs write into their files are constants of theirs.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mvt4g.types import InputError

WAYS = ("step", "spread", "centre", "hold")


class AlignedFrames(NamedTuple):
    """Frames of an output that are scored, and the frames of the source that they stand for, one to one.

    Attributes:
        output: Numbers of frames of the generated video, increasing.
        source: Numbers of frames of the source; one may stand twice.
    """

    output: tuple[int, ...]
    source: tuple[int, ...]


@dataclass(frozen=True)
class FrameMap:
    """Output frame t -> source frame.

    Attributes:
        way: "step": ``start + stride * t``. "spread": ``count`` frames from first to last of the whole source, rounded
            down. "centre": as "step" from ``(n - count) // 2`` on. "hold": ``start`` for every t, time stands still.
        start: First frame of the source.
        stride: Frames of the source from one frame of the output to the next.
        padded: The program repeats the source's last frame to fill up its length. What it made of the repeats is not
            scored. Without this, an output that goes beyond its source is refused.
        skip: Leading frames of the output that show no moment of their own; they are not scored.
    """

    way: str = "step"
    start: int = 0
    stride: int = 1
    padded: bool = False
    skip: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If the way is unknown or a number is out of range.
        """
        if self.way not in WAYS:
            raise InputError(f"frames.way: got {self.way!r}, want one of {', '.join(WAYS)}")
        for name, least in (("start", 0), ("stride", 1), ("skip", 0)):
            if getattr(self, name) < least:
                raise InputError(f"frames.{name}: got {getattr(self, name)}, want at least {least}")

    def align(self, num_output: int, num_source: int | None, name: str) -> AlignedFrames:
        """Return which frames are scored, and what they stand for.

        Args:
            num_output: Frames of the generated video.
            num_source: Frames of the source; None = not known, then nothing is taken for a repeat.
            name: Of the video, for messages.

        Raises:
            InputError: If no frame is left to be scored, the map needs the source's length and it is not known, or the
                output goes beyond its source without being padded.
        """
        output = range(self.skip, num_output)
        count = len(output)
        if not count:
            raise InputError(f"{name}: got {num_output} frames, want more than the {self.skip} leading ones")
        if self.way in ("spread", "centre") and num_source is None:
            raise InputError(f"{name}: got no source, want it: frames are taken by its length ({self.way})")
        source = self._source_frames(count, num_source or 0)
        if num_source is None:
            return AlignedFrames(tuple(output), tuple(source))
        kept = [place for place, number in enumerate(source) if number < num_source]
        if len(kept) < count and not self.padded:
            want = f"{num_source}, the source's"
            raise InputError(f"{name}: got {num_output} frames, which go up to frame {max(source)}, want under {want}")
        if not kept:
            raise InputError(f"{name}: got a start of {self.start}, want it under {num_source}, the source's frames")
        return AlignedFrames(tuple(output[place] for place in kept), tuple(source[place] for place in kept))

    def _source_frames(self, count: int, num_source: int) -> list[int]:
        if self.way == "hold":
            return [self.start] * count
        if self.way == "spread":  # the program's own call: its rounding is part of the map
            return [int(number) for number in np.linspace(self.start, num_source - 1, count, dtype=int)]
        first = max(num_source - count, 0) // 2 if self.way == "centre" else self.start
        return [first + self.stride * place for place in range(count)]

    def sentence(self) -> str:
        """Say the map in words."""
        said = {
            "step": "frame t is source frame " + _linear(self.start, self.stride),
            "spread": "frames are spread over the whole source, from first to last",
            "centre": "frames are those in the middle of the source",
            "hold": f"every frame is source frame {self.start}",
        }[self.way]
        if self.skip:
            said += f", counted from output frame {self.skip} on"
        if self.padded:
            said += "; repeats of the source's last frame are not scored"
        return said


@dataclass(frozen=True)
class FrameCount:
    """How many frames a program writes.

    Attributes:
        exact: This many; None = it depends.
        step: One more than a multiple of this; None = any number.
        most: At most this many.
        of_source: The largest number allowed that the source has.
    """

    exact: int | None = None
    step: int | None = None
    most: int | None = None
    of_source: bool = False

    def expected(self, num_source: int | None) -> int | None:
        """Return the number of frames of an output; None where it is not known.

        Args:
            num_source: Frames of the source; None = not known.
        """
        if self.exact is not None:
            return self.exact
        if not self.of_source or num_source is None:
            return None
        count = num_source if self.most is None else min(num_source, self.most)
        return count if self.step is None else (count - 1) // self.step * self.step + 1

    def shortfall(self, num_output: int, num_source: int | None) -> str:
        """Say what is wrong with an output's number of frames; empty if nothing is.

        Args:
            num_output: Frames of the generated video.
            num_source: Frames of the source; None = not known.
        """
        expected = self.expected(num_source)
        if expected is not None and num_output < expected:
            return f"got {num_output} frames, want {expected}"
        if self.step is not None and (num_output - 1) % self.step:
            return f"got {num_output} frames, want one more than a multiple of {self.step}"
        return ""

    def sentence(self) -> str:
        """Say the rule in words; empty where there is none."""
        if self.exact is not None:
            return f"{self.exact} frames"
        said = "" if self.step is None else f"{self.step}k + 1 frames"
        if self.of_source:
            said = f"{said or 'frames'} of the source's"
        return said if self.most is None else f"{said}, at most {self.most}"


def _linear(start: int, stride: int) -> str:
    product = "t" if stride == 1 else f"{stride} t"
    return product if not start else f"{product} + {start}"
