"""The screening's best arm at full length: ``python -m experiments.recipe.confirm [RUNS] [--picture FILE.png]``.

With RUNS, the folder of the run folders, ``confirmed.csv`` beside this file is brought up to date first, to be
committed. The runs stand beside those of ``steps_to_quality`` on the same seeds, and are measured as those are: end
quality, and the share of ``none``'s steps at which an arm first has that of ``none``.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

from experiments.recipe.table import DIGITS, up_to_date
from experiments.steps_to_quality import keep as long_runs
from experiments.steps_to_quality.table import (
    CONTROL,
    HIGHER,
    LABELS,
    Curves,
    draw,
    end_quality,
    read_curves,
    share_of_length,
    steps_to,
)
from mvt4g.viz.charts import save_chart

TABLE = Path(__file__).parent / "confirmed.csv"
SWEEP = "confirm"
SHOWN = (CONTROL, "prior", "corr_gone300", "prior_corr_gone300")
"""Arms of ``steps_to_quality`` that stand beside ours."""
SHARES = ("psnr", "warp_error")
"""Columns of which the steps are shown too."""


def main(args: Sequence[str] | None = None) -> None:
    """Bring the scores up to date, print the table, and draw the curves if a file is named."""
    picture = up_to_date(TABLE, __doc__, args)
    by_column = {column: both(column) for column in DIGITS}
    print("\n".join(table(by_column)))
    if picture is not None:
        save_chart(draw(by_column), picture)


def both(column: str) -> Curves:
    """Return a column's curves: those that stand beside ours, then ours."""
    beside = read_curves(long_runs.HERE / long_runs.TABLE, "nano", column)
    return {arm: beside[arm] for arm in SHOWN} | dict(read_curves(TABLE, SWEEP, column))


def table(by_column: dict[str, Curves]) -> list[str]:
    """Return a Markdown table with an arm a row: means over the seeds that are finished, and steps seed by seed."""
    labels = []
    for column in DIGITS:
        labels.append(LABELS[column])
        if column in SHARES:
            labels.append("steps, seed by seed: mean")
    lines = [f"| arm | seeds | {' | '.join(labels)} |", "|---|" + "---:|" * (len(labels) + 1)]
    for arm, by_seed in by_column["psnr"].items():
        seeds = [seed for seed, curve in sorted(by_seed.items()) if end_quality(curve) is not None]
        if not seeds:
            continue
        cells = []
        for column, digits in DIGITS.items():
            cells.append(f"{statistics.fmean(ends(by_column[column], arm, seeds)):.{digits}f}")
            if column in SHARES:
                found = shares(by_column[column], arm, seeds, HIGHER[column])
                cells.append(f"{', '.join(f'{share:.2f}' for share in found)}: {statistics.fmean(found):.3f}")
        lines.append(f"| `{arm}` | {len(seeds)} | {' | '.join(cells)} |")
    return lines


def ends(curves: Curves, arm: str, seeds: Sequence[int]) -> list[float]:
    """Return an arm's end quality, seed by seed."""
    found = [end_quality(curves[arm][seed]) for seed in seeds]
    return [end for end in found if end is not None]


def shares(curves: Curves, arm: str, seeds: Sequence[int], higher: bool) -> list[float]:
    """Return the share of the control's steps at which an arm has the control's end of the same seed, 1 for never."""
    goals = zip(seeds, ends(curves, CONTROL, seeds), strict=True)
    return [share_of_length(steps_to(curves[arm][seed], end, higher)) for seed, end in goals]


if __name__ == "__main__":
    main()
