"""Our own clip folders, as ``formats.clip_folder`` writes them, below a root."""

from pathlib import Path

from mvt4g.formats.clip_folder import read_clip_folder
from mvt4g.formats.clip_folder_header import HEADER, read_header
from mvt4g.formats.readers.folders import find_folders, holds_folder
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.types import MultiViewClip


def is_there(path: Path) -> bool:
    """Say whether a clip folder is at or below a path."""
    return holds_folder(path, _is_clip)


def list_clips(root: Path) -> list[Path]:
    """List the clip folders.

    Raises:
        InputError: If there is none.
    """
    return find_folders(root, _is_clip, f"clip folders: folders with a {HEADER}")


def count(clip: Path) -> tuple[int, int]:
    """Return how many views and frames a clip has."""
    sizes = read_header(clip).sizes
    return sizes["views"], sizes["frames"]


def read(clip: Path, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one clip.

    Raises:
        InputError: As ``read_clip_folder``, and if a view or frame asked for is not there.
    """
    selection.of(clip, *count(clip))
    return read_clip_folder(clip, selection.views, selection.frames)


def _is_clip(folder: Path) -> bool:
    return (folder / HEADER).is_file()
