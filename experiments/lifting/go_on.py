"""Goes on with the runs of this experiment, from where they stand; ``go_on.sh`` starts it in the checkout of the runs.

Runs come one by one at a low priority and in one thread: the warp, then seed by seed the arms that train (each fitted
and scored), then the tuned arm on ``lifted5``. What is finished is skipped. A fit that was killed loses at most 200
steps, a scoring the rung that it was at. A run that fails is told of and left for the next call.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mvt4g.sweeps import sweep

HERE = Path(__file__).parent
ARMS = ("camera", "lifted5", "lifted0", "lifted20", "camera_both")
"""In the order in which they answer the question."""
TUNED_FROM = "lifted5"
SEEDS = (0, 1, 2)
FOLDER = Path("../lifting")
NICENESS = 10
INTERRUPTED = (130, 143)
"""Exit codes of a step that Ctrl-C or SIGTERM ended."""


def main(args: Sequence[str] | None = None) -> int:
    """Carry out what is left; return how many steps failed, or the exit code of an interruption, which ends it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    options = parser.parse_args(args)
    os.nice(NICENESS)
    failed = 0
    for step in steps(options.seeds):
        status = sweep.main(step) if step[0].endswith(".yaml") else program(step)
        if status in INTERRUPTED:
            return status
        failed += status != 0
    return failed


def steps(seeds: Sequence[int]) -> Iterator[list[str]]:
    """Yield what is to be done in order: arguments of the sweep, or a module of this folder and its arguments."""
    yield ["score", "warp", "--out", str(FOLDER / "warp")]
    for seed in seeds:
        for arm in ARMS:
            yield [str(HERE / "nano.yaml"), "--only", f"{arm}-{seed}", "--threads", "1"]
        yield ["tuned", str(FOLDER / "nano" / f"{TUNED_FROM}-{seed}")]


def program(step: Sequence[str]) -> int:
    """Run a module of this folder, and return its exit code."""
    module, *args = step
    return subprocess.run([sys.executable, "-m", f"experiments.lifting.{module}", *args], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
