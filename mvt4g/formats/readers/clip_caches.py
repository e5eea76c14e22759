"""Our own cached clips, one ``.npz`` each, as ``formats.clip_cache`` writes them, below a root."""

from dataclasses import replace
from pathlib import Path

import torch

from mvt4g.formats.clip_cache import clip_size, read_clip
from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.readers.folders import DEPTH
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.types import PIXEL_MAPS, InputError, MultiViewClip

_SUFFIX = ".npz"
_FRAME_AXES = {"video": 1, "tracks": 1, "visible": 1, "points_world": 0, **dict.fromkeys(PIXEL_MAPS, 1)}


def is_there(path: Path) -> bool:
    """Say whether a path is an ``.npz`` or a folder of them; nothing is read."""
    if path.is_file():
        return path.suffix == _SUFFIX
    return any(any(path.glob(f"{'*/' * depth}*{_SUFFIX}")) for depth in range(DEPTH))


def list_clips(root: Path) -> list[Path]:
    """List the files.

    Raises:
        InputError: If there is none.
    """
    found = [root]
    if not root.is_file():
        found = sorted(root.rglob(f"*{_SUFFIX}"), key=lambda path: natural_key(str(path)))
    if not found:
        raise InputError(f"{root}: got no {_SUFFIX} there, want clips of our cache")
    return found


def count(clip: Path) -> tuple[int, int]:
    """Return how many views and frames a clip has."""
    return clip_size(clip)


def read(clip: Path, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one clip.

    Raises:
        InputError: As ``read_clip``, and if a view or frame asked for is not there.
    """
    whole = read_clip(clip)
    if selection == EVERYTHING:
        return whole
    views, frames = selection.of(clip, *whole.video.shape[:2])
    of_views = whole.select_views(views)
    index = torch.tensor(frames)
    kept = {
        name: value.index_select(axis, index)
        for name, axis in _FRAME_AXES.items()
        if (value := getattr(of_views, name)) is not None
    }
    return replace(of_views, cameras=of_views.cameras[:, index], **kept)
