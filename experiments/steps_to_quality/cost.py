"""What a training step and a validation cost: ``python -m experiments.steps_to_quality.cost [ARM ...]``, CPU seconds.

Fits of two lengths, in a temporary folder; the difference of their CPU time over that of their steps leaves out the
start. Run it in the checkout of the runs, whose cache it uses, one thread.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from experiments.runs import table
from experiments.steps_to_quality.go_on import ARMS
from mvt4g.sweeps.launch import arguments
from mvt4g.sweeps.sweep_file import Run, SweepFile

SHORT, LONG = 10, 50


def main(args: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("arms", nargs="*", default=["none", "corr", "prior", "prior_corr"])
    options = parser.parse_args(args)
    runs = {run.arm: run for run in SweepFile(ARMS).runs() if run.seed == 0}
    rows = {}
    for arm in options.arms:
        short, long = (cpu_seconds(runs[arm], steps) for steps in (SHORT, LONG))
        validated = cpu_seconds(runs[arm], SHORT, f"--trainer.val_check_interval={SHORT}")
        rows[arm] = [(long - short) / (LONG - SHORT), validated - short]
    print(table(["a step, CPU s", "a validation, CPU s"], rows))


def cpu_seconds(run: Run, steps: int, *flags: str) -> float:
    """Return the CPU time of a fit of an arm, without validation unless the flags ask for it."""
    validation = flags or ("--trainer.limit_val_batches=0",)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, *arguments(run, run.steps[0]), "--ckpt_path=null", "--run", str(Path(folder) / "run"),
            f"--trainer.max_steps={steps}", "--trainer.callbacks=[{class_path: mvt4g.callbacks.ema.EMA}]", *validation,
        ]  # fmt: skip
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
