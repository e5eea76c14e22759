"""Keeps what the runs found: ``python -m experiments.lifting.keep RUNS`` writes ``scores.csv`` beside this file.

RUNS is the folder of the sweep and the warp (``../runs/lifting``). A row is an arm, a seed and a rung: the mean of each
score over the clips that have it, and how many clips there are. Test-time tuning is scored on the first clips alone, so
other arms have rows over those too, their names ending in ``_first``. Arms whose folder is gone keep their rows.
"""

import argparse
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.lifting.rungs import SCORES, written
from experiments.lifting.tuned import NUM_CLIPS
from experiments.tables import Row, read_rows, write_rows

HERE = Path(__file__).parent
TABLE = HERE / "scores.csv"
COLUMNS = ("arm", "seed", "rung", "clips", *SCORES)
TUNED = "tuned"
FIRST = "_first"


def main(args: Sequence[str] | None = None) -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, default=TABLE)
    options = parser.parse_args(args)
    rows = read_rows(options.out)
    for path in sorted([*options.runs.glob("nano/*/*.csv"), *options.runs.glob("warp/scores.csv")]):
        arm, _, seed = path.parent.name.partition("-")
        arm = TUNED if path.name == "tuned.csv" else arm
        of_clips = read_rows(path)
        found = mean_rows(of_clips, arm, seed)
        if arm != TUNED:
            found += mean_rows(first_clips(of_clips), arm + FIRST, seed)
        rows = [row for row in rows if (row["arm"], row["seed"]) not in {(arm, seed), (arm + FIRST, seed)}] + found
        print(f"{arm} {seed}: {len(of_clips)} clips and rungs")
    write_rows(options.out, COLUMNS, sorted(rows, key=lambda row: (row["arm"], row["seed"])))


def first_clips(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the first clips of each rung: those that tuning is scored on."""
    first = []
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["rung"]] += 1
        if counts[row["rung"]] <= NUM_CLIPS:
            first.append(row)
    return first


def mean_rows(rows: Sequence[Row], arm: str, seed: str) -> list[Row]:
    """Return a row a rung, in the order of the rungs."""
    by_rung: dict[str, list[Row]] = {}
    for row in rows:
        by_rung.setdefault(row["rung"], []).append(row)
    means = []
    for rung, of_rung in by_rung.items():
        mean = {"arm": arm, "seed": seed, "rung": rung, "clips": str(len(of_rung))}
        for score in SCORES:
            known = [float(row[score]) for row in of_rung if row[score]]
            mean[score] = written(statistics.fmean(known)) if known else ""
        means.append(mean)
    return means


if __name__ == "__main__":
    main()
