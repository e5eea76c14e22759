"""``mvt4g benchmark score``: videos of many methods, scored under one protocol."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mvt4g.benchmark.asked_cameras import AskedSpec
from mvt4g.benchmark.estimated_files import EstimatedFiles
from mvt4g.benchmark.found_videos import find_methods
from mvt4g.benchmark.known_clips import Sources
from mvt4g.benchmark.layout_choice import AUTO, LayoutChoice
from mvt4g.benchmark.memory import give_back_large_blocks
from mvt4g.benchmark.score_ahead import score_ahead
from mvt4g.benchmark.score_files import (
    METHODS,
    SCORE_COLUMNS,
    SCORES,
    VIDEO_COLUMNS,
    VIDEOS,
    write_methods,
    write_rows,
)
from mvt4g.benchmark.score_methods import MethodScores, score_method
from mvt4g.benchmark.track_evidence import TrackFiles
from mvt4g.benchmark.video_scorer import ScoreSpec, VideoScorer
from mvt4g.commands.parsing.parser import OneLineParser, parse
from mvt4g.commands.resumable import locked
from mvt4g.metrics.pose_estimators.poses import PoseEstimator
from mvt4g.metrics.presets import Preset
from mvt4g.metrics.weights import MetricWeights
from mvt4g.ranges import Range, check_number
from mvt4g.types import InputError

_FILE_OPTIONS = ("poses", "geometry", "asked", "source_cameras")
FRAMES = Range(1, 2**20)
SCALE = Range(0, 1e6, above=True)
WORKERS = Range(0, 64)
_TOLD = 20
"""Videos without scores that are told of one by one."""


def main(argv: Sequence[str]) -> int:
    """Score videos.

    Args:
        argv: As after ``mvt4g benchmark score``.

    Returns:
        0, or 2 if a video is missing or was not scored.

    Raises:
        InputError: For a bad option, and where there is nothing to score.
    """
    parser = build_parser()
    settings, _ = parse(parser, argv)
    options = parser.instantiate(settings)
    if options.frames is not None:
        check_number("frames", options.frames, FRAMES)
    check_number("scale", options.scale, SCALE)
    check_number("workers", options.workers, WORKERS)
    root = Path(options.dir)
    out = Path(options.out)
    choice = LayoutChoice.parse(options.layout)
    files = {name: EstimatedFiles.parse(name, getattr(options, name)) for name in _FILE_OPTIONS}
    if files["poses"] is not None and options.pose_estimator is not None:
        raise InputError("poses, pose_estimator: got both, want one of them")
    if files["geometry"] is not None and options.tracks is not None:
        # Tracks are held against the cameras asked for, and a reconstruction tells those that the videos show.
        raise InputError("geometry, tracks: got both, want one of them")
    spec = ScoreSpec(
        preset=options.preset,
        weights=options.weights,
        poses=files["poses"],
        estimator=options.pose_estimator,
        geometry=files["geometry"],
        tracks=TrackFiles.parse(options.tracks),
        asked=AskedSpec(files["asked"], files["source_cameras"], options.scale),
        frames=options.frames,
    )
    only = [name for name in (options.methods or "").split(",") if name]
    sources = Sources.find(options.sources)
    methods = find_methods(root, choice, only)
    give_back_large_blocks()
    with locked(out, "benchmark score"):
        ahead = score_ahead(methods, sources, spec, out, options.workers)
        scorer = VideoScorer(spec, out)
        lines: list[str] = []
        found = {method.name: score_method(method, sources, scorer, lines.append) for method in methods}
        told = dict(scorer.settings)
        told["dir"] = str(root)
        told["sources"] = None if sources.place is None else str(sources.place)
        told["layout"] = options.layout
        _write(out, options.preset, told, found)
    _tell(lines, found, scorer.reused - ahead)
    sys.stdout.write(f"wrote {out / SCORES}, {out / VIDEOS}, {out / METHODS}\n")
    return 2 if any(scores.num_not_scored for scores in found.values()) else 0


def build_parser() -> OneLineParser:
    """Return the parser of the command line after ``mvt4g benchmark score``."""
    parser = OneLineParser(prog="mvt4g benchmark score", description="Score videos of many methods.")
    parser.add_argument("dir", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--layout", type=str, default=AUTO)
    parser.add_argument("--preset", type=Preset, default="mvtrack4gen")
    parser.add_argument("--sources", type=Path | None, default=None)
    parser.add_argument("--methods", type=str | None, default=None)
    parser.add_argument("--frames", type=int | None, default=None)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=0)
    for name in _FILE_OPTIONS:
        parser.add_argument(f"--{name}", type=str | None, default=None)
    parser.add_argument("--tracks", type=str | None, default=None)
    parser.add_argument("--pose_estimator", type=PoseEstimator | None, default=None)
    parser.add_class_arguments(MetricWeights, "weights")
    return parser


def _write(out: Path, preset: str, settings: dict[str, Any], found: dict[str, MethodScores]) -> None:
    """Write the three files, the rows of methods in the order of their names."""
    write_rows(out / VIDEOS, VIDEO_COLUMNS, [row for scores in found.values() for row in scores.videos])
    write_rows(out / SCORES, SCORE_COLUMNS, [row for scores in found.values() for row in scores.scores])
    write_methods(out / METHODS, preset, settings, {name: scores.facts for name, scores in found.items()})


def _tell(lines: Sequence[str], found: dict[str, MethodScores], reused: int) -> None:
    """Print what each method's videos were taken to be, and which are not scored."""
    for name, scores in found.items():
        facts = scores.facts
        counts = dict(facts["counts"])
        expected = counts.pop("expected")
        scored = counts.pop("scored", 0)
        others = "".join(f", {count} {status}" for status, count in counts.items())
        sys.stdout.write(f"{name}: {scored} of {expected} videos scored{others}\n")
        sys.stdout.write(f"  layout {facts['layout']}: {facts['program']}\n")
        for fact in ("convention", "scale", "frame_map", "crop"):
            sys.stdout.write(f"  {fact.replace('_', ' ')}: {facts[fact]}\n")
        rate = "the source's" if facts["fps"] is None else f"{facts['fps']:g} a second"
        sys.stdout.write(f"  fps of its files: {rate}; frames are aligned by number\n")
        for note in facts["notes"]:
            sys.stdout.write(f"  note: {note}\n")
    if reused:
        sys.stdout.write(f"{reused} videos were scored before, and are not scored again\n")
    for line in lines[:_TOLD]:
        sys.stderr.write(f"mvt4g: {line}\n")
    if len(lines) > _TOLD:
        sys.stderr.write(f"mvt4g: {len(lines) - _TOLD} more are in {VIDEOS}\n")
