"""Selections of views and frames of a clip; the rest is not decoded."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mvt4g.types import InputError


@dataclass(frozen=True)
class Selection:
    """Views and frames by number.

    A clip that is read in part states the rate of all its frames: who takes every k-th one divides by k.

    Attributes:
        views: In the order wanted; None = all.
        frames: Increasing; None = all.
    """

    views: Sequence[int] | None = None
    frames: Sequence[int] | None = None

    def of(self, what: Path | str, num_views: int, num_frames: int) -> tuple[list[int], list[int]]:
        """Return the views and frames that are meant in a clip of so many.

        Args:
            what: The clip, for messages.
            num_views: Views it has.
            num_frames: Frames it has.

        Raises:
            InputError: If one of them is not there, none is meant, or frames do not increase.
        """
        views = _choose(f"{what}: views", self.views, num_views)
        frames = _choose(f"{what}: frames", self.frames, num_frames)
        if any(later <= earlier for earlier, later in itertools.pairwise(frames)):
            raise InputError(f"{what}: frames: got {frames}, want increasing numbers")
        return views, frames


def _choose(what: str, chosen: Sequence[int] | None, count: int) -> list[int]:
    if chosen is None and count:
        return list(range(count))
    numbers = list(chosen or ())
    if not numbers or min(numbers) < 0 or max(numbers) >= count:
        raise InputError(f"{what}: got {numbers} of {count}, want one or more, numbered from 0")
    return numbers


EVERYTHING = Selection()
