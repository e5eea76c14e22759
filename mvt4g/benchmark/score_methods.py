"""Scores every video of a method, and puts together what the three files say of it."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from mvt4g.benchmark.aligned_video import NotScored, Shape, scored_frames, shape_of
from mvt4g.benchmark.cases import case_of, expected_cases, means_over_seeds
from mvt4g.benchmark.found_videos import FoundVideo, Method
from mvt4g.benchmark.known_clips import Sources
from mvt4g.benchmark.made_sources import check_made_from, known_clip
from mvt4g.benchmark.manifest import CONVENTIONS
from mvt4g.benchmark.score_files import NO_VALUE, SCORED, ScoreRow, VideoRow
from mvt4g.benchmark.video_scorer import ScoredVideo, VideoScorer
from mvt4g.formats.foreign.frame_maps import AlignedFrames
from mvt4g.formats.foreign.video_layouts import VideoLayout
from mvt4g.metrics.collection import NovelViewMetrics, ScoreTable, is_count
from mvt4g.metrics.functional.bootstrap import bootstrap_interval
from mvt4g.metrics.presets import METRICS
from mvt4g.types import InputError

_WITHOUT_DIRECTION = ("coverage", "registered_fraction")
"""Parts of a metric that are neither better high nor low."""
_CAMERA = "camera/"
_CAMERAS_IN_RULE = re.compile(r"(?<=; )(target cameras|cameras of)[^;]*")
"""The part of a manifest's rule that says what cameras were asked for, with strength, speed and scale."""
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
    videos, shapes = with_shapes(method)
    done: list[ScoredVideo] = []
    lengths: list[int] = []
    sizes: list[tuple[int, int]] = []
    finished: list[FoundVideo] = []
    for video in videos:
        if not video.status:
            shape = shapes[video.file]
            try:
                frames, scored = score_video(method, video, shape, sources, scorer)
                done.append(scored)
                lengths.append(len(frames.output))
                sizes.append(shape.size)
            except NotScored as error:
                video = replace(video, status=error.status, reason=str(error))
        if video.status:
            tell(f"{method.name}: {video.file or video.name}: {video.status}: {video.reason}")
        finished.append(video)
    table = scorer.metrics.table() if done else ScoreTable((), {}, ())
    rows = _video_rows(method, finished, done, table)
    scores = _score_rows(method.name, rows, table, scorer.metrics)
    return MethodScores(tuple(rows), tuple(scores), _facts(method, finished, lengths, sizes, sources))


def score_video(
    method: Method, video: FoundVideo, shape: Shape, sources: Sources, scorer: VideoScorer
) -> tuple[AlignedFrames, ScoredVideo]:
    """Add one video to the metrics of a scorer.

    Args:
        method: Whose it is.
        video: That is there.
        shape: Of its file.
        sources: What is known of clips.
        scorer: Takes it.

    Returns:
        The frames that are scored, and what became of the video.

    Raises:
        NotScored: If it cannot be scored.
    """
    try:
        clip = known_clip(video, sources)
        check_made_from(video, clip)
        frames = _first(scored_frames(method.layout, video, shape, clip), scorer.spec.frames)
        return frames, scorer.add(method, video, shape, clip, frames)
    except NotScored:
        raise
    except InputError as error:
        raise NotScored("failed", str(error)) from error


def _first(frames: AlignedFrames, most: int | None) -> AlignedFrames:
    return AlignedFrames(frames.output[:most], frames.source[:most])


def with_shapes(method: Method) -> tuple[list[FoundVideo], dict[str, Shape]]:
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
    method: str, videos: Sequence[VideoRow], table: ScoreTable, metrics: NovelViewMetrics
) -> list[ScoreRow]:
    """Return a row for each score; a clip from a camera is one video, whatever its seeds (``cases``)."""
    expected = len(expected_cases(videos))
    if not table.names:
        return [ScoreRow(method, "", None, None, None, 0, expected, note="no video was scored")]
    remarks = metrics.remarks()
    by_key: dict[str, list[VideoRow]] = {}
    for video in videos:
        if video.metric:
            by_key.setdefault(video.metric, []).append(video)
    rows: list[ScoreRow] = []
    told: set[str] = set()
    for key, of_score in by_key.items():
        member = next((name for name in remarks if f"{key}/".startswith(f"{name}/")), "")
        told.add(member)
        values = torch.tensor(list(means_over_seeds(of_score).values()), dtype=torch.float64)
        low, high = bootstrap_interval(values)
        spread = (_finite(float(values.mean())), _finite(float(low)), _finite(float(high)))
        counts = (len(values), expected - len(values))
        rows.append(ScoreRow(method, key, *spread, *counts, _better(key, metrics), remarks.get(member, "")))
    num_scored = len({case_of(video) for video in videos if not video.metric and video.status == SCORED})
    for key, value in table.of_the_set.items():
        told.add(key)
        known = _finite(value)
        count = num_scored if known is not None else 0
        note = remarks.get(key, "of all videos together")
        rows.append(ScoreRow(method, key, known, None, None, count, expected - count, _better(key, metrics), note))
    for name, reason in remarks.items():
        if name not in told:
            rows.append(ScoreRow(method, name, None, None, None, 0, expected, note=reason))
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
    if unknown:
        listed = f"{', '.join(unknown[:5])}{' and more' if len(unknown) > 5 else ''}"
        if sources.place is not None:
            notes.append(f"not among the sources: {listed}")
        elif any(video.made for video in videos):
            notes.append(f"no source, or another one, where the manifest says: {listed}")
    size = sizes[0] if sizes else None
    said = _said_by_layout(layout, size) | _said_by_manifest(videos)
    return {
        "layout": layout.name,
        "program": layout.program,
        **said,
        "fps": layout.fps,
        "size": None if size is None else list(size),
        "frames": [min(lengths), max(lengths)] if lengths else None,
        "counts": {"expected": expected, **dict(sorted(counts.items()))},
        "notes": notes,
    }


def _said_by_layout(layout: VideoLayout, size: tuple[int, int] | None) -> dict[str, str]:
    """Return what a layout says of cameras, frames and pictures."""
    return {
        "convention": layout.convention(),
        "scale": layout.scale,
        "frame_map": layout.frames.sentence(),
        "crop": layout.crop.sentence(size),
    }


def _said_by_manifest(videos: Sequence[FoundVideo]) -> dict[str, str]:
    """Return what a manifest says of the same in the place of the layout; nothing where there is none.

    The rule of the first video stands for those of all: they are of one configuration.
    """
    made = [video.made for video in videos if video.made is not None and "rule" in video.made]
    if not made:
        return {}
    rule = str(made[0]["rule"])
    of_cameras = _CAMERAS_IN_RULE.search(rule)
    cameras = f"by the manifest, as {of_cameras[0] if of_cameras else rule}"
    relations = {str(entry.get("convention")): None for entry in made}
    told = " or ".join(CONVENTIONS.get(word, word) for word in relations)
    return {
        "convention": f"OpenCV axes, {told}; {cameras}",
        "scale": f"{cameras}; where that names no scale, it is that of the paths asked for",
        "frame_map": f"by the manifest, as {rule}",
        "crop": f"by the manifest, as {rule}",
    }
