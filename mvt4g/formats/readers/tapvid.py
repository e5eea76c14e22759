"""TAP-Vid's pickles: videos with tracks and nothing else (DAVIS, RGB-stacking, Kinetics).

A file holds a dict of clips by name (DAVIS) or a list (RGB-stacking, and each of Kinetics' files). A clip is a dict:
video (t h w 3) uint8, or t JPEG files as bytes; points (n t 2) in [0, 1] between the picture's edges, x first;
occluded (n t), True = hidden. ``cameras`` is NaN, depth and positions in space are None.

Some of DAVIS' points are called visible and lie just outside the picture, or on its right or lower border. In a clip a
visible point is inside, so that ``read`` calls these hidden. TAP-Vid's own evaluation scores them as visible points:
``read_truth`` gives what it scores by.

A pickle can only be read whole: listing its clips reads it, and the last one read is kept.

Source: google-deepmind/tapnet (Apache-2.0), ``tapnet/tapvid/evaluation_datasets.py``, ``tapnet/tapvid/README.md``.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.images import load_image
from mvt4g.formats.readers.fields import field, member
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.formats.readers.track_fields import track_fields, unknown_cameras
from mvt4g.formats.safe_pickle import read_pickle
from mvt4g.types import InputError, MultiViewClip

_SUFFIXES = (".pkl", ".pickle")
_FARTHEST_VISIBLE = 1.5
"""Of a seen point from the picture's middle, in shares of its sides: some of TAP-Vid's lie a little outside."""
_WANT = "TAP-Vid's dict or list of clips with video, points and occluded"


class TapVidClip(NamedTuple):
    """One clip of a pickle: its key in a dict, or its number in a list."""

    path: Path
    key: str | int


def is_there(path: Path) -> bool:
    """Say whether a path is a pickle, or a folder of them; nothing is read."""
    return bool(_pickles(path))


def list_clips(root: Path) -> list[TapVidClip]:
    """List the clips of a pickle, or of all in a folder.

    Raises:
        InputError: If there is no pickle, or one is broken, no TAP-Vid's, or empty.
    """
    paths = _pickles(root)
    if not paths:
        raise InputError(f"{root}: got no pickle there, want {' or '.join(_SUFFIXES)}")
    clips = []
    for path in paths:
        for key in _clips(path):
            clips.append(TapVidClip(path, key))
    return clips


def count(clip: TapVidClip) -> tuple[int, int]:
    """Return how many views (1) and frames a clip has."""
    return 1, len(_pictures(_what(clip), _clips(clip.path)[clip.key]))


def read(clip: TapVidClip, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one clip.

    Raises:
        InputError: Naming file, clip and field, if one is missing, broken or of a wrong shape or type.
    """
    what = _what(clip)
    content = _clips(clip.path)[clip.key]
    pictures = _pictures(what, content)
    sizes = {"t": len(pictures)}
    _, frames = selection.of(what, 1, sizes["t"])
    video = _video(f"{what}: video", pictures, frames)
    height, width = video.shape[-2:]
    points = rearrange(member(what, content, "points", "n t 2", sizes), "n t c -> 1 t n c")[:, frames]
    hidden = rearrange(member(what, content, "occluded", "n t", sizes, "bool"), "n t -> 1 t n")[:, frames]
    _check_shares(f"{what}: points", points[~hidden])
    return MultiViewClip(
        video=video[None],
        cameras=unknown_cameras(1, len(frames)),
        name=str(clip.key),
        **track_fields(f"{what}: points", points * np.array([width, height]), ~hidden, (height, width)),
    )


class TapVidTruth(NamedTuple):
    """What a tracker is asked and scored by; the names are arguments of ``metrics.functional.tracks.tapvid``.

    Attributes:
        queries: (frame, x, y).
        target: Pixels (x, y); in frames where the point is hidden, what the file holds.
        target_visible: As annotated, whether the point is inside the picture or not.
        image_size: (height, width), which the pixels belong to.
    """

    queries: Float[Tensor, "n 3"]
    target: Float[Tensor, "t n 2"]
    target_visible: Bool[Tensor, "t n"]
    image_size: tuple[int, int]


def read_truth(
    clip: TapVidClip, query_mode: Literal["first", "strided"] = "first", query_stride: int = 5
) -> TapVidTruth:
    """Read the queries and the truth of one clip as TAP-Vid's evaluation takes them.

    Args:
        clip: From ``list_clips``.
        query_mode: "first": each point is queried in the first frame that shows it. "strided": in every
            ``query_stride``-th frame that shows it, each time as a track of its own. A point never seen is left out.
        query_stride: Frames from one query of a point to the next.

    Raises:
        InputError: As ``read``; if no point is ever seen; and for a mode or a stride that is none.

    Source: google-deepmind/tapnet, ``sample_queries_first`` and ``sample_queries_strided``.
    """
    if query_mode not in ("first", "strided") or query_stride < 1:
        want = "first or strided, at least 1"
        raise InputError(f"query_mode, query_stride: got {query_mode!r}, {query_stride}, want {want}")
    what = _what(clip)
    content = _clips(clip.path)[clip.key]
    pictures = _pictures(what, content)
    sizes = {"t": len(pictures)}
    height, width = _video(f"{what}: video", pictures, [0]).shape[-2:]
    points = rearrange(member(what, content, "points", "n t 2", sizes), "n t c -> t n c")
    visible = rearrange(~member(what, content, "occluded", "n t", sizes, "bool"), "n t -> t n")
    _check_shares(f"{what}: points", points[visible])
    pixels = points * np.array([width, height])
    if query_mode == "first":
        track = np.flatnonzero(visible.any(axis=0))
        # Of several largest values argmax takes the first.
        frame = visible[:, track].argmax(axis=0)
    else:
        row, track = np.nonzero(visible[::query_stride])
        frame = row * query_stride
    if not len(track):
        raise InputError(f"{what}: occluded: got no point that a queried frame shows, want one at least")
    queries = np.concatenate([frame[:, None], pixels[frame, track]], axis=1)
    return TapVidTruth(
        torch.from_numpy(queries).float(),
        torch.from_numpy(pixels[:, track]).float(),
        torch.from_numpy(visible[:, track]),
        (height, width),
    )


def _check_shares(what: str, points: Float[np.ndarray, "p 2"]) -> None:
    """Refuse visible points in pixels: all of them would lie outside the picture, and be visible nowhere."""
    far = np.isfinite(points) & (np.abs(points - 0.5) > _FARTHEST_VISIBLE)
    if far.any():
        want = "shares of the picture's sides, from 0 to 1"
        raise InputError(f"{what}: got {points[far][0]:g} where seen, want {want}")


def _what(clip: TapVidClip) -> str:
    return f"{clip.path}: {clip.key}"


def _pickles(root: Path) -> list[Path]:
    if root.is_file():
        return [root] if root.suffix in _SUFFIXES else []
    if not root.is_dir():
        return []
    found = [path for path in root.iterdir() if path.suffix in _SUFFIXES]
    return sorted(found, key=lambda path: natural_key(path.name))


def _clips(path: Path) -> Mapping[str | int, Any]:
    return _read(path, path.stat().st_mtime_ns if path.is_file() else 0)


# A pickle holds all clips of a data set: it is read once, and anew when it has changed.
@lru_cache(maxsize=1)
def _read(path: Path, changed: int) -> Mapping[str | int, Any]:
    content = read_pickle(path)
    clips = dict(enumerate(content)) if isinstance(content, list) else content
    if not isinstance(clips, dict) or not clips or not all(isinstance(clip, dict) for clip in clips.values()):
        raise InputError(f"{path}: got a {type(content).__name__}, want {_WANT}")
    return clips


def _pictures(what: str, content: Any) -> Sequence[Any] | Shaped[np.ndarray, "..."]:
    pictures = field(what, content, "video")
    is_sequence = isinstance(pictures, list | tuple) or (isinstance(pictures, np.ndarray) and pictures.ndim)
    if not is_sequence or not len(pictures):
        got = f"{type(pictures).__name__} {np.shape(pictures)}"
        raise InputError(f"{what}: video: got {got}, want a sequence of frames")
    return pictures


def _video(what: str, pictures: Any, frames: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
    chosen = [_decode(what, pictures[frame]) for frame in frames]
    shapes = {picture.shape for picture in chosen}
    if len(shapes) != 1 or chosen[0].ndim != 3 or chosen[0].shape[2] != 3 or chosen[0].dtype != np.uint8:
        raise InputError(f"{what}: got frames of {chosen[0].dtype} and shapes {sorted(shapes)}, want uint8 (h, w, 3)")
    return rearrange(torch.from_numpy(np.stack(chosen)), "t h w c -> t c h w").float().div_(255)


def _decode(what: str, picture: Any) -> Shaped[np.ndarray, "..."]:
    if not isinstance(picture, bytes):
        try:
            return np.asarray(picture)
        except ValueError as error:
            raise InputError(f"{what}: got a frame of ragged lists, want uint8 (h, w, 3)") from error
    return np.array(load_image(picture, what).convert("RGB"))
