"""Points of a real clip that are tracked: on an object's mask, on a grid, or from a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.formats.track_files import check_queries, read_queries
from mvt4g.geometry.framing import Framing
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.ranges import Natural, check_ranges
from mvt4g.types import REFERENCE, InputError

_DEFAULT_COUNTS = {"mask": 16, "grid": 8}
_LLOYD_ROUNDS = 10


@dataclass(frozen=True)
class QueryChoice:
    """How query points are chosen.

    Attributes:
        kind: "mask", "grid" or "file".
        count: Points on the mask, or points a side of the grid.
        path: Of the file.
    """

    kind: str
    count: Natural = 0
    path: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "queries")

    @staticmethod
    def parse(text: str) -> "QueryChoice":
        """Understand "mask", "mask:32", "grid:8" or the path of a .json, .csv or .npz file.

        Raises:
            InputError: If it is none of these.
        """
        kind, _, count = text.partition(":")
        if kind not in _DEFAULT_COUNTS:
            path = Path(text)
            if path.suffix.lower() not in (".json", ".csv", ".npz"):
                want = "'mask', 'mask:16', 'grid:8' or a .json, .csv, .npz file"
                raise InputError(f"queries: got {text!r}, want {want}")
            return QueryChoice("file", path=path)
        if count and not (count.isdecimal() and int(count) > 0):
            want = f"a count of at least 1 after '{kind}:'"
            raise InputError(f"queries: got {text!r}, want {want}")
        return QueryChoice(kind, int(count) if count else _DEFAULT_COUNTS[kind])


def grid_queries(side: int, framing: Framing) -> Float[Tensor, "q 4"]:
    """Return the centres of a grid of cells over what frame 0 shows, ``side`` a row and column; none on black bars."""
    unit = rearrange(pixel_centres(side, side, stride=1 / side), "row column xy -> (row column) xy")
    left, top, right, bottom = framing.shown_xyxy
    size = unit.new_tensor([right - left, bottom - top])
    return _at_frame(0, unit * size + unit.new_tensor([left, top]))


def mask_queries(masks: Bool[Tensor, "t h w"], count: int, name: str) -> Float[Tensor, "q 4"]:
    """Return up to ``count`` points spread evenly over the mask of the first frame that has one.

    They are the centres of clusters (farthest-point start, then Lloyd's rounds), each moved to the nearest pixel centre
    of the mask, so that they lie inside an object rather than on its rim.

    Raises:
        InputError: If every mask is empty; ``name`` is what the message calls the clip.
    """
    frames = masks.flatten(1).any(dim=1).nonzero()[:, 0].tolist()
    if not frames:
        want = "'grid:N' or a file"
        raise InputError(f"{name}: queries: got masks that are empty in all frames kept, want {want}")
    pixels = pixel_centres(masks.shape[1], masks.shape[2])[masks[frames[0]]]
    return _at_frame(frames[0], _spread_over(pixels, min(count, len(pixels))))


class QueriedView(NamedTuple):
    """A video that a file's query points lie in.

    Attributes:
        num_frames: Frames of the source.
        kept: Those that are kept.
        framing: What is done to each.
    """

    num_frames: int
    kept: Sequence[int]
    framing: Framing


def file_queries(path: Path, views: Sequence[QueriedView]) -> tuple[Float[Tensor, "q 4"], Int[Tensor, " q"]]:
    """Read query points in pixels and frames of the sources and take them along to the model's.

    Args:
        path: Of the file.
        views: Those that have a video, in order.

    Returns:
        The queries that are still there, and their rows in the file: a frame or place that was cut away takes its
        queries with it.

    Raises:
        InputError: If the file is bad, a query is outside the source or of a view without a video, or none is left.
    """
    queries = read_queries(path)
    _check_views(queries, len(views), path)
    xy = queries[:, 2:].clone()
    inside = torch.zeros(len(queries), dtype=torch.bool)
    places = torch.full((len(queries),), -1)
    for number, view in enumerate(views):
        here = queries[:, 0] == number
        # The others' places are looked at by their own view.
        own = torch.where(here[:, None], queries, 0)
        check_queries(own, number + 1, view.num_frames, *view.framing.source, str(path))
        xy[here], inside[here] = view.framing.points(queries[here, 2:])
        # Of a frame that is kept several times the first: the reversed order lets it win.
        place_of = {frame: place for place, frame in reversed(list(enumerate(view.kept)))}
        frames = map(int, queries[here, 1].tolist())
        places[here] = torch.tensor([place_of.get(frame, -1) for frame in frames]).long()
    rows = torch.nonzero(inside & (places >= 0))[:, 0]
    if not len(rows):
        raise InputError(f"{path}: got {len(queries)} queries, all outside what is kept of the video, want one inside")
    return torch.cat([queries[rows, :1], places[rows, None].float(), xy[rows]], dim=1), rows


def describe_file_queries(path: Path, left: int) -> str:
    """Say in words how many of a file's query points are left."""
    total = len(read_queries(path))
    lost = f", {total - left} lie in what is cut away" if left < total else ""
    return f"{left} of {total} query points of {path.name}{lost}"


def _check_views(queries: Float[Tensor, "q 4"], num_views: int, path: Path) -> None:
    for index, view in enumerate(queries[:, 0].tolist()):
        if view >= num_views:
            want = f"0 <= view < {num_views}"
            raise InputError(f"{path}: query {index}: got view {view:g}, want {want}")


def _at_frame(frame: int, xy: Float[Tensor, "n 2"]) -> Float[Tensor, "n 4"]:
    start = torch.tensor([float(REFERENCE), float(frame)])
    return torch.cat([start.expand(len(xy), 2), xy], dim=1)


def _spread_over(pixels: Float[Tensor, "p 2"], count: int) -> Float[Tensor, "q 2"]:
    first = torch.linalg.vector_norm(pixels - pixels.mean(0), dim=1).argmin()
    # Each next start is the pixel farthest from all before: clusters begin apart.
    chosen = [int(first)]
    distance = torch.linalg.vector_norm(pixels - pixels[first], dim=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = torch.minimum(distance, torch.linalg.vector_norm(pixels - pixels[chosen[-1]], dim=1))
    centres = pixels[chosen]
    for _ in range(_LLOYD_ROUNDS):
        owner = torch.cdist(pixels, centres).argmin(1)
        owned = owner.bincount(minlength=count)[:, None]
        # A cluster that lost all of its pixels stays where it is.
        means = torch.zeros_like(centres).index_add_(0, owner, pixels) / owned.clamp(min=1)
        centres = torch.where(owned > 0, means, centres)
    return pixels[torch.cdist(centres, pixels).argmin(1).unique()]
