"""Epipolar guidance over its strength: ``python -m experiments.guided_sampling.measure OUT``.

Every arm is a ``test`` of one trained model in ``OUT/<model>/<arm>``; one that is done is not done again. Clips and
noise are those of all arms, so that differences are taken clip by clip.
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from experiments import endings, runs
from mvt4g.metrics.functional.bootstrap import bootstrap_interval

HERE = Path(__file__).parent
WEIGHTS = HERE.parent / "steps_to_quality" / "weights"
MODEL = "--model.init_args."
PRIOR = """[{class_path: mvt4g.models.conditioning.plucker.PluckerConditioning},
    {class_path: mvt4g.models.conditioning.epipolar.EpipolarConditioning, init_args: {initial_gain: 3.0}}]"""
MODELS: dict[str, tuple[str, ...]] = {
    "none": (),
    "corr_gone300": (),
    "prior": (f"{MODEL}backbone.init_args.extra_conditioning={PRIOR}",),
}
"""What each of steps_to_quality's models of seed 0 needs beside ``nano.yaml``."""
OFF = "off"
STRENGTHS: dict[str, dict[str, Any]] = {
    "1": {"strength": 1.0},
    "2": {"strength": 2.0},
    "4": {"strength": 4.0},
}
FEW: dict[str, dict[str, Any]] = {
    "2, sigma over 0.6": {"strength": 2.0, "noise_levels": [0.6, 1.0]},
    "2, block 1": {"strength": 2.0, "blocks": [1]},
}
"""Tried on ``none`` alone."""
SCORES = {
    "PSNR, dB": ("psnr", 2),
    "warp error": ("warp_error", 4),
    "rotation error, degrees": ("camera/mvtrack4gen/rotation_error_deg", 2),
}
"""What the table calls each column of ``videos.csv``, and its digits."""

Values = dict[str, dict[str, float]]
"""By score, by clip."""


def arms(model: str) -> dict[str, dict[str, Any] | None]:
    """Return the arms of a model: the guidance of each, None = off."""
    chosen: dict[str, dict[str, Any] | None] = {OFF: None, **STRENGTHS}
    return {**chosen, **FEW} if model == "none" else chosen


def run_arm(out: Path, model: str, arm: str, guidance: Mapping[str, Any] | None, cache: Path) -> Values:
    """Test one arm, if it is not done, and return its clips' scores."""
    run = out / model / arm.replace(", ", "-").replace(" ", "_")
    weights = WEIGHTS / f"nano-{model}-0.safetensors"
    flags = [
        f"{MODEL}backbone.init_args.weights={weights}",
        f"--data.init_args.cache_dir={cache}",
        f"{MODEL}evaluation.guidance.epipolar={json.dumps(guidance)}",
        *MODELS[model],
    ]
    runs.test(str(HERE / "nano.yaml"), run, None, *flags)
    return read_scores(run)


def read_scores(run: Path) -> Values:
    """Return the scores of a test by clip; a clip without one is left out."""
    values: Values = {name: {} for name in SCORES}
    with (run / "test" / "videos.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, (column, _) in SCORES.items():
                if row[column]:
                    values[name][row["video"]] = float(row[column])
    return values


def cell(values: Mapping[str, float], base: Mapping[str, float], digits: int) -> str:
    """Return a mean, and the mean difference from the base over clips that both have, with its 95 % interval."""
    mean = sum(values.values()) / len(values)
    both = sorted(values.keys() & base.keys())
    differences = torch.tensor([values[clip] - base[clip] for clip in both])
    low, high = bootstrap_interval(differences)
    told = f"{mean:.{digits}f} ({len(values)})"
    if values == base:
        return told
    return f"{told}, {float(differences.mean()):+.{digits}f} [{float(low):+.{digits}f}, {float(high):+.{digits}f}]"


def measure(options: argparse.Namespace) -> None:
    """Run all arms and print the table."""
    print(f"| trained with | strength | {' | '.join(SCORES)} |")
    print("|---|---|" + "---:|" * len(SCORES))
    for model in options.models:
        base: Values | None = None
        for arm, guidance in arms(model).items():
            if options.arms is not None and arm not in options.arms:
                continue
            values = run_arm(options.out, model, arm, guidance, options.cache_dir)
            base = base or values
            cells = [cell(values[name], base[name], digits) for name, (_, digits) in SCORES.items()]
            print(f"| {model} | {arm} | {' | '.join(cells)} |", flush=True)


def main(args: Sequence[str] | None = None) -> int:
    """Measure, and end as ``mvt4g`` does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--arms", nargs="+", choices=arms("none"), help="by default all")
    parser.add_argument("--cache_dir", type=Path, default=Path("cache/clips"))
    options = parser.parse_args(args)
    return endings.told(lambda: measure(options))


if __name__ == "__main__":
    raise SystemExit(main())
