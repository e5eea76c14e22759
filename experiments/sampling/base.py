"""Whether the default sampler holds on the base that the package ships, on held-out clips of worlds it was trained on.

    python -m experiments.sampling.base [--clips 3] [--seeds 3] [--report]

``base.csv`` has a row for every clip, seed of noise and setting; what is there is not made again. The tables hold
samplers against each other clip by clip, each clip's difference being the mean over its seeds.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.sampling.run import SHIPPED, TRAINED_SHIFT, Bench, Setting, load, psnr_of_clips, sharpness
from experiments.tables import Row, read_rows, write_rows
from mvt4g.data.kubric import SyntheticClips
from mvt4g.metrics.functional.bootstrap import bootstrap_interval
from mvt4g.synthetic.recipes import RECIPES
from mvt4g.types import REFERENCE, TARGET, MultiViewClip

SCORES = Path(__file__).parent / "base.csv"
WORLDS = ("parallax", "tiny")
"""Three of five shares of the base's mixture, at the size and length that it was trained at."""
SHIFTS = (TRAINED_SHIFT, 1.0, 5.0)
EVALUATIONS = (4, 8, 16)
COLUMNS = (
    "clip", "seed", "sampler", "evaluations", "shift", "to_converged_db", "to_truth_db", "sharpness",
)  # fmt: skip
PAIRS = (("adams", 4, "euler", 8), ("adams", 8, "euler", 16), ("adams", 8, "heun", 8), ("adams", 8, "euler", 8))
"""What is held against what: sampler and evaluations of each."""


def settings() -> Iterator[tuple[int, Setting]]:
    """Yield every way to sample, with its evaluations; Heun's method at the trained noise levels alone."""
    for shift in SHIFTS:
        for count in EVALUATIONS:
            for sampler in ("euler", "adams"):
                yield count, Setting(sampler, count, shift)
            if shift == TRAINED_SHIFT:
                # Two evaluations a step and one in the last: one more than the number here.
                yield count, Setting("heun", count // 2 + 1, shift)


def held_out(clips: int) -> list[MultiViewClip]:
    """Return that many clips of each world."""
    found = []
    for world in WORLDS:
        source = SyntheticClips(RECIPES[world](), "val", clips, seed=0)
        for number in range(clips):
            found.append(source.clip(number).select_views((REFERENCE, TARGET)))
    return found


def make_rows(clips: int, seeds: int) -> None:
    """Make the rows that are missing, and write the table after every setting."""
    rows = read_rows(SCORES)
    done = {(row["seed"], row["sampler"], row["evaluations"], row["shift"]) for row in rows}
    videos = held_out(clips)
    for seed in range(seeds):
        bench = None
        for count, setting in settings():
            if (str(seed), setting.sampler, str(count), str(setting.shift)) in done:
                continue
            bench = bench or Bench(load(SHIPPED), videos, seed)
            rows.extend(scored(bench, setting, count, seed))
            write_rows(SCORES, COLUMNS, rows)


def scored(bench: Bench, setting: Setting, count: int, seed: int) -> Iterator[Row]:
    """Sample, and yield a row for every clip."""
    video = bench.sample(setting)
    near = psnr_of_clips(video, bench.converged)
    true = psnr_of_clips(video, bench.truth)
    for number, (made, truth) in enumerate(zip(video.split(1), bench.truth.split(1), strict=True)):
        yield {
            "clip": str(number),
            "seed": str(seed),
            "sampler": setting.sampler,
            "evaluations": str(count),
            "shift": str(setting.shift),
            "to_converged_db": f"{float(near[number]):.4f}",
            "to_truth_db": f"{float(true[number]):.4f}",
            "sharpness": f"{sharpness(made) / sharpness(truth):.4f}",
        }


def of_setting(rows: Sequence[Row], sampler: str, count: int, shift: float) -> list[Row]:
    """Return the rows of one way to sample, by clip and then by seed."""
    wanted = (sampler, str(count), str(shift))
    found = [row for row in rows if (row["sampler"], row["evaluations"], row["shift"]) == wanted]
    return sorted(found, key=lambda row: (int(row["clip"]), int(row["seed"])))


def nearness(rows: Sequence[Row], sampler: str, count: int, shift: float) -> Float[Tensor, "clips seeds"]:
    """Return how near a way to sample comes to the converged sample, dB."""
    same = of_setting(rows, sampler, count, shift)
    clips = len({row["clip"] for row in same})
    return torch.tensor([float(row["to_converged_db"]) for row in same]).unflatten(0, (clips, -1))


def print_settings(rows: Sequence[Row]) -> None:
    """Print every way to sample, means over clips and seeds."""
    print("| sampler | shift | evaluations | to converged, dB | to truth, dB | sharpness |")
    print("|---|---:|---:|---:|---:|---:|")
    for count, setting in settings():
        same = of_setting(rows, setting.sampler, count, setting.shift)
        near, true, detail = (statistics.fmean(float(row[name]) for row in same) for name in COLUMNS[-3:])
        print(f"| {setting.sampler} | {setting.shift:g} | {count} | {near:.1f} | {true:.2f} | {detail:.2f} |")


def print_pairs(rows: Sequence[Row]) -> None:
    """Print how much nearer one way comes than another, on the same clips and the same noise."""
    print("\n| shift | what | nearer by, dB | 95 % interval over clips | seed by seed |\n|---:|---|---:|---|---|")
    for shift in SHIFTS:
        for sampler, count, other, other_count in PAIRS:
            if other == "heun" and shift != TRAINED_SHIFT:
                continue
            gain = nearness(rows, sampler, count, shift) - nearness(rows, other, other_count, shift)
            low, high = bootstrap_interval(gain.mean(dim=1))
            seeds = ", ".join(f"{value:+.2f}" for value in gain.mean(dim=0).tolist())
            what = f"{shift:g} | {sampler} at {count} against {other} at {other_count}"
            print(f"| {what} | {float(gain.mean()):+.2f} | {float(low):+.2f} to {float(high):+.2f} | {seeds} |")


def main() -> None:
    """Make the rows, unless the tables alone are asked for, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=3, help="of each world")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="tables of the rows that are there")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if not args.report:
        make_rows(args.clips, args.seeds)
    rows = read_rows(SCORES)
    print_settings(rows)
    print_pairs(rows)


if __name__ == "__main__":
    main()
