"""Point tracks and query points in files."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.formats.npz import read_arrays
from mvt4g.types import InputError

_QUERY_COLUMNS = ("view", "frame", "x", "y")


@dataclass(frozen=True)
class TrackFile:
    """Tracks of query points through all views.

    Attributes:
        tracks: Pixels (x, y), centres at i + 0.5.
        visible: True where seen.
        queries: (view, frame, x, y) of each point, pixels.
        image_size: (height, width) of the videos.
    """

    tracks: Float[Tensor, "v t n 2"]
    visible: Bool[Tensor, "v t n"]
    queries: Float[Tensor, "n 4"]
    image_size: tuple[int, int]


def write_tracks(path: Path, content: TrackFile) -> None:
    """Write an uncompressed ``.npz`` of the fields; it appears whole or not at all.

    Raises:
        InputError: If the place cannot be written to.
    """
    arrays = {name: getattr(content, name).detach().cpu().numpy() for name in ("tracks", "visible", "queries")}
    with appearing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, image_size=np.array(content.image_size), **arrays)


def read_tracks(path: Path) -> TrackFile:
    """Read what ``write_tracks`` wrote.

    Raises:
        InputError: If the file is missing, broken, or a field is missing or of a wrong shape or type.
    """
    arrays = read_arrays(path)
    for name, axes, kind in (("tracks", 4, "f"), ("visible", 3, "b"), ("queries", 2, "f"), ("image_size", 1, "i")):
        if name not in arrays:
            raise InputError(
                f"{path}: {name}: missing, got {sorted(arrays)}, want tracks, visible, queries, image_size"
            )
        array = arrays[name]
        if array.ndim != axes or array.dtype.kind != kind:
            raise InputError(
                f"{path}: {name}: got {array.dtype} of shape {array.shape}, want {axes} axes, kind {kind!r}"
            )
    tracks, visible, queries = (torch.from_numpy(arrays[name]) for name in ("tracks", "visible", "queries"))
    wanted = {"visible": tracks.shape[:3], "queries": (tracks.shape[2], 4), "image_size": (2,)}
    for name, shape in wanted.items():
        if arrays[name].shape != tuple(shape) or tracks.shape[-1] != 2:
            raise InputError(f"{path}: {name}: got shape {arrays[name].shape}, want {tuple(shape)} with {tracks.shape}")
    height, width = arrays["image_size"].tolist()
    return TrackFile(tracks.float(), visible, queries.float(), (height, width))


def read_queries(path: Path) -> Float[Tensor, "q 4"]:
    """Read query points (view, frame, x, y) in pixels, centres at i + 0.5.

    Args:
        path: ``.csv`` with a header, ``.json`` (a list of lists, or that under "queries") or ``.npz`` ("queries"). Rows
            are view, frame, x, y; without the view they are of view 0.

    Raises:
        InputError: If the file is missing, broken or empty, or a query is not finite, negative or has a fraction of a
            view or frame; the message names the query.
    """
    readers = {".csv": _queries_csv, ".json": _queries_json, ".npz": _queries_npz}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: got suffix {path.suffix!r}, want query points in one of {', '.join(readers)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file, want query points")
    table = readers[path.suffix.lower()](path)
    try:
        queries = torch.tensor(table, dtype=torch.float64)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: got no table of numbers ({error}), want rows of frame, x, y") from error
    if queries.ndim != 2 or queries.shape[1] not in (3, 4) or not len(queries):
        raise InputError(f"{path}: got queries of shape {tuple(queries.shape)}, want rows (view,) frame, x, y")
    if queries.shape[1] == 3:
        queries = torch.cat([torch.zeros_like(queries[:, :1]), queries], dim=1)
    for index, (view, frame, x, y) in enumerate(queries.tolist()):
        if not (view >= 0 and frame >= 0 and view == int(view) and frame == int(frame)):
            raise InputError(f"{path}: query {index}: got view {view:g}, frame {frame:g}, want whole numbers from 0")
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
                raise InputError(f"{name}: query {index}: got {column} {value:g}, want 0 <= {column} < {limit}")


def _queries_csv(path: Path) -> list[list[float]]:
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error}), want a header and query points") from error
    columns = [name for name in _QUERY_COLUMNS if rows and name in rows[0]]
    if columns[-3:] != ["frame", "x", "y"]:
        header = list(rows[0]) if rows else "no rows"
        raise InputError(f"{path}: got header {header}, want view,frame,x,y or frame,x,y and a query a line")
    table = []
    for index, row in enumerate(rows):
        try:
            table.append([float(row[name]) for name in columns])
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: query {index}: got {list(row.values())}, want numbers") from error
    return table


def _queries_json(path: Path) -> Any:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}), want query points") from error
    return content.get("queries") if isinstance(content, Mapping) else content


def _queries_npz(path: Path) -> Any:
    arrays = read_arrays(path)
    if "queries" not in arrays:
        raise InputError(f"{path}: queries: missing, got {sorted(arrays)}")
    return arrays["queries"].tolist()
