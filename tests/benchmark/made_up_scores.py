"""Folders as ``mvt4g benchmark score`` writes them, of made-up numbers."""

from collections.abc import Mapping
from pathlib import Path

from mvt4g.benchmark.score_files import (
    METHOD_FACTS,
    METHODS,
    SCORE_COLUMNS,
    SCORES,
    VIDEO_COLUMNS,
    VIDEOS,
    ScoreRow,
    VideoRow,
    write_methods,
    write_rows,
)

BETTER = {"met3r": "lower", "imaging_quality": "higher", "camera/mvtrack4gen/registered_fraction": ""}
LOWER = "camera/mvtrack4gen/"


def facts(**known: object) -> dict[str, object]:
    return {**dict.fromkeys(METHOD_FACTS), **known}


def write_out(
    out: Path,
    scores: Mapping[str, Mapping[str, Mapping[tuple[str, str], float | str]]],
    lost: tuple[VideoRow, ...] = (),
    seeds: tuple[str, ...] = ("",),
    notes: Mapping[tuple[str, str], str] | None = None,
) -> Path:
    """Write a folder; a text in the place of a value is the reason why there is none."""
    videos, table = [], []
    for method, by_metric in scores.items():
        cases = dict.fromkeys(case for values in by_metric.values() for case in values)
        for clip, camera in cases:
            videos += [
                VideoRow(
                    method, clip, camera, "", None, "scored", seed=seed, file=f"{method}/{clip}_{camera}{seed}.mp4"
                )
                for seed in seeds
            ]
        for metric, values in by_metric.items():
            better = BETTER.get(metric, "lower" if metric.startswith(LOWER) else "higher")
            table.append(ScoreRow(method, metric, None, None, None, 0, 0, better))
            for (clip, camera), value in values.items():
                for place, seed in enumerate(seeds):
                    if isinstance(value, str):
                        videos.append(VideoRow(method, clip, camera, metric, None, "no_value", value, seed))
                    else:
                        videos.append(VideoRow(method, clip, camera, metric, value + place, "scored", seed=seed))
        if not by_metric:
            table.append(ScoreRow(method, "", None, None, None, 0, 0, note="no video was found"))
    for (method, metric), note in (notes or {}).items():
        table.append(ScoreRow(method, metric, None, None, None, 0, len(videos), note=note))
    write_rows(out / VIDEOS, VIDEO_COLUMNS, [*videos, *lost])
    write_rows(out / SCORES, SCORE_COLUMNS, table)
    write_methods(out / METHODS, "mvtrack4gen", {}, {method: facts(layout="plain", notes=[]) for method in scores})
    return out
