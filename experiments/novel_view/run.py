"""Half an hour of training on two cores, then the scores of its samples beside what needs no model.

``python -m experiments.novel_view.run``; it goes on where it was stopped.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import runs
from experiments.endings import told
from experiments.novel_view import baselines

CONFIG = "configs/experiment/demo.yaml"
FOLDER = Path("runs/novel_view")
LENGTH = ("--trainer.max_steps=1800", "--trainer.limit_val_batches=0", "--data.init_args.num_train=1536")


def main() -> None:
    """Fit, test with true and with permuted target cameras, and print one table."""
    checkpoint = runs.fit(CONFIG, FOLDER / "fit", *LENGTH)
    scores = {}
    for steps in (1, 2, 4, 8):
        flag = f"--model.init_args.evaluation.sample_steps={steps}"
        scores[f"samples, {steps} steps"] = runs.test(CONFIG, FOLDER / f"steps-{steps}", checkpoint, flag)
    permuted = "--model.init_args.evaluation.camera_shift=1"
    scores["samples, 4 steps, target cameras permuted among clips"] = runs.test(
        CONFIG, FOLDER / "permuted", checkpoint, permuted
    )
    rows: dict[str, Sequence[float | None]] = {**baselines.rows()}
    for name, metrics in scores.items():
        rows[name] = (metrics["test/psnr"], metrics["test/ssim"])
    print(f"\n32 held-out scenes, evaluation recipe {runs.recipe_hash(FOLDER / 'steps-4')} at 4 steps\n")
    print(runs.table(["PSNR, dB", "SSIM"], rows))


if __name__ == "__main__":
    sys.exit(told(main))
