"""What the gradients say: ``python -m experiments.fine_tuned.table [--picture FILE.png]``, from ``gradients.csv``.

A cosine is that of the expected gradients with its standard error, where batches tell it to within ``RESOLVED``; in
brackets stands the 95 % interval of the mean cosine of one batch, which is nearer to zero since batches are noisy.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.fine_tuned.gradients import ALL, AS_ADAMW, AS_IS, DIFF, LAYERS, SIGMAS, TABLE
from experiments.runs import table
from experiments.tables import Row, read_rows
from mvt4g.viz.charts import Curve, CurvePanel, Figure, draw_curves, save_chart

QK = "qk1"
"""Queries and keys of the supervised block."""
RESOLVED = 0.3
"""Largest standard error of a cosine that is shown."""
CONTROL = "corr1_permuted"

Key = tuple[str, str, str, str, str, str]
"""State, noise level, metric, first loss, second loss, group."""


def main(args: Sequence[str] | None = None) -> None:
    """Print the tables, and draw the curves if a file is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(args)
    rows = keyed(read_rows(options.table))
    states = sorted({key[0] for key in rows}, key=step_of)
    for group in (QK, ALL):
        print(f"\nOver training, L_corr on block 1, {group}\n")
        print(over_training(rows, states, group))
    for second in ("corr1", "corr1_matching"):
        print(f"\nOver noise levels, {second}, {QK}\n")
        print(table([str(sigma) for sigma in SIGMAS], {state: over_noise(rows, state, second) for state in states}))
    print("\nBy block of L_corr, all parameters\n")
    print(by_block(rows, states))
    if options.picture is not None:
        save_chart(draw(rows, states), options.picture)


def keyed(rows: Sequence[Row]) -> dict[Key, Row]:
    """Return the rows by what they are of."""
    found = {}
    for row in rows:
        key = row["state"], row["sigma"], row["metric"], row["first"], row["second"], row["group"]
        found[key] = row
    return found


def step_of(state: str) -> tuple[int, str]:
    """Return the training step of a state and its run."""
    run, _, step = state.partition("@")
    return int(step), run


def told(row: Row) -> str:
    """Return a cosine as a table shows it."""
    interval = f"[{float(row['low']):+.2f}, {float(row['high']):+.2f}]"
    value = resolved(row)
    return f"? {interval}" if math.isnan(value) else f"{value:+.2f} ± {float(row['error']):.2f} {interval}"


def resolved(row: Row) -> float:
    """Return the cosine of expected gradients, NaN where batches do not tell it."""
    return float(row["expected"]) if float(row["error"]) <= RESOLVED else math.nan


def over_training(rows: Mapping[Key, Row], states: Sequence[str], group: str) -> str:
    """Return a row a state: the loss, its cosine, that of the controls, and how large its gradient is."""
    cells = {}
    for state in states:
        at = state, ALL, AS_IS
        row = rows[*at, DIFF, "corr1", group]
        control = rows[*at, DIFF, CONTROL, group]
        adamw = rows[state, ALL, AS_ADAMW, DIFF, "corr1", group]
        mean = rows[*at, DIFF, "corr1_mean", group]
        shared = rows[*at, CONTROL, "corr1", group]
        cells[state] = [
            f"{float(row['nats']):.2f}",
            told(row),
            told(adamw),
            told(control),
            told(mean),
            f"{float(row['steady_first']):.2f}",
            f"{float(row['steady_second']):.2f}",
            f"{float(row['ratio']):.3g}",
            f"{float(shared['expected']):.2f}",
        ]
    columns = [
        "nats", "cosine to L_diff", "as AdamW steps", "permuted labels", "heads' mean", "L_diff, two batches",
        "L_corr, two batches", "norm by L_diff's", "L_corr to permuted",
    ]  # fmt: skip
    return table(columns, cells)


def over_noise(rows: Mapping[Key, Row], state: str, second: str) -> list[str]:
    """Return the cosine of a loss to L_diff at every noise level."""
    return [told(rows[state, str(sigma), AS_IS, DIFF, second, QK]) for sigma in SIGMAS]


def by_block(rows: Mapping[Key, Row], states: Sequence[str]) -> str:
    """Return, for L_corr of every block, its nats, its cosine and its norm."""
    cells = {}
    for state in states:
        cells[state] = []
        for layer in LAYERS:
            row = rows[state, ALL, AS_IS, DIFF, f"corr{layer}", ALL]
            cells[state].append(f"{float(row['nats']):.2f}; {told(row)}; {float(row['ratio']):.3g}")
    return table([f"block {layer}" for layer in LAYERS], cells)


def draw(rows: Mapping[Key, Row], states: Sequence[str]) -> Figure:
    """Return the cosines over noise levels, a line a training step; its band is over seeds."""
    panels = []
    for group, title in ((QK, "queries and keys of block 1"), (ALL, "all parameters")):
        curves: dict[str, list[Curve]] = {}
        for state in states:
            curve = []
            for sigma in SIGMAS:
                row = rows[state, str(sigma), AS_IS, DIFF, "corr1", group]
                curve.append((sigma, float(row["cosine"])))
            curves.setdefault(f"step {step_of(state)[0]}", []).append(curve)
        panels.append(CurvePanel(("noise level sigma", "cosine of L_corr and L_diff"), curves, title))
    return draw_curves([panels])


if __name__ == "__main__":
    main()
