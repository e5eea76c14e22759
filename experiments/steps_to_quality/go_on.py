"""Goes on with the runs of this experiment: ``python -m experiments.steps_to_quality.go_on``, from where they stand.

Runs come one by one, in the order in which they answer the question, at the lowest priority and in one thread. Finished
ones are skipped, one that was killed goes on from its last checkpoint (100 steps at most are lost). A run that fails is
told of and left for the next call. README.md beside this file says from which checkout to start it.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from experiments import sweep
from experiments.collect import curves
from experiments.launch import is_finished
from experiments.sweep_file import Run, SweepFile

HERE = Path(__file__).parent
ARMS, SCHEDULE = HERE / "nano.yaml", HERE / "schedule.yaml"
CANDIDATES = ("gone300", "gone600")
"""Ends of the names of the arms that let L_corr go, by when they do."""
LAST_VALIDATIONS = 5
"""Of a candidate, whose mean PSNR decides."""
NICENESS = 19


def main() -> int:
    """Carry out what is left; return how many runs failed."""
    os.nice(NICENESS)
    failed = 0
    for file, name in order():
        failed += sweep.main([str(file), "--only", name, "--threads", "1"]) != 0
    return failed


def order() -> Iterator[tuple[Path, str]]:
    """Yield (sweep file, run) in the order of their use; the schedule is chosen once its candidates have run."""
    yield ARMS, "none-0"
    for candidate in CANDIDATES:
        yield SCHEDULE, f"corr_{candidate}-3"
    gone = chosen_schedule()
    if gone is None:
        print("go_on: the schedule is open, since a candidate did not finish", file=sys.stderr)
        return
    for arm in (f"prior_corr_{gone}", f"corr_{gone}", "prior"):
        yield ARMS, f"{arm}-0"
    for seed in (1, 2):
        for arm in ("none", f"prior_corr_{gone}", f"corr_{gone}", "prior"):
            yield ARMS, f"{arm}-{seed}"
    for weight in ("track0.1", "track1"):
        yield SCHEDULE, f"{weight}-3"
    for seed in (0, 1, 2):
        for arm in ("prior_corr", "corr"):
            yield ARMS, f"{arm}-{seed}"


def chosen_schedule() -> str | None:
    """Return the candidate of the higher PSNR on the seed that is not scored, None while one of them is unfinished."""
    runs = {run.arm.removeprefix("corr_"): run for run in SweepFile(SCHEDULE).runs()}
    candidates = [runs[name] for name in CANDIDATES]
    if not all(map(is_finished, candidates)):
        return None
    return max(CANDIDATES, key=lambda name: late_psnr(runs[name]))


def late_psnr(run: Run) -> float:
    """Return the mean PSNR of a run's last validations."""
    late = curves(run)["val/psnr"][-LAST_VALIDATIONS:]
    return sum(value for _, value in late) / len(late)


if __name__ == "__main__":
    sys.exit(main())
