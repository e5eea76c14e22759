"""What the samples say: ``python -m experiments.geometry_score.table [CSV]``; README.md beside this file explains.

Two tables: how scores without truth go with the true warp error, and what a choice among four seeds by them brings.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional import spearman_corrcoef

from experiments.geometry_score.samples import DRAFTS, SCORES, STEPS, TABLE
from experiments.tables import read_rows

GROUP = 4
"""Seeds that one is chosen of."""
TRUTH = "warp_error"
Scores = dict[str, Float[Tensor, "clips seeds"]]


def main(args: Sequence[str] | None = None) -> None:
    """Print both tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", nargs="?", type=Path, default=TABLE)
    checkpoints = by_checkpoint(read_rows(parser.parse_args(args).table))
    names = list(SCORES)
    print_table("checkpoint", ["samples", "warp error", "spread of seeds", *correlation_titles(names)], checkpoints,
                lambda scores: correlation_row(scores, names))  # fmt: skip
    drafts = [f"{score}_draft{steps}" for steps in DRAFTS for score in SCORES]
    titles = ["gain of the oracle, %", *(f"{name}, {forwards(name)} forwards" for name in (*names, *drafts))]
    titles.append(f"PSNR gained by {drafts[-1]}, dB")
    print_table("share of the oracle's gain", titles, checkpoints, lambda scores: choice_row(scores, (*names, *drafts)))


def by_checkpoint(rows: Sequence[Mapping[str, str]]) -> dict[str, Scores]:
    """Return every column as a table of clips and seeds, by checkpoint."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row in rows:
        columns = found.setdefault(row["checkpoint"], {})
        for name, value in row.items():
            if name not in ("checkpoint", "clip", "seed"):
                columns.setdefault(name, {}).setdefault(row["clip"], []).append(float(value))
    tables = {}
    for checkpoint, columns in found.items():
        tables[checkpoint] = {name: torch.tensor([*clips.values()]) for name, clips in columns.items()}
    return tables


def correlation_titles(names: Sequence[str]) -> list[str]:
    """Return the titles of two columns for each score."""
    titles = []
    for name in names:
        titles += [f"{name}: all samples", f"{name}: seeds of a clip"]
    return titles


def correlation_row(scores: Scores, names: Sequence[str]) -> list[float]:
    """Return counts, spread and Spearman's correlations with the true warp error of one checkpoint."""
    truth = scores[TRUTH]
    row = [float(truth.numel()), float(truth.mean()), float(truth.std(dim=1).mean())]
    for name in names:
        row.append(float(spearman_corrcoef(scores[name].flatten(), truth.flatten())))
        row.append(float(spearman_corrcoef(scores[name].T, truth.T).mean()))
    return row


def choice_row(scores: Scores, names: Sequence[str]) -> list[float]:
    """Return the oracle's gain as a share of the mean error, and what part of it each choice captures.

    Seeds are taken in groups; the gain of a choice is the group's mean error less that of the chosen seed, and a share
    is the sum of gains over all groups through that of the oracle, which takes the least error.
    """
    truth = scores[TRUTH].unflatten(1, (-1, GROUP))
    mean = truth.mean(dim=2)
    oracle = (mean - truth.amin(dim=2)).sum()
    row = [100 * float(oracle / mean.sum())]
    for name in names:
        chosen = scores[name].unflatten(1, (-1, GROUP)).argmin(dim=2, keepdim=True)
        gain = (mean - truth.gather(2, chosen)[..., 0]).sum()
        row.append(float(gain / oracle))
    # Of the last one, in dB too.
    psnr = scores["psnr"].unflatten(1, (-1, GROUP))
    row.append(float((psnr.gather(2, chosen)[..., 0] - psnr.mean(dim=2)).mean()))
    return row


def forwards(name: str) -> int:
    """Return how many forwards a choice of ``GROUP`` seeds costs: drafts and one video, or all videos."""
    _, is_draft, steps = name.partition("_draft")
    return GROUP * int(steps) + STEPS if is_draft else GROUP * STEPS


def print_table(
    first: str,
    titles: Sequence[str],
    checkpoints: Mapping[str, Scores],
    row_of: Callable[[Scores], list[float]],
) -> None:
    """Print a row a checkpoint, and their mean."""
    rows = {name: row_of(scores) for name, scores in checkpoints.items()}
    rows["mean"] = torch.tensor([*rows.values()]).mean(dim=0).tolist()
    print(f"\n| {first} | {' | '.join(titles)} |\n|---|{'---:|' * len(titles)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(f'{value:.4g}' if value >= 10 else f'{value:.3f}' for value in row)} |")


if __name__ == "__main__":
    main()
