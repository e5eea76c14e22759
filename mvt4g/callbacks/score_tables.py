"""The scores of every video of a test, and their means with intervals, as files that a spreadsheet opens."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer

from mvt4g.callbacks.outcome import Outcome, remarked_family
from mvt4g.formats.atomic import appearing
from mvt4g.metrics.collection import ScoreTable


@runtime_checkable
class ScoresVideos(Protocol):
    """A system that scores videos in test."""

    def score_table(self) -> tuple[ScoreTable, dict[str, str]]:
        """Return the scores of every video of all ranks, and what is to be said of them, by the beginning of a key."""


class ScoreTables(Callback):
    """Writes ``<run>/test/videos.csv``, a row a video, and ``<run>/test/scores.csv``, a row a score, after test.

    ``scores.csv`` has the mean over videos, its 95 % bootstrap interval, how many videos have the score and how many do
    not, and what was not known of these; metrics of the protocol that did not run are there too, with what they need.
    ``videos.csv`` ends with a note on each video, such as why it has no cameras. A video that could not be read or
    scored at all is there too, with the reason, and counts as missing.

    Args:
        outcome: Knows which videos failed.
    """

    def __init__(self, outcome: Outcome | None = None) -> None:
        super().__init__()
        self.outcome = outcome

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the table from all ranks and write it."""
        if not isinstance(pl_module, ScoresVideos):
            return
        table, remarks = pl_module.score_table()
        if self.outcome is not None:
            table = table.with_failed(self.outcome.failed_everywhere(trainer))
            self.outcome.remarks = remarks
        if trainer.is_global_zero and table.names:
            folder = Path(trainer.default_root_dir) / "test"
            write_videos(folder / "videos.csv", table)
            write_scores(folder / "scores.csv", table, remarks)


def write_videos(path: Path, table: ScoreTable) -> None:
    """Write one row a video; an empty cell is a score that a video does not have."""
    columns = [map(cell, values.tolist()) for values in table.scores.values()]
    _write(path, ("video", *table.scores, "note"), zip(table.names, *columns, table.notes, strict=True))


def write_scores(path: Path, table: ScoreTable, remarks: dict[str, str]) -> None:
    """Write one row a score, then one for each metric that did not run.

    Args:
        remarks: On metrics, each beside all scores of its family.
    """
    rows: list[tuple[str | int, ...]] = []
    written: set[str] = set()
    for key, score in table.summary().items():
        family = remarked_family(key, remarks)
        numbers = (cell(score.mean), cell(score.low), cell(score.high), score.num_videos, score.num_missing)
        rows.append((key, *numbers, remarks.get(family, "")))
        written.add(family)
    for key, value in table.of_the_set.items():
        counted = 0 if math.isnan(value) else len(table.names)
        note = remarks.get(key, "of all videos together")
        rows.append((key, cell(value), "", "", counted, len(table.names) - counted, note))
        written.add(key)
    # A metric that did not run has no score of its own, and a row all the same.
    for name, text in remarks.items():
        if name not in written:
            rows.append((name, "", "", "", 0, len(table.names), text))
    _write(path, ("score", "mean", "low_95", "high_95", "videos", "missing", "note"), rows)


def cell(value: float) -> str:
    """Return a number as it is written, nothing for NaN."""
    return "" if math.isnan(value) else f"{value:.8g}"


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    with appearing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
