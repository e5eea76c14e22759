"""Rotation error of a run's kept checkpoints: ``python -m experiments.steps_to_quality.turns RUN``.

The steps file of a sweep names it after ``fit``. Each checkpoint in ``RUN/kept`` gets a test in ``RUN/turn-STEP``; one
that is done is not done again. Generated views are blurred, so the estimator asks for less than its defaults, as in the
other experiments; videos without a pose are left out of the mean and counted.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NUM_CLIPS = 64
"""Test clips: three frames of each are aligned."""
EVALUATION = "--model.init_args.evaluation."
POSES = """{class_path: mvt4g.metrics.pose_estimators.photometric.PhotometricAlignment, init_args: {
    min_detail_correlation: 0.1, max_rotation_deviation_deg: 2.0, max_position_deviation: 0.2}}"""


def main(args: Sequence[str] | None = None) -> int:
    """Test every kept checkpoint."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    run = parser.parse_args(args).run
    for checkpoint in sorted((run / "kept").glob("*.ckpt"), key=step_of):
        folder = run / f"turn-{step_of(checkpoint):05d}"
        if not (folder / "test" / "metrics.json").exists():
            command = [
                sys.executable, "-m", "mvt4g", "test", "-c", str(run / "config.yaml"), "--run", str(folder),
                "--ckpt_path", str(checkpoint), "--verbose", "false", f"--data.init_args.num_test={NUM_CLIPS}",
                f"{EVALUATION}videos.poses={POSES}", f"{EVALUATION}videos.on_pose_failure=skip",
            ]  # fmt: skip
            if status := subprocess.run(command, check=False).returncode:
                return status
    return 0


def step_of(checkpoint: Path) -> int:
    """Return the optimizer step that a checkpoint's name ends on."""
    found = re.search(r"step=(\d+)\.ckpt$", checkpoint.name)
    assert found is not None, "ModelCheckpoint names its files so"
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main())
