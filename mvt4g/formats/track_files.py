"""Point tracks and query points in files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.formats.axes import bind_axes
from mvt4g.formats.npz import read_arrays
from mvt4g.formats.parsing.json_files import read_json, read_json_object
from mvt4g.formats.parsing.rows import read_table
from mvt4g.types import InputError

_QUERY_COLUMNS = ("view", "frame", "x", "y")
CONVENTIONS = {
    "tracks": "(view, frame, point, xy): pixels (x, y) of the video, pixel centres at i + 0.5, also where hidden",
    "visible": "(view, frame, point): true = seen, not occluded",
    "confidence": "(view, frame, point): in [0, 1], how near the truth a position is thought to be",
    "queries": "(point, 4): view, frame, x, y that each point was asked for at",
    "image_size": "(height, width) of the videos in pixels",
    "views": "0 = reference, 1 = target; frame t of all views is one moment",
    "source_tracks": "as tracks, in pixels of each view's source video; a generated view has the reference's",
    "source_queries": "as queries, in pixels and frame numbers of the view's source video",
    "source_frames": "(view, frame): frame number in the source video, from 0",
    "source_times_s": "(view, frame): when that frame is shown, seconds from the source's first",
    "source_size": "(view, 2): (height, width) of the source video in pixels",
}
"""What the fields mean, kept in every file."""
_JSON_TYPES = {"visible": np.bool_, "image_size": np.int64}
_PIXEL_DIGITS = 4
_SHARE_DIGITS = 6
"""Decimals of positions and of confidences in JSON."""


@dataclass(frozen=True)
class SourceTracks:
    """The same tracks told of the videos that the views were taken from.

    Attributes:
        tracks: Pixels (x, y) of each view's source.
        queries: (view, frame, x, y) in frames and pixels of the view's source.
        frames: Frame numbers in the source, from 0.
        times_s: When these are shown, seconds from the source's first frame.
        size: (height, width) of each view's source.
    """

    tracks: Float[Tensor, "v t n 2"]
    queries: Float[Tensor, "n 4"]
    frames: Int[Tensor, "v t"]
    times_s: Float[Tensor, "v t"]
    size: Int[Tensor, "v 2"]


@dataclass(frozen=True)
class TrackFile:
    """Tracks of query points through all views.

    Attributes:
        tracks: Pixels (x, y), centres at i + 0.5.
        visible: True where seen.
        queries: (view, frame, x, y) of each point, pixels.
        image_size: (height, width) of the videos.
        confidence: In [0, 1]; None where nobody said.
        source: The same told of the source videos; None where they are not known.
    """

    tracks: Float[Tensor, "v t n 2"]
    visible: Bool[Tensor, "v t n"]
    queries: Float[Tensor, "n 4"]
    image_size: tuple[int, int]
    confidence: Float[Tensor, "v t n"] | None = None
    source: SourceTracks | None = None


def write_tracks(path: Path, content: TrackFile) -> None:
    """Write the fields and their conventions as ``.npz`` (exactly) or ``.json`` (to 1e-4 px); whole or not at all.

    Raises:
        InputError: If the place cannot be written to, or the suffix is another.
    """
    if path.suffix not in (".npz", ".json"):
        raise InputError(f"{path}: got suffix {path.suffix!r}, want .npz or .json")
    fields = {"tracks": content.tracks, "visible": content.visible, "queries": content.queries}
    if content.confidence is not None:
        fields["confidence"] = content.confidence
    if content.source is not None:
        for name, value in vars(content.source).items():
            fields[f"source_{name}"] = value
    arrays = {name: value.detach().cpu().numpy() for name, value in fields.items()}
    with appearing(path) as temporary:
        if path.suffix == ".json":
            temporary.write_text(json.dumps(_as_json(arrays, content.image_size), allow_nan=False) + "\n")
            return
        meanings = [f"{name}: {meaning}" for name, meaning in _conventions(arrays).items()]
        header = {"image_size": np.array(content.image_size), "conventions": np.array(meanings)}
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **header, **arrays)


def read_tracks(path: Path) -> TrackFile:
    """Read what ``write_tracks`` wrote.

    Raises:
        InputError: If the file is missing, broken, or a field is missing or of a wrong shape or type.
    """
    arrays = _json_arrays(path) if path.suffix == ".json" else read_arrays(path)
    kinds = {
        "tracks": ("v t n 2", "f"),
        "visible": ("v t n", "b"),
        "queries": ("n 4", "f"),
        "image_size": ("2", "i"),
    }
    if "confidence" in arrays:
        kinds["confidence"] = ("v t n", "f")
    for name, (axes, kind) in kinds.items():
        if name not in arrays:
            want = "tracks, visible, queries, image_size"
            raise InputError(f"{path}: {name}: missing, got {sorted(arrays)}, want {want}")
        array = arrays[name]
        if array.ndim != len(axes.split()) or array.dtype.kind != kind:
            got = f"{array.dtype} of shape {array.shape}"
            raise InputError(f"{path}: {name}: got {got}, want {len(axes.split())} axes, kind {kind!r}")
    sizes: dict[str, int] = {}
    for name, (axes, _) in kinds.items():
        if not bind_axes(axes, arrays[name].shape, sizes):
            raise InputError(f"{path}: {name}: got shape {arrays[name].shape}, want ({axes}) with {sizes}")
    height, width = arrays["image_size"].tolist()
    confidence = torch.from_numpy(arrays["confidence"]).float() if "confidence" in arrays else None
    return TrackFile(
        tracks=torch.from_numpy(arrays["tracks"]).float(),
        visible=torch.from_numpy(arrays["visible"]),
        queries=torch.from_numpy(arrays["queries"]).float(),
        image_size=(height, width),
        confidence=confidence,
    )


def _as_json(arrays: Mapping[str, Shaped[np.ndarray, "..."]], image_size: tuple[int, int]) -> dict[str, Any]:
    digits = {"tracks": _PIXEL_DIGITS, "queries": _PIXEL_DIGITS, "confidence": _SHARE_DIGITS}
    digits |= {"source_tracks": _PIXEL_DIGITS, "source_queries": _PIXEL_DIGITS, "source_times_s": _SHARE_DIGITS}

    def plain(name: str, array: Shaped[np.ndarray, "..."]) -> Any:
        if name not in digits:
            return array.tolist()
        rounded = array.astype(np.float64).round(digits[name]).astype(object)
        # JSON has no word for NaN.
        rounded[~np.isfinite(array)] = None
        return rounded.tolist()

    fields = {name: plain(name, array) for name, array in arrays.items()}
    return {"conventions": _conventions(arrays), "image_size": list(image_size), **fields}


def _conventions(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> dict[str, str]:
    """Return what the fields of a file mean; those of sources are told of where they are."""
    meanings = {}
    for name, meaning in CONVENTIONS.items():
        if name in arrays or not name.startswith("source_"):
            meanings[name] = meaning
    return meanings


def _json_arrays(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    content = read_json_object(path, "tracks")
    arrays: dict[str, np.ndarray] = {}
    for name in ("tracks", "visible", "queries", "image_size", "confidence"):
        if name in content:
            arrays[name] = _json_array(f"{path}: {name}", content[name], _JSON_TYPES.get(name, np.float64))
    for name, length in (("tracks", 2), ("queries", 4)):
        # Lists of no point do not show the last axis.
        if name in arrays and not arrays[name].size:
            arrays[name] = arrays[name].reshape(*arrays[name].shape, length)
    return arrays


def _json_array(where: str, value: Any, kind: type) -> Shaped[np.ndarray, "..."]:
    """Return lists as an array, null as NaN; what would have to be turned into another kind of value is refused.

    Raises:
        InputError: If the lists are ragged or hold something else.
    """
    try:
        found = np.array(value)
        # It holds a null, which stands for a number that is not finite.
        if found.dtype == object:
            found = np.array(value, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{where}: got no table of one kind of values ({error}), want an array") from error
    wanted = {np.bool_: "b", np.int64: "i", np.float64: "fi"}[kind]
    if found.size and found.dtype.kind not in wanted:
        raise InputError(f"{where}: got entries of type {found.dtype}, want {np.dtype(kind)}")
    return found.astype(kind)


def read_queries(path: Path) -> Float[Tensor, "q 4"]:
    """Read query points (view, frame, x, y) in pixels, centres at i + 0.5.

    Args:
        path: ``.csv`` with a header (columns in any order), ``.json`` (a list of lists, or that under "queries") or
            ``.npz`` ("queries"). Rows are view, frame, x, y; without the view they are of view 0.

    Raises:
        InputError: If the file is missing, broken or empty, or a query is not finite, negative or has a fraction of a
            view or frame; the message names the query, and of a CSV the line.
    """
    readers = {".csv": _queries_csv, ".json": _queries_json, ".npz": _queries_npz}
    if path.suffix.lower() not in readers:
        want = f"query points in one of {', '.join(readers)}"
        raise InputError(f"{path}: got suffix {path.suffix!r}, want {want}")
    table = readers[path.suffix.lower()](path)
    try:
        queries = torch.tensor(table, dtype=torch.float64)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        want = "rows of frame, x, y"
        raise InputError(f"{path}: got no table of numbers ({error}), want {want}") from error
    if queries.ndim != 2 or queries.shape[1] not in (3, 4) or not len(queries):
        want = "rows (view,) frame, x, y"
        raise InputError(f"{path}: got queries of shape {tuple(queries.shape)}, want {want}")
    # A file of a single video says nothing of views.
    if queries.shape[1] == 3:
        queries = torch.cat([torch.zeros_like(queries[:, :1]), queries], dim=1)
    for index, (view, frame, x, y) in enumerate(queries.tolist()):
        # NaN and infinity are no whole numbers either.
        if view < 0 or frame < 0 or not (view.is_integer() and frame.is_integer()):
            want = "whole numbers from 0"
            raise InputError(f"{path}: query {index}: got view {view:g}, frame {frame:g}, want {want}")
        if not (np.isfinite(x) and np.isfinite(y)):
            raise InputError(f"{path}: query {index}: got ({x}, {y}), want finite pixels")
    return queries.float()


def check_queries(
    queries: Float[Tensor, "q 4"], num_views: int, num_frames: int, height: int, width: int, name: str
) -> None:
    """Refuse query points outside the clip.

    Raises:
        InputError: Naming the first such query: 0 <= x < width, 0 <= y < height, and view and frame that exist.
    """
    limits = (num_views, num_frames, width, height)
    for index, query in enumerate(queries.tolist()):
        for column, value, limit in zip(_QUERY_COLUMNS, query, limits, strict=True):
            if not 0 <= value < limit:
                want = f"0 <= {column} < {limit}"
                raise InputError(f"{name}: query {index}: got {column} {value:g}, want {want}")


def _queries_csv(path: Path) -> list[list[float]]:
    view, *required = _QUERY_COLUMNS
    rows = read_table(path, required, (view,), "query")
    columns = _QUERY_COLUMNS if view in rows[0].fields else required
    return [list(map(row.number, columns)) for row in rows]


def _queries_json(path: Path) -> Any:
    content = read_json(path, "query points")
    return content.get("queries") if isinstance(content, Mapping) else content


def _queries_npz(path: Path) -> Any:
    arrays = read_arrays(path)
    if "queries" not in arrays:
        raise InputError(f"{path}: queries: missing, got {sorted(arrays)}")
    return arrays["queries"].tolist()
