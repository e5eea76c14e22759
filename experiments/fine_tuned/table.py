"""What the gradients say: ``python -m experiments.fine_tuned.table [--picture FILE.png]``, from ``gradients.csv``.

A cosine is that of the expected gradients with its standard error, ``?`` where batches do not tell it to within
``RESOLVED``. The cosines of one batch, which are nearer to zero since batches are noisy, stand in the file alone.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.fine_tuned.gradients import ALL, AS_ADAMW, AS_IS, DIFF, LAYERS, SIGMAS, TABLE
from experiments.runs import table
from experiments.tables import Row, read_rows
from mvt4g.viz.charts import DotPanel, Figure, draw_dots, save_chart

QK = "qk1"
"""Queries and keys of the supervised block."""
RESOLVED = 0.3
"""Largest standard error of a cosine that is shown."""
CONTROL = "corr1_permuted"
DRAWN = (
    ("L_corr and L_diff, q and k", DIFF, "corr1", QK),
    ("permuted and L_diff, the same", DIFF, CONTROL, QK),
    ("L_corr and L_diff, all", DIFF, "corr1", ALL),
    ("L_corr and permuted, all", CONTROL, "corr1", ALL),
)
"""What the picture shows: label, both losses, group."""

Key = tuple[str, str, str, str, str, str]
"""State, noise level, metric, first loss, second loss, group."""


def main(args: Sequence[str] | None = None) -> None:
    """Print the tables, and draw the dots if a file is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(args)
    rows = keyed(read_rows(options.table))
    states = sorted({key[0] for key in rows}, key=step_of)
    for group in (QK, ALL):
        print(f"\nMean gradient over the noise levels, L_corr on block 1, {group}\n")
        print(over_training(rows, states, group))
    print(f"\nOver noise levels, L_corr on block 1, {QK}\n")
    print(table([str(sigma) for sigma in SIGMAS], {state: over_noise(rows, state) for state in states}))
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
    value = resolved(row)
    return "?" if math.isnan(value) else f"{value:+.2f} ± {float(row['error']):.2f}"


def resolved(row: Row) -> float:
    """Return the cosine of expected gradients, NaN where batches do not tell it."""
    return float(row["expected"]) if float(row["error"]) <= RESOLVED else math.nan


def over_training(rows: Mapping[Key, Row], states: Sequence[str], group: str) -> str:
    """Return a row a state: the loss, its cosine, those of the controls, and how large its gradient is."""
    columns = [
        "L_corr, nats", "L_corr and L_diff", "as AdamW steps", "permuted and L_diff", "labels alone and L_diff",
        "L_diff, two batches", "L_corr, two batches", "L_corr and permuted", "norm by L_diff's",
    ]  # fmt: skip
    cells = {}
    for state in states:
        row = rows[state, ALL, AS_IS, DIFF, "corr1", group]
        shared = rows[state, ALL, AS_IS, CONTROL, "corr1", group]
        cells[state] = [
            f"{float(row['nats']):.2f}",
            told(row),
            told(rows[state, ALL, AS_ADAMW, DIFF, "corr1", group]),
            told(rows[state, ALL, AS_IS, DIFF, CONTROL, group]),
            told(rows[state, ALL, AS_IS, DIFF, "corr1_matching", group]),
            f"{float(row['steady_first']):.2f}",
            f"{float(row['steady_second']):.2f}",
            f"{float(shared['expected']):.2f}",
            f"{float(row['ratio']):.0f}",
        ]
    return table(columns, cells)


def over_noise(rows: Mapping[Key, Row], state: str) -> list[str]:
    """Return the cosine of L_corr and L_diff at every noise level."""
    return [told(rows[state, str(sigma), AS_IS, DIFF, "corr1", QK]) for sigma in SIGMAS]


def by_block(rows: Mapping[Key, Row], states: Sequence[str]) -> str:
    """Return, for L_corr of every block, its nats, its cosine and its norm."""
    cells: dict[str, list[str]] = {}
    for state in states:
        cells[state] = []
        for layer in LAYERS:
            row = rows[state, ALL, AS_IS, DIFF, f"corr{layer}", ALL]
            cells[state].append(f"{float(row['nats']):.2f}; {told(row)}; {float(row['ratio']):.0f}")
    return table([f"block {layer}" for layer in LAYERS], cells)


def draw(rows: Mapping[Key, Row], states: Sequence[str]) -> Figure:
    """Return cosines of expected gradients, a row a training step and a dot a seed."""
    panels = []
    for label, first, second, group in DRAWN:
        values: dict[str, list[float]] = {}
        for state in states:
            value = resolved(rows[state, ALL, AS_IS, first, second, group])
            values.setdefault(f"step {step_of(state)[0]:,}", []).append(value)
        panels.append(DotPanel(label, values))
    return draw_dots(panels)


if __name__ == "__main__":
    main()
