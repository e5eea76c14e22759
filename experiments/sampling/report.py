"""The tables and the picture of ``scores.csv``: ``python -m experiments.sampling.report [--picture sampling.png]``."""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from experiments.sampling.run import SAMPLERS, SCORES, TRAINED_SHIFT
from experiments.tables import Row, read_rows

MODELS = {"prior_corr_gone300": "nano, prior and early L_corr", "none": "nano, plain"}


def chosen(rows: Sequence[Row], **wanted: object) -> list[Row]:
    """Return the rows that have these values."""
    found = []
    for row in rows:
        if all(float(row[name]) == value if isinstance(value, float) else row[name] == str(value)
               for name, value in wanted.items()):  # fmt: skip
            found.append(row)
    return found


def mean(rows: Sequence[Row], name: str) -> float:
    """Return the mean of a column over seeds."""
    return statistics.fmean(float(row[name]) for row in rows)


def print_rows(rows: Sequence[Row], model: str) -> None:
    """Print a model's settings, means over seeds."""
    settings = dict.fromkeys((row["sampler"], row["steps"], row["shift"], row["first"], row["every"]) for row in rows)
    print(f"\n{MODELS.get(model, model)}, {len({row['seed'] for row in rows})} seeds\n")
    print(
        "| sampler | shift | blocks standing still | evaluations | cost | to converged, dB | to truth, dB | sharpness |"
    )
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    for sampler, steps, shift, first, every in settings:
        same = chosen(rows, sampler=sampler, steps=steps, shift=shift, first=first, every=every)
        still = f"from {first} on, all run in 1 of {every}" if first != "0" else ""
        figures = [mean(same, name) for name in ("evaluations", "cost", "to_converged_db", "to_truth_db", "sharpness")]
        shown = f"{figures[0]:.0f} | {figures[1]:g} | {figures[2]:.1f} | {figures[3]:.2f} | {figures[4]:.2f}"
        print(f"| {sampler} | {float(shift):g} | {still} | {shown} |")


def print_pairs(rows: Sequence[Row], model: str) -> None:
    """Print, seed by seed, how much nearer Adams' sample is than Euler's of twice the evaluations."""
    for shift in sorted({float(row["shift"]) for row in rows}):
        for count in (2, 4, 8, 16):
            differences = []
            for row in chosen(rows, sampler="adams", steps=count, shift=shift, first=0):
                twice = chosen(rows, sampler="euler", steps=2 * count, shift=shift, first=0, seed=row["seed"])
                if twice:
                    differences.append(float(row["to_converged_db"]) - float(twice[0]["to_converged_db"]))
            if differences:
                told = ", ".join(f"{difference:+.2f}" for difference in differences)
                print(f"| {MODELS.get(model, model)} | {shift:g} | {count} against {2 * count} | {told} |")


def draw(rows: Sequence[Row], place: Path) -> None:
    """Draw closeness and sharpness over cost, at the trained shift."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, (name, label) in zip(
        axes, (("to_converged_db", "PSNR to the converged sample, dB"), ("sharpness", "sharpness, truth = 1")),
        strict=True,
    ):  # fmt: skip
        for sampler in SAMPLERS:
            plain = chosen(rows, sampler=sampler, shift=TRAINED_SHIFT, first=0)
            counts = sorted({int(row["evaluations"]) for row in plain})
            values = [mean(chosen(plain, evaluations=count), name) for count in counts]
            panel.plot(counts, values, marker="o", label=sampler)
        reused = [row for row in rows if row["first"] != "0"]
        for sampler, marker in (("euler", "x"), ("adams", "+")):
            points = chosen(reused, sampler=sampler)
            panel.scatter(
                [float(row["cost"]) for row in points],
                [float(row[name]) for row in points],
                marker=marker, color="black", label=f"{sampler}, late blocks stand still",
            )  # fmt: skip
        panel.set_xscale("log", base=2)
        panel.set_xlabel("cost, evaluations of the whole network")
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    picture.savefig(place, dpi=110)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    rows = read_rows(SCORES)
    models = list(dict.fromkeys(row["model"] for row in rows))
    for model in models:
        print_rows(chosen(rows, model=model), model)
    print("\n| model | shift | evaluations, Adams against Euler | nearer by, dB, seed by seed |\n|---|---:|---|---|")
    for model in models:
        print_pairs(chosen(rows, model=model), model)
    if args.picture is not None:
        draw(chosen(rows, model=models[0]), args.picture)


if __name__ == "__main__":
    main()
