"""The files that ``mvt4g benchmark score`` writes, and that ``table`` and ``page`` read.

    <out>/videos.csv    method,clip,camera,metric,value,status,reason,seed,file
    <out>/scores.csv    method,metric,mean,low_95,high_95,videos,missing,better,note
    <out>/methods.json  {"version": 1, "preset": ..., "settings": {...}, "methods": {<method>: {...}, ...}}

``videos.csv`` has two kinds of rows.

- ``metric`` is empty: one row for each video that was found or expected, which says what became of it. ``status`` is
  ``scored``, or one of ``NOT_SCORED`` with the reason. Counting these rows counts the videos.
- ``metric`` is the key of a score, as ``mvt4g test`` calls it (``met3r``, ``camera/mvtrack4gen/rotation_error_deg``):
  one row for each score of each video that was scored. ``status`` is ``scored`` with a ``value``, or ``no_value`` with
  an empty one and the reason.

``camera`` is as ``cam03``, empty where neither the file's name nor an index says it. ``seed`` is empty where the name
has none. ``file`` is relative to the folder that was scored, empty for a missing video.

``scores.csv`` has a row for each method and score: the mean over the videos that have the score, its 95 % bootstrap
interval over videos, how many have it (``videos``) and how many of the method's expected videos have not
(``missing``). Here, as in the table, a video is a clip from a camera: its seeds are averaged first, over those that
have a value, and a file without a name is none. ``better`` is ``higher``, ``lower`` or empty. A metric of the preset
that did not run has no mean, and the ``note`` says what it needs. A method without a single scored video has one row,
with an empty metric.

``methods.json`` has for each method the keys of ``METHOD_FACTS``: what its videos were taken to be.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.json_files import read_json_object
from mvt4g.formats.parsing.rows import Row, read_table
from mvt4g.types import InputError

VIDEOS, SCORES, METHODS = "videos.csv", "scores.csv", "methods.json"
VERSION = 1
SCORED, NO_VALUE = "scored", "no_value"
NOT_SCORED: Mapping[str, str] = {
    "missing": "another method or a manifest has this clip and camera, and this method has no file",
    "damaged": "the file cannot be decoded",
    "short": "the video has fewer frames than its program writes, or than the method's other videos of the clip",
    "size": "the video is of another size than its program writes, or than the method's other videos",
    "unnamed": "the file's name is none that the layout has",
    "failed": "the video was read, and what is known of its clip does not fit",
}
"""What becomes of a video that is not scored, and why."""
METHOD_FACTS: Mapping[str, str] = {
    "layout": "name of the layout that found the videos",
    "program": "what wrote them",
    "convention": "what the target cameras are relative to, and where the asked path comes from",
    "scale": "what a metre of the asked path is in the program's own units",
    "frame_map": "which frame of the source a frame of the output stands for, and which frames are scored",
    "crop": "how a picture of the source becomes one of the output",
    "fps": "frames a second in the program's files, which are never used to align frames",
    "size": "[height, width] of the scored videos, null where none was scored",
    "frames": "[fewest, most] frames scored of a video, null where none was scored",
    "counts": "files by status, each seed its own, and those expected in all: {expected, scored, missing, ...}",
    "notes": "what a reader of the table should know, one sentence each",
}
"""Keys of each method in ``methods.json``."""


@dataclass(frozen=True)
class VideoRow:
    """A row of ``videos.csv``; the fields are its columns.

    Attributes:
        method: Name of the method's folder, with the variant of its program, if its names tell one.
        clip: What was seen.
        camera: From where it was to be seen.
        metric: Key of a score; empty = the row is about the video itself.
        value: Of the score; None = there is none.
        status: ``scored``, ``no_value`` or one of ``NOT_SCORED``.
        reason: Why there is no value or no video.
        seed: Of the generation, as the name has it.
        file: Relative to the folder that was scored.
    """

    method: str
    clip: str
    camera: str
    metric: str
    value: float | None
    status: str
    reason: str = ""
    seed: str = ""
    file: str = ""


@dataclass(frozen=True)
class ScoreRow:
    """A row of ``scores.csv``; the fields are its columns.

    Attributes:
        method: As in ``VideoRow``.
        metric: Key of a score; empty = the method has no scored video.
        mean: Over the videos that have the score; None = none has.
        low_95: Lower end of its bootstrap interval.
        high_95: Upper end.
        videos: Clips from a camera that have the score, of whatever seeds.
        missing: Those that the method should have and that have not.
        better: ``higher``, ``lower`` or empty.
        note: What the metric needs, or how its value is to be read.
    """

    method: str
    metric: str
    mean: float | None
    low_95: float | None
    high_95: float | None
    videos: int
    missing: int
    better: str = ""
    note: str = ""


VIDEO_COLUMNS = tuple(field.name for field in fields(VideoRow))
SCORE_COLUMNS = tuple(field.name for field in fields(ScoreRow))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[VideoRow | ScoreRow]) -> None:
    """Write a table; the file appears whole or not at all."""
    with appearing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(value) for value in astuple(row)])


def read_video_rows(out: Path) -> list[VideoRow]:
    """Read ``videos.csv`` of a folder that ``score`` wrote.

    Raises:
        InputError: If it is missing or of another form.
    """
    found = []
    for row in read_table(out / VIDEOS, VIDEO_COLUMNS[:7], VIDEO_COLUMNS[7:]):
        entry = row.fields
        known = {SCORED, NO_VALUE, *NOT_SCORED}
        if entry["status"] not in known:
            raise InputError(f"{row.where}: status: got {entry['status']!r}, want one of {', '.join(sorted(known))}")
        texts = {name: entry[name] for name in ("method", "clip", "camera", "metric", "status", "reason")}
        value = _number(row, "value")
        found.append(VideoRow(**texts, value=value, seed=entry.get("seed", ""), file=entry.get("file", "")))
    return found


def read_score_rows(out: Path) -> list[ScoreRow]:
    """Read ``scores.csv`` of a folder that ``score`` wrote.

    Raises:
        InputError: If it is missing or of another form.
    """
    found = []
    for row in read_table(out / SCORES, SCORE_COLUMNS):
        entry = row.fields
        means = (_number(row, "mean"), _number(row, "low_95"), _number(row, "high_95"))
        counts = (int(row.number("videos")), int(row.number("missing")))
        found.append(ScoreRow(entry["method"], entry["metric"], *means, *counts, entry["better"], entry["note"]))
    return found


def write_methods(path: Path, preset: str, settings: Mapping[str, Any], methods: Mapping[str, Any]) -> None:
    """Write ``methods.json``.

    Args:
        path: Of the file.
        preset: The protocol.
        settings: Of the command, as JSON holds them.
        methods: Facts by method.
    """
    assert all(set(facts) == set(METHOD_FACTS) for facts in methods.values()), "each method has all facts"
    content = {"version": VERSION, "preset": preset, "settings": dict(settings), "methods": dict(methods)}
    with appearing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_methods(out: Path) -> dict[str, Any]:
    """Read ``methods.json`` of a folder that ``score`` wrote: its whole content.

    Raises:
        InputError: If it is missing or of another form.
    """
    path = out / METHODS
    content = read_json_object(path, "the facts of mvt4g benchmark score")
    if content.get("version") != VERSION or not isinstance(content.get("methods"), dict):
        raise InputError(f"{path}: got no facts of version {VERSION}, want those of mvt4g benchmark score")
    return content


def _cell(value: str | float | int | None) -> str:
    """Return a field as it is written: nothing for no value; a reason of several lines becomes one."""
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else " ".join(str(value).splitlines())


def _number(row: Row, column: str) -> float | None:
    return row.number(column) if row.fields[column] else None
