"""The screening so far: ``python -m experiments.recipe.table [RUNS] [--picture FILE.png]``.

With RUNS, the folder of the run folders, ``scores.csv`` beside this file is brought up to date first: a row a run and
validation, to be committed; a run whose folder is gone keeps its rows. Scores are those of the last step. Controls are
the runs of ``steps_to_quality`` at the same step, three seeds: they are of the same options. An arm is held against
the control that it changes one thing of: ``corr_*`` against ``corr``, ``prior_*`` against ``prior``; these two and
``prior_corr`` against ``none``.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.steps_to_quality import keep as long_runs
from experiments.steps_to_quality.keep import COLUMNS, update_runs
from experiments.steps_to_quality.table import LABELS, Curves, read_curves
from mvt4g.sweeps.sweep_file import SweepFile
from mvt4g.viz.charts import DotPanel, draw_dots, save_chart

HERE = Path(__file__).parent
TABLE, SWEEP_FILE = HERE / "scores.csv", HERE / "nano.yaml"
SWEEP, STEP = "recipe", 1500
CONTROLS = {"none": "none", "corr": "corr_gone300", "prior": "prior", "prior_corr": "prior_corr_gone300"}
"""Arms that are held against ``none``, and what ``steps_to_quality`` calls them."""
DIGITS = {"psnr": 2, "warp_error": 4, "warp_error_dyn": 4, "loss": 3}
"""Columns of the table that are shown, in this order, and their digits."""

Values = Mapping[str, Mapping[str, Sequence[float]]]
"""By column and arm, the runs' values."""


def main(args: Sequence[str] | None = None) -> None:
    """Bring the scores up to date, print the table, and draw it if a file is named."""
    picture = up_to_date(TABLE, __doc__, args)
    controls = {column: control_ends(column) for column in DIGITS}
    arms = {column: arm_ends(column) for column in DIGITS}
    print("\n".join(table(arms, controls)))
    if picture is not None:
        panels = []
        for column in DIGITS:
            rows = {f"{arm}, three seeds": values for arm, values in controls[column].items()} | arms[column]
            panels.append(DotPanel(LABELS[column], rows))
        save_chart(draw_dots(panels), picture)


def up_to_date(scores: Path, about: str | None, args: Sequence[str] | None) -> Path | None:
    """Read a command line; bring a table of scores up to date if it names the runs; return where a picture is to go."""
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="?")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(args)
    if options.runs is not None:
        folders = [record.parent for record in options.runs.glob("*/run.yaml")]
        update_runs(scores, folders, list(COLUMNS))
    picture: Path | None = options.picture
    return picture


def control_ends(column: str) -> dict[str, list[float]]:
    """Return what every control had at the screening's last step, a value a seed."""
    curves = read_curves(long_runs.HERE / long_runs.TABLE, "nano", column)
    return {arm: at_end(curves, name) for arm, name in CONTROLS.items()}


def arm_ends(column: str) -> dict[str, list[float]]:
    """Return the last value of every finished run by arm, in the order of the sweep file."""
    curves = read_curves(TABLE, SWEEP, column)
    found = {arm: at_end(curves, arm) for arm in SweepFile(SWEEP_FILE).variants}
    return {arm: values for arm, values in found.items() if values}


def at_end(curves: Curves, arm: str) -> list[float]:
    """Return an arm's values at the screening's last step, seed by seed."""
    by_step = [dict(curve) for _, curve in sorted(curves.get(arm, {}).items())]
    return [values[STEP] for values in by_step if STEP in values]


def control_of(arm: str) -> str:
    """Return the control that an arm is held against."""
    return "none" if arm in CONTROLS else arm.partition("_")[0]


def table(arms: Values, controls: Values) -> list[str]:
    """Return a Markdown table: controls with their standard deviation, then arms with the difference to theirs."""
    labels = [LABELS[column] for column in DIGITS]
    lines = [f"| arm | against | {' | '.join(labels)} |", "|---|---|" + "---:|" * len(labels)]
    for arm in CONTROLS:
        cells = []
        for column, by_arm in controls.items():
            values, digits = by_arm[arm], DIGITS[column]
            cells.append(f"{statistics.fmean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}")
        lines.append(f"| `{arm}`, {len(controls['psnr'][arm])} seeds | | {' | '.join(cells)} |")
    for arm in arms["psnr"]:
        control = control_of(arm)
        cells = []
        for column, by_arm in arms.items():
            own, digits = statistics.fmean(by_arm[arm]), DIGITS[column]
            change = own - statistics.fmean(controls[column][control])
            cells.append(f"{own:.{digits}f} ({change:+.{digits}f})")
        lines.append(f"| `{arm}` | `{control}` | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
