"""Numbers in the names of a sequence's files: the order of frames, and which of them are missing.

Files are in the order of the numbers in their names, 2 before 10, never of the names as text. If names differ in one
number alone (``frame_0001.png``), that is the frame's number, and the greatest common step of all numbers is one frame:
0, 5, 10 are three frames in a row, and in 1, 2, 4 number 3 is missing. Names that differ in more than one number or in
words, and numbers of which over half are missing (time stamps), tell an order but no gaps.

What has truth for every frame (tracks, depth, cameras) is refused where a number is missing (``readers.folders``); a
plain folder of frames goes on, its frames keep their times, and its rule says how many are missing.
"""

import itertools
import math
import re
from collections.abc import Sequence

from mvt4g.types import InputError


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that compares runs of digits as numbers."""
    key = []
    for part in re.split(r"(\d+)", name):
        if part.isdecimal():
            key.append((0, int(part), ""))
        elif part:  # words and numbers compare by their kind first, so that no word meets a number
            key.append((1, 0, part))
    return tuple(key)


def frame_numbers(names: Sequence[str]) -> list[int] | None:
    """Return the one number in which file names differ; None if they differ otherwise, or there is only one."""
    keys = list(map(_stem_key, names))
    differing = set()
    for key in keys:
        if _words(key) != _words(keys[0]):
            return None
        for place, part in enumerate(key):
            if part != keys[0][place]:
                differing.add(place)
    # Two numbers in a name may be a take and a frame: no one of them is the frame's for sure.
    if len(differing) != 1:
        return None
    (place,) = differing
    return [key[place][1] for key in keys]


def frame_places(names: Sequence[str]) -> tuple[int, ...]:
    """Return the place of every file (in order) in a sequence that misses no number, counted from 0."""
    numbers = frame_numbers(names)
    in_a_row = tuple(range(len(names)))
    if numbers is None:
        return in_a_row
    first = numbers[0]
    step = math.gcd(*[number - first for number in numbers])
    places = tuple((number - first) // step for number in numbers)
    # Where over half are missing the numbers are time stamps, or of something else than frames.
    return places if places[-1] < 2 * len(places) else in_a_row


def missing_numbers(places: Sequence[int]) -> int:
    """Return how many places of a sequence have no file."""
    return places[-1] + 1 - len(places)


def check_numbers(names: Sequence[str], where: str) -> None:
    """Refuse two files of one frame: ``1.png`` beside ``01.png`` or ``1.jpg``.

    Args:
        names: In order.
        where: Their folder, for messages.

    Raises:
        InputError: Naming both.
    """
    for before, after in itertools.pairwise(names):
        if _stem_key(before) == _stem_key(after):
            raise InputError(f"{where}: got {before} and {after}, want one file for a frame")


def _words(key: tuple[tuple[int, int, str], ...]) -> list[tuple[int, str]]:
    """Return a name's key without its numbers: what kind its parts are of, and the words."""
    return [(kind, word) for kind, _, word in key]


def _stem_key(name: str) -> tuple[tuple[int, int, str], ...]:
    return natural_key(name.rpartition(".")[0] or name)
