"""The answer so far: ``python -m experiments.steps_to_quality.table [--picture FILE.png]``, from ``scores.csv``.

End quality is the mean of the last three validations of ``none`` of the same seed. An arm's steps to it are those of
the first crossing, linear between two validations, as a share of the length; never crossing counts as 1. Its CPU time
is the share of what ``none`` takes for all its steps, by the cost of a step that ``cost`` measured; validations apart.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.steps_to_quality.keep import HERE, TABLE
from experiments.tables import read_rows
from mvt4g.viz.charts import Curve, CurvePanel, Figure, draw_curves, save_chart

CONTROL, LENGTH = "none", 3000
END_VALIDATIONS = 3
SWEEP = "nano"
STEP_CPU_S = {"none": 0.232, "corr": 0.236, "prior": 0.266, "prior_corr": 0.277}
"""CPU seconds of a training step, from ``experiments.steps_to_quality.cost``."""
LET_GO_AT = {"_gone300": 900, "_gone600": 1200}
"""Steps from which on arms whose names end so compute L_corr no more."""
HIGHER = {"psnr": True, "warp_error": False, "warp_error_dyn": False, "loss": False}
"""Columns of the table, and whether a higher value is better."""
LABELS = {
    "psnr": "PSNR, dB",
    "warp_error": "warp error",
    "warp_error_dyn": "warp error, dynamic",
    "loss": "validation loss",
    "rotation_deg": "rotation error, degrees",
}

Curves = Mapping[str, Mapping[int, Curve]]
"""Of one column, by arm and seed."""


def main(args: Sequence[str] | None = None) -> None:
    """Print the tables, and draw the curves if a file is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scores", type=Path, default=HERE / TABLE)
    parser.add_argument("--sweep", default=SWEEP)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(args)
    by_column = {column: read_curves(options.scores, options.sweep, column) for column in [*HIGHER, "rotation_deg"]}
    for column, higher in HIGHER.items():
        print(f"\n{column}\n")
        print("\n".join(table(by_column[column], higher)))
    if options.picture is not None:
        save_chart(draw(by_column), options.picture)


def read_curves(path: Path, sweep: str, column: str) -> Curves:
    """Return a column of the table as curves of (step, value)."""
    found: dict[str, dict[int, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in read_rows(path):
        of_sweep, _, run = row["run"].partition("/")
        if of_sweep == sweep and row[column]:
            arm, _, seed = run.rpartition("-")
            found[arm][int(seed)].append((int(row["step"]), float(row[column])))
    return found


def end_quality(curve: Curve) -> float | None:
    """Return the mean of the last validations of a run, None of one that is not at its end."""
    if not curve or curve[-1][0] < LENGTH:
        return None
    return statistics.fmean(value for _, value in curve[-END_VALIDATIONS:])


def steps_to(curve: Curve, quality: float, higher: bool) -> float | None:
    """Return the step at which a curve first has a quality, linear between validations; None if it never has."""
    sign = 1 if higher else -1
    before: tuple[float, float] | None = None
    for step, value in curve:
        if sign * (value - quality) >= 0:
            if before is None:
                return float(step)
            share = (quality - before[1]) / (value - before[1])
            return before[0] + share * (step - before[0])
        before = step, value
    return None


def share_of_length(steps: float | None) -> float:
    """Return steps as a share of a run's length; None, for never, is the whole."""
    return 1.0 if steps is None else min(steps / LENGTH, 1.0)


def cpu_share(arm: str, steps: float) -> float:
    """Return the CPU time of an arm's steps as a share of that of the control's whole length."""
    ending = next((ending for ending in LET_GO_AT if arm.endswith(ending)), None)
    with_loss = steps if ending is None else min(steps, LET_GO_AT[ending])
    supervised = arm if ending is None else arm.removesuffix(ending)
    alone = {"corr": "none", "prior_corr": "prior"}.get(supervised, supervised)
    seconds = with_loss * STEP_CPU_S[supervised] + (steps - with_loss) * STEP_CPU_S[alone]
    return seconds / (LENGTH * STEP_CPU_S[CONTROL])


def table(curves: Curves, higher: bool) -> list[str]:
    """Return a Markdown table: an arm a row, its end and its share of the steps by seed."""
    ends = {seed: end for seed, curve in curves[CONTROL].items() if (end := end_quality(curve)) is not None}
    head = [
        "arm",
        *(f"end, seed {seed}" for seed in ends),
        *(f"steps, seed {seed}" for seed in ends),
        "steps, mean",
        "CPU time, mean",
    ]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for arm, by_seed in curves.items():
        cells, shares = [], []
        for seed in ends:
            end = end_quality(by_seed.get(seed, []))
            cells.append("" if end is None else f"{end:.4g}")
        for seed, end in ends.items():
            curve = by_seed.get(seed, [])
            reached = steps_to(curve, end, higher)
            finished = end_quality(curve) is not None
            share = None if reached is None and not finished else share_of_length(reached)
            shares.append(share)
            cells.append("" if share is None else f"{share:.2f}")
        known = [share for share in shares if share is not None]
        whole = bool(known) and len(known) == len(ends)
        cells.append(f"{statistics.fmean(known):.2f}" if whole else "")
        cells.append(f"{statistics.fmean(cpu_share(arm, share * LENGTH) for share in known):.2f}" if whole else "")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def draw(by_column: Mapping[str, Curves]) -> Figure:
    """Return the curves of every column, two side by side; an arm's band is over its seeds."""
    panels = []
    for column, curves in by_column.items():
        runs = {arm: list(by_seed.values()) for arm, by_seed in curves.items()}
        panels.append(CurvePanel(("training step", LABELS[column]), runs))
    return draw_curves([panels[start : start + 2] for start in range(0, len(panels), 2)])


if __name__ == "__main__":
    main()
