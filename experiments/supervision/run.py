"""The demo's fit with L_track and L_corr and without them, same seed and steps, on several seeds.

``python -m experiments.supervision.run``: about 12 minutes a seed on two cores; it goes on where it was stopped.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from experiments import runs

CONFIG = "configs/experiment/demo.yaml"
FOLDER = Path("runs/supervision")
OFF = ("--model.init_args.training.weight_track=0", "--model.init_args.training.weight_corr=0")
ARMS: dict[str, tuple[str, ...]] = {"without": OFF, "with": ()}
TAPPED, UNTAPPED = 3, 4
ROWS = {
    f"attention PCK across views, tapped layer {TAPPED}": f"test/attention_pck/layer{TAPPED}/cross@0.50",
    "  the same over all terms": f"test/attention_pck/layer{TAPPED}/cross_all@0.50",
    "  the same-cell answer, over all terms": "test/attention_pck/same_cell/cross_all@0.50",
    f"attention PCK across views, untapped layer {UNTAPPED}": f"test/attention_pck/layer{UNTAPPED}/cross@0.50",
    f"attention PCK in time, reference, layer {TAPPED}": f"test/attention_pck/layer{TAPPED}/ref@0.50",
    f"attention PCK in time, target, layer {TAPPED}": f"test/attention_pck/layer{TAPPED}/tgt@0.50",
    "PSNR of the generated view, dB": "test/psnr",
    "SSIM of the generated view": "test/ssim",
    "error of generated frames warped by true geometry": "test/warp_error",
    "  the same of true frames": "test/warp_error_truth",
    "validation loss": "test/loss",
    "track PCK < 2 px across views": "test/track_pck_2px/cross@0.50",
}


def main() -> None:
    """Run what is missing and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("flags", nargs="*", help="further options of `mvt4g fit`, after --")
    args = parser.parse_args()
    found = {(seed, arm): run_arm(args.folder, seed, arm, args.flags) for seed in args.seeds for arm in ARMS}
    recipes = {runs.recipe_hash(args.folder / f"{arm}-{seed}") for seed, arm in found}
    print(f"\n32 held-out scenes, sigma 0.5, evaluation recipe {', '.join(sorted(recipes))}\n")
    print(comparison(found, args.seeds))


def run_arm(folder: Path, seed: int, arm: str, flags: Sequence[str]) -> runs.Metrics:
    """Fit and test one arm of one seed."""
    run = folder / f"{arm}-{seed}"
    seeded = (f"--seed_everything={seed}", f"--model.init_args.training.seed={seed}", *ARMS[arm], *flags)
    checkpoint = runs.fit(CONFIG, run, *seeded, "--trainer.limit_val_batches=0")
    return runs.test(CONFIG, run, checkpoint, *seeded)


def comparison(found: dict[tuple[int, str], runs.Metrics], seeds: Sequence[int]) -> str:
    """Return every figure with its seed, the mean of each arm, and their ratio and difference."""
    columns = [f"{arm}, seed {seed}" for seed in seeds for arm in ARMS]
    columns += [f"{arm}, mean" for arm in ARMS] + ["ratio of means", "mean difference"]
    rows = {}
    for name, key in ROWS.items():
        values = [found[seed, arm][key] for seed in seeds for arm in ARMS]
        means = [statistics.fmean(float(found[seed, arm][key] or 0) for seed in seeds) for arm in ARMS]
        ratio = means[1] / means[0] if means[0] else None
        rows[name] = [*values, *means, ratio, means[1] - means[0]]
    return runs.table(columns, rows)


if __name__ == "__main__":
    main()
