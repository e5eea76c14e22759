"""Tracks of a supervised head against tracks read off attention without one, on several seeds.

``python -m experiments.tracking.run``: nano, from the bases of ``runs/bases``; it goes on where it was stopped.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from experiments import runs
from mvt4g.cli import main as mvt4g

FOLDER = Path("runs/tracking")
BASE = "runs/bases/nano-{seed}/checkpoints/step-00001200.ckpt"
FIT = ("configs/experiment/demo.yaml", "-c", "experiments/tracking/nano.yaml")
TEST = ("-c", "configs/experiment/tracking.yaml", "-c", "experiments/tracking/nano_tracker.yaml")
WITHOUT = ("--model.init_args.tracking_head=null", "--model.init_args.correspondence_loss=null")
ARMS: dict[str, tuple[str, ...]] = {
    "supervised": (),
    "unsupervised": (*WITHOUT, "--model.init_args.training.weight_track=0", "--model.init_args.training.weight_corr=0"),
}
TAPPED, LAYERS = 2, range(4)
KINDS = ("ref", "tgt", "cross", "ref_dynamic", "tgt_dynamic", "cross_dynamic")
Readings = dict[str, dict[str, float]]


def main() -> None:
    """Run what is missing and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args()
    found = {seed: run_seed(args.folder, seed) for seed in args.seeds}
    print(comparison(found))


def run_seed(folder: Path, seed: int) -> Readings:
    """Fit both arms of one seed, and read tracks off them in every way."""
    seeded = (f"--seed_everything={seed}", f"--model.init_args.training.seed={seed}")
    base = f"--model.init_args.backbone.init_args.weights={BASE.format(seed=seed)}"
    checkpoints = {
        arm: runs.fit(FIT[0], folder / f"{arm}-{seed}", *FIT[1:], *seeded, base, *flags) for arm, flags in ARMS.items()
    }
    read: Readings = {}
    for arm, checkpoint in checkpoints.items():
        head = arm == "supervised"
        ways = [("head", TAPPED)] if head else [("argmax", layer) for layer in LAYERS if layer != TAPPED]
        ways += [("argmax", TAPPED), ("soft_argmax", TAPPED)]
        for method, layer in ways:
            flags = [f"--model.init_args.tracker.method={method}", f"--model.init_args.tracker.layer={layer}"]
            run = folder / f"{arm}-{seed}" / "tracks" / f"{method}-{layer}"
            read[f"{arm} {method} {layer}"] = test(run, checkpoint, *flags, *(() if head else WITHOUT))
    return read


def test(run: Path, checkpoint: Path, *flags: str) -> dict[str, float]:
    """Return the scores of one way to read tracks; a test that is done is not done again."""
    if not (run / "test" / "metrics.json").exists():
        mvt4g(["test", *TEST, "--run", str(run), "--verbose=false", "--ckpt_path", str(checkpoint), *flags])
    return {key: float("nan") if value is None else value for key, value in runs.read_metrics(run).items()}


def comparison(found: dict[int, Readings]) -> str:
    """Return delta_avg in points of every way to read tracks, mean over seeds and the seeds' least and most."""
    rows: dict[str, Sequence[str]] = {}
    for way in next(iter(found.values())):
        values = {
            kind: [100 * read[way][f"test/tapvid/{kind}/delta_avg@0.10"] for read in found.values()] for kind in KINDS
        }
        rows[way] = [f"{statistics.fmean(each):.1f} ({min(each):.1f}-{max(each):.1f})" for each in values.values()]
    return runs.table(KINDS, rows)


if __name__ == "__main__":
    main()
