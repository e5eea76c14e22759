"""Goes on with the runs of this experiment, from where they stand; ``go_on.sh`` starts it in the checkout of the runs.

Runs come one by one, in the order in which they answer the question, at the lowest priority and in one thread. Finished
ones are skipped, one that was killed goes on from its last checkpoint (100 steps at most are lost). A run that fails is
told of and left for the next call. Started twice, it does two runs at a time. The sweep files are those beside this
one, the code is that of the checkout.
"""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

try:
    from mvt4g.sweeps import sweep
    from mvt4g.sweeps.launch import is_finished
    from mvt4g.sweeps.results import read_curves
    from mvt4g.sweeps.sweep_file import Run, SweepFile
except ModuleNotFoundError:  # the checkout of the runs, whose sweeps lie in its own ``experiments``
    from experiments.collect import curves
    from experiments.launch import is_finished  # type: ignore[no-redef]  # mypy reads both branches
    from experiments.sweep_file import Run, SweepFile  # type: ignore[no-redef]

    from experiments import sweep  # type: ignore[attr-defined, no-redef]
else:

    def curves(run: Run) -> dict[str, list[tuple[int, float]]]:
        """Return the scalars of a run's fit as (step, value), by tag."""
        return read_curves(run.folder)


HERE = Path(__file__).parent
ARMS, SCHEDULE = HERE / "nano.yaml", HERE / "schedule.yaml"
PYRAMID = HERE.parent / "tracking" / "pyramid_tiny.yaml"
PYRAMIDS = ("mvtap", "paper", "tiny")
CANDIDATES = ("gone300", "gone600")
"""Ends of the names of the arms that let a loss go, by when they do."""
TRACKS = ("track0.1", "track1")
"""Arms of L_track, by its weight."""
LAST_VALIDATIONS = 5
"""Of a candidate, whose mean PSNR decides."""
NICENESS = 19
INTERRUPTED = (130, 143)
"""Exit codes of a sweep that Ctrl-C or SIGTERM ended."""


def main(args: Sequence[str] | None = None) -> int:
    """Carry out what is left; return how many runs failed, or the exit code of an interruption, which ends it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="*", help="such as schedule/corr_gone300-3: these alone, in this order")
    options = parser.parse_args(args)
    os.nice(NICENESS)
    failed = 0
    for file, name in map(placed, options.runs) if options.runs else order():
        if is_at_work(file, name):
            continue
        status = sweep.main([str(file), "--only", name, "--threads", "1"])
        if status in INTERRUPTED:
            return status
        failed += status != 0
    return failed


def is_at_work(file: Path, name: str) -> bool:
    """Say whether another process is at work on a run: a second one of this program takes those that are free."""
    lock = next(run for run in SweepFile(file).runs() if run.name == name).folder / ".lock"
    if not lock.exists():
        return False
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def placed(run: str) -> tuple[Path, str]:
    """Return the sweep file and the name of a run called as in the table of scores."""
    sweep_name, _, name = run.partition("/")
    return {SweepFile(file).folder.name: file for file in (ARMS, SCHEDULE, PYRAMID)}[sweep_name], name


def order() -> Iterator[tuple[Path, str]]:
    """Yield (sweep file, run) in the order of their use; the schedule is chosen once its candidates have run."""
    yield from named(ARMS, ("none", "prior"), [0])
    yield from named(SCHEDULE, (f"corr_{candidate}" for candidate in CANDIDATES), [3])
    gone = chosen_schedule()
    if gone is None:
        print("go_on: the schedule is open, since a candidate did not finish", file=sys.stderr)
        return
    let_go = (f"prior_corr_{gone}", f"corr_{gone}")
    yield from named(ARMS, let_go, [0])
    yield from named(PYRAMID, PYRAMIDS, [0])
    yield from named(ARMS, ("none", "prior", *let_go), [1, 2])
    yield from named(SCHEDULE, TRACKS, [3])
    yield from named(ARMS, ("prior_corr", "corr"), [0, 1, 2])
    track = chosen(TRACKS)
    if track is None:
        print("go_on: the weight of L_track is open, since a candidate did not finish", file=sys.stderr)
    else:
        both = track.replace("track", "both")
        yield from named(ARMS, (f"{track}_{gone}", f"{both}_{gone}", track, both), [0, 1, 2])
    yield from named(PYRAMID, PYRAMIDS, [1])


def named(file: Path, arms: Iterable[str], seeds: Iterable[int]) -> Iterator[tuple[Path, str]]:
    """Yield (sweep file, run) of every arm and seed, seed by seed."""
    arms = list(arms)
    for seed in seeds:
        for arm in arms:
            yield file, f"{arm}-{seed}"


def chosen_schedule() -> str | None:
    """Return the candidate of the higher PSNR on the seed that is not scored, None while one of them is unfinished."""
    arm = chosen([f"corr_{candidate}" for candidate in CANDIDATES])
    return None if arm is None else arm.removeprefix("corr_")


def chosen(arms: Sequence[str]) -> str | None:
    """Return the arm of the highest PSNR on the seed that is not scored, None while one of them is unfinished."""
    runs = {run.arm: run for run in SweepFile(SCHEDULE).runs()}
    if not all(is_finished(runs[arm]) for arm in arms):
        return None
    return max(arms, key=lambda arm: late_psnr(runs[arm]))


def late_psnr(run: Run) -> float:
    """Return the mean PSNR of a run's last validations."""
    late = curves(run)["val/psnr"][-LAST_VALIDATIONS:]
    return sum(value for _, value in late) / len(late)


if __name__ == "__main__":
    sys.exit(main())
