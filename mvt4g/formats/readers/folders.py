"""Finding clip folders below a root by their layout, and numbered files in them; nothing is read."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mvt4g.formats.frame_numbers import natural_key
from mvt4g.types import InputError

DEPTH = 3
"""How many folders deep clips are looked for: a data set's root, its splits or chunks, clips."""
_LOOKED_AT = 20
"""How many folders of each level are looked at to tell a format."""


def find_folders(root: Path, is_clip: Callable[[Path], bool], want: str) -> list[Path]:
    """List the clip folders at or below a root, in the order of the numbers in their names.

    Args:
        root: A clip, or a folder of them.
        is_clip: Tells a clip folder by its layout.
        want: What was looked for, for the message.

    Raises:
        InputError: If there is none.
    """
    found = list(_walk(root, is_clip, DEPTH, None)) if root.is_dir() else []
    if not found:
        raise InputError(f"{root}: got no clip there, want {want}")
    return found


def holds_folder(root: Path, is_clip: Callable[[Path], bool]) -> bool:
    """Say whether there is a clip folder at or below a root, by a look at the first few folders."""
    return root.is_dir() and any(_walk(root, is_clip, DEPTH, _LOOKED_AT))


def sub_folders(parent: Path) -> list[Path]:
    """Return the folders in a folder, hidden ones left out, in the order of the numbers in their names."""
    folders = [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(folders, key=lambda path: natural_key(path.name))


def numbered_files(folder: Path, stem: str, suffix: str) -> list[Path]:
    """Return files ``<stem><number><suffix>`` of a folder in the order of their numbers, which must have no gap.

    Raises:
        InputError: If a number is missing or twice there.
    """
    pattern = re.compile(rf"{re.escape(stem)}(\d+){re.escape(suffix)}")
    numbered = []
    for path in folder.iterdir():
        if match := pattern.fullmatch(path.name):
            numbered.append((int(match[1]), path))
    numbered.sort()
    for (before, _), (after, path) in itertools.pairwise(numbered):
        if after != before + 1:
            want = f"number {before + 1}"
            raise InputError(f"{path}: got this file after number {before}, want {want}")
    return [path for _, path in numbered]


def same_count(folder: Path, stem: str, files: list[Path], count: int) -> list[Path]:
    """Return the files if there is one for each frame.

    Raises:
        InputError: If there is another number of them.
    """
    if len(files) != count:
        raise InputError(f"{folder}: {stem}*: got {len(files)} files, want {count}, one a frame")
    return files


def _walk(folder: Path, is_clip: Callable[[Path], bool], depth: int, most: int | None) -> Iterator[Path]:
    if is_clip(folder):
        yield folder
    elif depth:
        for child in sub_folders(folder)[:most]:
            yield from _walk(child, is_clip, depth - 1, most)
