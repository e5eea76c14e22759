"""What a training step costs: ``python -m experiments.lifting.cost [ARM ...]``, CPU seconds, one thread.

Fits of two lengths, as ``experiments.steps_to_quality.cost`` measures them; run it in the checkout of the runs.
"""

import argparse
from collections.abc import Sequence

from experiments.lifting.go_on import HERE
from experiments.runs import table
from experiments.steps_to_quality.cost import LONG, SHORT, cpu_seconds
from mvt4g.sweeps.sweep_file import SweepFile


def main(args: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("arms", nargs="*", default=["camera", "lifted5", "camera_both"])
    options = parser.parse_args(args)
    runs = {run.arm: run for run in SweepFile(HERE / "nano.yaml").runs() if run.seed == 0}
    rows = {}
    for arm in options.arms:
        seconds = cpu_seconds(runs[arm], LONG) - cpu_seconds(runs[arm], SHORT)
        rows[arm] = [seconds / (LONG - SHORT)]
    print(table(["a step, CPU s"], rows))


if __name__ == "__main__":
    main()
