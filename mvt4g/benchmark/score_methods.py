"""Scores every video of a method, and puts together what the three files say of it."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mvt4g.benchmark.aligned_video import NotScored, Shape, scored_frames, shape_of
from mvt4g.benchmark.found_videos import FoundVideo, Method
from mvt4g.benchmark.known_clips import KnownClip, Sources
from mvt4g.benchmark.score_files import NO_VALUE, SCORED, ScoreRow, VideoRow
from mvt4g.benchmark.video_scorer import ScoredVideo, VideoScorer
from mvt4g.formats.foreign.frame_maps import AlignedFrames
from mvt4g.metrics.collection import NovelViewMetrics, ScoreTable, is_count
from mvt4g.metrics.presets import METRICS
from mvt4g.types import InputError

_WITHOUT_DIRECTION = ("coverage", "registered_fraction")
"""Parts of a metric that are neither better high nor low."""
_CAMERA = "camera/"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class MethodScores:
    """The rows of one method.

    Attributes:
        videos: Of ``videos.csv``.
        scores: Of ``scores.csv``.
        facts: Of ``methods.json``.
    """

    videos: tuple[VideoRow, ...]
    scores: tuple[ScoreRow, ...]
    facts: Mapping[str, Any]

    @property
    def num_not_scored(self) -> int:
        """Videos that were not scored, and those that are missing."""
        return sum(row.metric == "" and row.status != SCORED for row in self.videos)


def score_method(method: Method, sources: Sources, scorer: VideoScorer, tell: Tell) -> MethodScores:
    """Score the videos of a method.

    Args:
        method: Its videos, also those that are missing.
        sources: What is known of clips.
        scorer: Its metrics are reset.
        tell: Called with a line for every video that is not scored.
    """
    scorer.metrics.reset()
    videos, shapes = _with_shapes(method)
    done: list[ScoredVideo] = []
    lengths: list[int] = []
    sizes: list[tuple[int, int]] = []
    finished: list[FoundVideo] = []
    for video in videos:
        if not video.status:
            shape = shapes[video.file]
            try:
                clip = known_clip(video, sources)
                frames = _first(scored_frames(method.layout, video, shape, clip), scorer.spec.frames)
                done.append(scorer.add(method, video, shape, clip, frames))
                lengths.append(len(frames.output))
                sizes.append(shape.size)
            except NotScored as error:
                video = replace(video, status=error.status, reason=str(error))
            except InputError as error:
                video = replace(video, status="failed", reason=str(error))
        if video.status:
            tell(f"{method.name}: {video.file or video.name}: {video.status}: {video.reason}")
        finished.append(video)
    table = scorer.metrics.table() if done else ScoreTable((), {}, ())
    rows = _video_rows(method, finished, done, table)
    scores = _score_rows(method, finished, table, scorer.metrics)
    return MethodScores(tuple(rows), tuple(scores), _facts(method, finished, lengths, sizes, sources))


def known_clip(video: FoundVideo, sources: Sources) -> KnownClip | None:
    """Return what is known of a clip; where no sources are given, a manifest may say where the source is."""
    clip = sources.clip(video.clip, video.camera)
    made = (video.made or {}).get("source")
    if clip is None and sources.place is None and isinstance(made, dict):
        place = Path(str(made.get("path", "")))
        if place.exists():
            return KnownClip(video.clip, (), place)
    return clip


def _first(frames: AlignedFrames, most: int | None) -> AlignedFrames:
    return AlignedFrames(frames.output[:most], frames.source[:most])


def _with_shapes(method: Method) -> tuple[list[FoundVideo], dict[str, Shape]]:
    """Look at every file, and set apart those of another size or length than the method's others.

    A layout may say size and length. Where it does not, the size that most videos have is the method's, and of one
    clip the longest video; of two sizes that are as frequent, the larger one.
    """
    shapes: dict[str, Shape] = {}
    videos: list[FoundVideo] = []
    for video in method.videos:
        if not video.status:
            try:
                shapes[video.file] = shape_of(video, method.layout)
            except NotScored as error:
                video = replace(video, status=error.status, reason=str(error))
        videos.append(video)
    free = [video for video in videos if not video.status and video.made is None]
    if free and not method.layout.sizes:
        counted = Counter(shapes[video.file].size for video in free)
        usual = max(counted, key=lambda size: (counted[size], size))
        videos = [_checked_size(video, shapes, usual) for video in videos]
    longest: dict[str, int] = {}
    for video in free:
        longest[video.clip] = max(longest.get(video.clip, 0), shapes[video.file].num_frames)
    if not (method.layout.count.exact or method.layout.count.of_source):
        videos = [_checked_length(video, shapes, longest) for video in videos]
    return videos, shapes


def _checked_size(video: FoundVideo, shapes: Mapping[str, Shape], usual: tuple[int, int]) -> FoundVideo:
    if video.status or video.made is not None or shapes[video.file].size == usual:
        return video
    height, width = shapes[video.file].size
    reason = f"got {width}x{height}, want {usual[1]}x{usual[0]} as the method's other videos"
    return replace(video, status="size", reason=reason)


def _checked_length(video: FoundVideo, shapes: Mapping[str, Shape], longest: Mapping[str, int]) -> FoundVideo:
    if video.status or video.made is not None or shapes[video.file].num_frames >= longest[video.clip]:
        return video
    reason = f"got {shapes[video.file].num_frames} frames, want {longest[video.clip]} as another video of the clip"
    return replace(video, status="short", reason=reason)


def _video_rows(
    method: Method, videos: Sequence[FoundVideo], done: Sequence[ScoredVideo], table: ScoreTable
) -> list[VideoRow]:
    """Return a row for every video, each followed by those of its scores."""
    places = {name: place for place, name in enumerate(table.names)}
    lacking = {scored.video.file: scored.lacking for scored in done}
    rows = []
    for video in videos:
        row = VideoRow(
            method=method.name, clip=video.clip, camera=video.camera, metric="", value=None,
            status=video.status or SCORED, reason=video.reason, seed=video.seed, file=video.file,
        )  # fmt: skip
        if video.status:
            rows.append(row)
            continue
        note = table.notes[places[video.file]]
        rows.append(replace(row, reason=note))
        for key, values in table.scores.items():
            if is_count(key):
                continue
            value = float(values[places[video.file]])
            if math.isfinite(value):
                rows.append(replace(row, metric=key, value=value))
            else:
                reason = _why_none(key, lacking[video.file], note)
                rows.append(replace(row, metric=key, value=None, status=NO_VALUE, reason=reason))
    return rows


def _why_none(key: str, lacking: Mapping[str, Sequence[str]], note: str) -> str:
    """Say why a video has no value of a score."""
    if key.startswith(_CAMERA) and note:
        return note
    for member, names in lacking.items():
        if f"{key}/".startswith(f"{member}/"):
            return f"not known: {', '.join(names)}"
    if key.startswith(_CAMERA):
        return "the asked camera stands still, or too few frames have a pose"
    return "not a finite number for this video"


def _score_rows(
    method: Method, videos: Sequence[FoundVideo], table: ScoreTable, metrics: NovelViewMetrics
) -> list[ScoreRow]:
    expected = sum(video.status != "unnamed" for video in videos)
    if not table.names:
        return [ScoreRow(method.name, "", None, None, None, 0, expected, note="no video was scored")]
    remarks = metrics.remarks()
    rows: list[ScoreRow] = []
    told: set[str] = set()
    for key, score in table.summary().items():
        member = next((name for name in remarks if f"{key}/".startswith(f"{name}/")), "")
        told.add(member)
        mean, low, high = (_finite(number) for number in (score.mean, score.low, score.high))
        absent = expected - score.num_videos
        note = remarks.get(member, "")
        rows.append(ScoreRow(method.name, key, mean, low, high, score.num_videos, absent, _better(key, metrics), note))
    for key, value in table.of_the_set.items():
        told.add(key)
        known = _finite(value)
        count = len(table.names) if known is not None else 0
        note = remarks.get(key, "of all videos together")
        rows.append(ScoreRow(method.name, key, known, None, None, count, expected - count, _better(key, metrics), note))
    for name, reason in remarks.items():
        if name not in told:
            rows.append(ScoreRow(method.name, name, None, None, None, 0, expected, note=reason))
    return rows


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _better(key: str, metrics: NovelViewMetrics) -> str:
    """Return whether a higher or a lower score is better; empty where neither is."""
    if key.rpartition("/")[2] in _WITHOUT_DIRECTION:
        return ""
    named = [name for name in metrics.members() if f"{key}/".startswith(f"{name}/")]
    if named:
        higher = metrics.members()[max(named, key=len)].higher_is_better
    else:
        higher = METRICS[key].metric.higher_is_better if key in METRICS else None
    return {True: "higher", False: "lower", None: ""}[higher]


def _facts(
    method: Method,
    videos: Sequence[FoundVideo],
    lengths: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    sources: Sources,
) -> dict[str, Any]:
    """Return what ``score_files.METHOD_FACTS`` names."""
    layout = method.layout
    counts = Counter(video.status or SCORED for video in videos)
    expected = sum(video.status != "unnamed" for video in videos)
    notes = list(method.notes)
    unknown = sorted({video.clip for video in videos if not video.status and known_clip(video, sources) is None})
    if unknown and sources.place is not None:
        notes.append(f"not among the sources: {', '.join(unknown[:5])}{' and more' if len(unknown) > 5 else ''}")
    made = [video for video in videos if video.made is not None and "rule" in video.made]
    size = sizes[0] if sizes else None
    frame_map, crop = layout.frames.sentence(), layout.crop.sentence(size)
    if made:
        frame_map = crop = f"by the manifest, as {made[0].made and made[0].made['rule']}"
    return {
        "layout": layout.name,
        "program": layout.program,
        "convention": layout.convention(),
        "scale": layout.scale,
        "frame_map": frame_map,
        "crop": crop,
        "fps": layout.fps,
        "size": None if size is None else list(size),
        "frames": [min(lengths), max(lengths)] if lengths else None,
        "counts": {"expected": expected, **dict(sorted(counts.items()))},
        "notes": notes,
    }
