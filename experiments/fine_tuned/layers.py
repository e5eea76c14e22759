"""Does the probe predict the gain? ``python -m experiments.fine_tuned.layers [RUNS] [--picture FILE.png]``.

Of each base and block: how well the block's attention matches across views before fine-tuning, and what fine-tuning
with L_corr at 0.1 on it gains over ``rays`` of the same seed. With RUNS, the folder that holds the folders of
``steps_to_quality`` and ``fine_tuned``, ``layers.csv`` beside this file is made anew. Printed are Spearman's
correlations over the blocks of a base, their mean over the bases, and what the mean is by chance: blocks of each base
in any order, all orders alike.
"""

import argparse
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torchmetrics.functional import spearman_corrcoef

from experiments.steps_to_quality.table import LABELS
from experiments.tables import Row, read_rows, write_rows
from mvt4g.sweeps.results import read_curves
from mvt4g.viz.charts import CurvePanel, draw_curves, save_chart

HERE = Path(__file__).parent
TABLE = HERE / "layers.csv"
SEEDS, BLOCKS = (0, 1, 2), (0, 1, 2, 3)
SUPERVISED = {0: "corr0.1_block0", 1: "corr0.1", 2: "corr0.1_block2", 3: "corr0.1_block3"}
"""The arm that teaches a block."""
PROBES = {"left": "val/attention_pck/layer{block}/cross@0.50", "all": "val/attention_pck/layer{block}/cross_all@0.50"}
"""Attention PCK across views at sigma 0.5: of points that left their cell, and of all. The base's last validation."""
GAINS = {"psnr": +1, "warp_error": -1, "warp_error_dyn": -1, "rotation_deg": -1}
"""Scores after fine-tuning, and the sign that makes a gain of their difference."""
CENTRAL = 0.95
"""Share of the correlations by chance that the printed range holds."""


def main(args: Sequence[str] | None = None) -> None:
    """Make the table anew if runs are named, print the correlations, and draw the pairs if a file is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="?")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(args)
    if options.runs is not None:
        write_rows(TABLE, ["seed", "block", *PROBES, *GAINS], gather(options.runs))
    rows = read_rows(TABLE)
    print("\n".join(table(rows)))
    if options.picture is not None:
        panels = []
        for gain in GAINS:
            axes = "attention PCK of points that left", f"gain: {LABELS[gain]}"
            panels.append(CurvePanel(axes, pairs(rows, gain)))
        save_chart(draw_curves([panels[:2], panels[2:]]), options.picture)


def gather(runs: Path) -> list[Row]:
    """Return a row for each base and block: the probe's scores, and the gains over ``rays``."""
    rows = []
    for seed in SEEDS:
        base = read_curves(runs / "nano" / f"none-{seed}")
        control = scores(runs / "fine_tuned" / f"rays-{seed}")
        for block in BLOCKS:
            supervised = scores(runs / "fine_tuned" / f"{SUPERVISED[block]}-{seed}")
            row = {"seed": str(seed), "block": str(block)}
            for probe, tag in PROBES.items():
                row[probe] = f"{base[tag.format(block=block)][-1][1]:.4f}"
            for name, sign in GAINS.items():
                row[name] = f"{sign * (supervised[name] - control[name]):.5f}"
            rows.append(row)
    return rows


def scores(run: Path) -> Mapping[str, float]:
    """Return the scores of a run at its end."""
    curves = read_curves(run)
    test = json.loads((run / "score" / "test" / "metrics.json").read_text(encoding="utf-8"))
    found = {name: curves[f"val/{name}"][-1][1] for name in ("psnr", "warp_error", "warp_error_dyn")}
    return {**found, "rotation_deg": test["test/camera/mvtrack4gen/rotation_error_deg"]}


def pairs(rows: Sequence[Row], gain: str) -> dict[str, list[list[tuple[float, float]]]]:
    """Return (probe's score, gain) of the blocks of every base, in the order of the probe's scores."""
    found = {}
    for seed in SEEDS:
        of_base = [(float(row["left"]), float(row[gain])) for row in rows if row["seed"] == str(seed)]
        found[f"seed {seed}"] = [sorted(of_base)]
    return found


def table(rows: Sequence[Row]) -> list[str]:
    """Return a Markdown table: a probe's score and a gain a row, their correlation by base and in the mean."""
    low, high = by_chance(len(BLOCKS), len(SEEDS))
    head = ["probe", "gain", *(f"seed {seed}" for seed in SEEDS), "mean", f"{CENTRAL:.0%} by chance"]
    lines = [f"| {' | '.join(head)} |", "|---|---|" + "---:|" * (len(SEEDS) + 2)]
    for probe, gain in itertools.product(PROBES, GAINS):
        found = []
        for seed in SEEDS:
            of_base = [row for row in rows if row["seed"] == str(seed)]
            found.append(rank_correlation([float(r[probe]) for r in of_base], [float(r[gain]) for r in of_base]))
        cells = [f"{value:+.2f}" for value in [*found, statistics.fmean(found)]]
        lines.append(f"| {probe} | {LABELS[gain]} | {' | '.join(cells)} | {low:+.2f} to {high:+.2f} |")
    return lines


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's correlation of two scores of the same blocks."""
    return float(spearman_corrcoef(torch.tensor(first), torch.tensor(second)))


def by_chance(blocks: int, bases: int) -> tuple[float, float]:
    """Return the central range of the mean correlation over bases whose blocks come in any order."""
    places = [float(place) for place in range(blocks)]
    of_one = [rank_correlation(places, order) for order in itertools.permutations(places)]
    means = sorted(statistics.fmean(chosen) for chosen in itertools.product(of_one, repeat=bases))
    outside = int(len(means) * (1 - CENTRAL) / 2)
    return means[outside], means[-1 - outside]


if __name__ == "__main__":
    main()
