"""The screening so far: ``python -m experiments.recipe.table [RUNS] [--picture FILE.png]``.

With RUNS, the folder of the run folders, ``scores.csv`` beside this file is brought up to date first: a row a run and
validation, to be committed; a run whose folder is gone keeps its rows. Scores are those of the last step. An arm is
held against the one that it changes one thing of: ``corr_*`` against ``corr``, ``prior_*`` against ``prior``; these two
and ``prior_corr`` against ``none``.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.steps_to_quality.keep import COLUMNS, run_rows
from experiments.steps_to_quality.table import Curves, read_curves
from experiments.tables import read_rows, write_rows
from mvt4g.sweeps.sweep_file import SweepFile
from mvt4g.viz.charts import DotPanel, draw_dots, save_chart

HERE = Path(__file__).parent
TABLE, SWEEP_FILE = HERE / "scores.csv", HERE / "nano.yaml"
SWEEP, CONTROL = "recipe", "none"
CHANGED = ("corr", "prior")
"""Arms that others change one thing of."""
PLAIN = (*CHANGED, "prior_corr", CONTROL)
LABELS = {
    "psnr": "PSNR, dB",
    "warp_error": "warp error",
    "warp_error_dyn": "warp error, dynamic",
    "loss": "validation loss, sigma 0.5",
}
"""Columns of the table that are shown, in this order."""
DIGITS = {"psnr": 2, "warp_error": 4, "warp_error_dyn": 4, "loss": 3}


def main(args: Sequence[str] | None = None) -> None:
    """Bring the scores up to date, print the table, and draw it if a file is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="?")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(args)
    if options.runs is not None:
        keep(options.runs)
    by_column = {column: read_curves(TABLE, SWEEP, column) for column in LABELS}
    print("\n".join(table(by_column)))
    if options.picture is not None:
        panels = []
        for column, curves in by_column.items():
            values = {arm: list(by_seed.values()) for arm, by_seed in ends(curves).items()}
            panels.append(DotPanel(LABELS[column], values))
        save_chart(draw_dots(panels), options.picture)


def keep(runs: Path) -> None:
    """Replace the rows of all runs whose folders are there."""
    rows = {(row["run"], int(row["step"])): row for row in read_rows(TABLE)}
    for record in runs.glob("*/run.yaml"):
        for row in run_rows(record.parent):
            rows[row["run"], int(row["step"])] = row
    write_rows(TABLE, ["run", "step", *COLUMNS], [rows[key] for key in sorted(rows)])


def control_of(arm: str) -> str:
    """Return the arm that another is held against."""
    if arm in PLAIN:
        return CONTROL
    return arm.partition("_")[0]


def ends(curves: Curves) -> dict[str, dict[int, float]]:
    """Return the last value of every finished run by arm, in the order of the sweep file, and seed."""
    last = max((curve[-1][0] for by_seed in curves.values() for curve in by_seed.values()), default=0)
    found: dict[str, dict[int, float]] = {}
    for arm in SweepFile(SWEEP_FILE).variants:
        by_seed = curves.get(arm, {})
        finished = {seed: curve[-1][1] for seed, curve in by_seed.items() if curve[-1][0] == last}
        if finished:
            found[arm] = finished
    return found


def table(by_column: Mapping[str, Curves]) -> list[str]:
    """Return a Markdown table: an arm a row, each score and its difference to the arm's control, seed by seed."""
    lines = [f"| arm | against | {' | '.join(LABELS.values())} |", "|---|---|" + "---:|" * len(LABELS)]
    values = {column: ends(curves) for column, curves in by_column.items()}
    for arm in values["psnr"]:
        control = control_of(arm)
        cells = []
        for column, by_arm in values.items():
            own, digits = by_arm[arm], DIGITS[column]
            cell = f"{statistics.fmean(own.values()):.{digits}f}"
            pairs = own.keys() & by_arm.get(control, {}).keys()
            if arm != control and pairs:
                cell += f" ({statistics.fmean(own[seed] - by_arm[control][seed] for seed in pairs):+.{digits}f})"
            cells.append(cell)
        against = "" if arm == control else f"`{control}`"
        lines.append(f"| `{arm}` | {against} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
