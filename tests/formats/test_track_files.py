"""Track files and query points: round trips, three formats, and every kind of bad file named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mvt4g.formats.track_files import CONVENTIONS, TrackFile, check_queries, read_queries, read_tracks, write_tracks
from mvt4g.types import InputError

QUERIES = torch.tensor([[0.0, 0.0, 3.5, 4.25], [0.0, 2.0, 60.0, 1.0]])


def _tracks() -> TrackFile:
    draw = torch.Generator().manual_seed(0)
    tracks = torch.randn(2, 5, 2, 2, generator=draw) * 50
    visible, confidence = (torch.rand(2, 5, 2, generator=draw) for _ in range(2))
    return TrackFile(tracks, visible > 0.5, QUERIES, (48, 64), confidence)


@pytest.mark.parametrize(("name", "tolerance"), [("tracks.npz", 0.0), ("tracks.json", 5.1e-5)])
def test_tracks_round_trip(tmp_path: Path, name: str, tolerance: float) -> None:
    content = _tracks()
    write_tracks(tmp_path / "new" / name, content)
    read = read_tracks(tmp_path / "new" / name)
    for field in ("tracks", "visible", "queries", "confidence"):
        torch.testing.assert_close(getattr(read, field), getattr(content, field), rtol=0, atol=tolerance)
    assert read.image_size == (48, 64)


@pytest.mark.parametrize("name", ["tracks.npz", "tracks.json"])
def test_confidence_may_be_unknown_and_positions_may_be_none(tmp_path: Path, name: str) -> None:
    content = replace(_tracks(), confidence=None)
    content.tracks[1, 2, 0] = torch.nan
    write_tracks(tmp_path / name, content)
    read = read_tracks(tmp_path / name)
    assert read.confidence is None
    assert read.tracks.isnan().sum() == 2
    assert read.tracks[1, 2, 0].isnan().all()


@pytest.mark.parametrize("name", ["tracks.npz", "tracks.json"])
def test_there_may_be_no_point(tmp_path: Path, name: str) -> None:
    whole = _tracks()
    none = {field: getattr(whole, field)[:, :, :0] for field in ("tracks", "visible", "confidence")}
    write_tracks(tmp_path / name, TrackFile(queries=QUERIES[:0], image_size=(48, 64), **none))
    read = read_tracks(tmp_path / name)
    assert (read.tracks.shape, read.queries.shape) == ((2, 5, 0, 2), (0, 4))
    assert read.visible.shape == read.confidence.shape == (2, 5, 0)


def test_a_file_says_what_its_numbers_mean(tmp_path: Path) -> None:
    for name in ("tracks.npz", "tracks.json"):
        write_tracks(tmp_path / name, _tracks())
    with np.load(tmp_path / "tracks.npz", allow_pickle=False) as archive:
        told = dict(line.split(": ", 1) for line in archive["conventions"].tolist())
    content = json.loads((tmp_path / "tracks.json").read_text())
    plain = {name: meaning for name, meaning in CONVENTIONS.items() if not name.startswith("source_")}
    assert told == content["conventions"] == plain, "of no source there is nothing to say"
    assert set(content) - {"conventions"} <= set(plain)
    assert "centres at i + 0.5" in told["tracks"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"visible": None}, "visible: missing"),
        ({"visible": np.zeros((2, 5, 2))}, "visible: got float64"),
        ({"visible": np.zeros((2, 5, 3), bool)}, "visible: got shape"),
        ({"queries": np.zeros((3, 4))}, "queries: got shape"),
        ({"tracks": np.zeros((5, 2, 2))}, "tracks: got float64"),
        ({"image_size": np.array([1, 2, 3])}, "image_size: got shape"),
        ({"confidence": np.zeros((2, 5, 3))}, "confidence: got shape"),
        ({"queries": np.array([{}, {}], object)}, r"queries: cannot be read \(Python objects"),
    ],
)
def test_bad_track_files_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "tracks.npz"
    write_tracks(path, _tracks())
    with np.load(path) as archive:
        arrays = {**archive, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=rf"tracks\.npz: {message}"):
        read_tracks(path)
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        read_tracks(tmp_path / "none.npz")


@pytest.mark.parametrize("text", ["[", "[1]", '{"tracks": [[1], 2]}', '{"tracks": []}'])
def test_bad_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "tracks.json").write_text(text)
    with pytest.raises(
        InputError, match=r"tracks\.json: (cannot be read as JSON|got a JSON list|tracks: got|visible: missing)"
    ):
        read_tracks(tmp_path / "tracks.json")


def _write(path: Path, content: Any) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.csv", "view,frame,x,y\n0,0,3.5,4.25\n0,2,60,1\n"),
        ("q.csv", "frame, x, y\n0, 3.5, 4.25\n2, 60, 1\n"),
        ("q.csv", "y,x,frame\n4.25,3.5,0\n1,60,2\n"),
        ("q.json", QUERIES.tolist()),
        ("q.json", {"queries": QUERIES[:, 1:].tolist()}),
        ("q.npz", {"queries": QUERIES.numpy()}),
        ("q.npz", {"queries": QUERIES[:, 1:].double().numpy()}),
    ],
)
def test_queries_are_read_from_every_format(tmp_path: Path, name: str, content: Any) -> None:
    torch.testing.assert_close(read_queries(_write(tmp_path / name, content)), QUERIES)


def test_a_track_file_serves_as_query_points(tmp_path: Path) -> None:
    write_tracks(tmp_path / "tracks.npz", _tracks())
    torch.testing.assert_close(read_queries(tmp_path / "tracks.npz"), QUERIES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.txt", "", "got suffix '.txt'"),
        ("q.csv", "", "got an empty file, want a header view,frame,x,y"),
        ("q.csv", "a,b\n1,2\n", r"line 1: got header \['a', 'b'\]"),
        ("q.csv", "frame,x,y\n0,1,2\n0,one,2\n", "line 3: x: got 'one', want a finite number"),
        ("q.csv", "frame,x,y\n0,1\n", "line 2: got 2 fields, want 3: frame,x,y"),
        ("q.csv", "frame,x,y\n0,nan,2\n", "line 2: x: got 'nan', want a finite number"),
        ("q.json", "[", "cannot be read as JSON"),
        ("q.json", [], "got queries of shape"),
        ("q.json", [[1, 2]], r"got queries of shape \(1, 2\)"),
        ("q.json", {"points": []}, "got no table of numbers"),
        ("q.json", [[0, 1, 2], ["a", 1, 2]], "got no table of numbers"),
        ("q.json", [[0, 1, 2], [1.5, 1, 2]], "query 1: got view 0, frame 1.5, want whole numbers"),
        ("q.json", [[-1, 1, 2]], "query 0: got view 0, frame -1"),
        ("q.npz", {"points": np.zeros((1, 3))}, "queries: missing"),
        ("q.npz", {"queries": np.array([[np.inf, 0, 1, 2]])}, "query 0: got view inf, frame 0, want whole numbers"),
        ("q.npz", {"queries": np.array([[0, np.nan, 1, 2]])}, "query 0: got view 0, frame nan, want whole numbers"),
        ("q.npz", {"queries": np.array([[0, 0, np.inf, 2]])}, r"query 0: got \(inf, 2.0\), want finite pixels"),
    ],
)
def test_bad_query_files_are_named(tmp_path: Path, name: str, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: {message}"):
        read_queries(_write(tmp_path / name, content))


def test_missing_query_files_are_named(tmp_path: Path) -> None:
    for suffix in ("csv", "json", "npz"):
        with pytest.raises(InputError, match=rf"none\.{suffix}: no such file"):
            read_queries(tmp_path / f"none.{suffix}")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ([0.0, 0.0, 64.0, 1.0], r"f: query 1: got x 64, want 0 <= x < 64"),
        ([0.0, 0.0, 1.0, -0.5], r"f: query 1: got y -0.5, want 0 <= y < 48"),
        ([0.0, 5.0, 1.0, 1.0], r"f: query 1: got frame 5, want 0 <= frame < 5"),
        ([2.0, 0.0, 1.0, 1.0], r"f: query 1: got view 2, want 0 <= view < 2"),
        ([0.0, 0.0, float("nan"), 1.0], r"f: query 1: got x nan"),
    ],
)
def test_queries_outside_the_clip_are_named(query: list[float], message: str) -> None:
    inside = torch.tensor([[1.0, 4.0, 63.99, 47.99]])
    check_queries(inside, 2, 5, 48, 64, "f")
    with pytest.raises(InputError, match=message):
        check_queries(torch.cat([inside, torch.tensor([query])]), 2, 5, 48, 64, "f")
