"""Runs every run of a sweep file: ``python -m mvt4g.sweeps.sweep FILE.yaml [--jobs 2]``.

Finished runs are skipped, killed ones resume, failures are listed with their log while the others go on. What the file
may say is told in ``mvt4g.sweeps.sweep_file``. Exit code 0: all finished; 2: some failed,
or bad input and nothing started; 130 and 143: Ctrl-C and SIGTERM, which its runs get too.
"""

import argparse
import fnmatch
import math
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from mvt4g.commands.parsing.messages import one_line
from mvt4g.commands.parsing.trust import trusting
from mvt4g.sweeps.launch import (
    LOG,
    Launcher,
    LocalLauncher,
    SubmititLauncher,
    arguments,
    check_record,
    is_done,
    is_finished,
    log_tail,
)
from mvt4g.sweeps.sweep_file import Run, SweepFile
from mvt4g.types import InputError, Interrupted

EXIT_FAILED = EXIT_BAD_INPUT = 2


def main(args: Sequence[str] | None = None) -> int:
    """Run a sweep and return the exit code."""
    options = _parser().parse_args(args)
    try:
        with trusting(options.trust):
            return _run(options)
    except InputError as error:
        sys.stderr.write(f"sweep: {one_line(str(error))}\n")
        return EXIT_BAD_INPUT


def _run(options: argparse.Namespace) -> int:
    """Check the runs that the options name, carry them out, and return the exit code.

    Raises:
        InputError: If something of the file is wrong; nothing was started then.
    """
    sweep = SweepFile(options.file)
    runs = chosen(sweep.runs(), options.only)
    for run in runs:
        check_record(run)
    if any(step.verb for run in runs for step in run.steps):
        from mvt4g.sweeps.sweep_check import check  # the command line takes seconds to import: bad YAML comes first

        check(sweep, runs)
    if options.dry_run:
        for run in runs:
            _describe(run)
        return 0
    launcher = _launcher(options, sweep.folder)
    sweep.folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sweep.path, sweep.folder / f"{sweep.name}.yaml")
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        failed = carry_out_all(runs, launcher, options.jobs)
    except (Interrupted, KeyboardInterrupt) as end:
        signum = end.signum if isinstance(end, Interrupted) else signal.SIGINT
        how = "interrupted" if signum == signal.SIGINT else "terminated"
        sys.stderr.write(f"sweep: {how}; the same command goes on\n")
        return 128 + signum
    finally:
        signal.signal(signal.SIGTERM, before)
    for line in failed:
        print(line)
    return EXIT_FAILED if failed else 0


def chosen(runs: Sequence[Run], patterns: Sequence[str] | None) -> list[Run]:
    """Return the runs whose name or arm is among the names, which may hold ``*``.

    Raises:
        InputError: If a name is of no run.
    """
    if not patterns:
        return list(runs)
    for pattern in patterns:
        if not any(_is_called(run, pattern) for run in runs):
            arms = ", ".join(dict.fromkeys(run.arm for run in runs))
            raise InputError(f"--only: got {pattern}, want a run or an arm, one of {arms}")
    return [run for run in runs if any(_is_called(run, pattern) for pattern in patterns)]


def carry_out_all(runs: Sequence[Run], launcher: Launcher, jobs: int) -> list[str]:
    """Carry out the runs that are not finished, tell of each as it ends, and return a line for each that failed."""
    left = [run for run in runs if not is_finished(run)]
    done, failed, times, began = len(runs) - len(left), [], [], time.monotonic()
    print(f"{len(runs)} runs, {done} finished before", flush=True)
    by_name = {run.name: run for run in left}
    with closing(launcher(left)) as outcomes:
        for outcome in outcomes:
            run = by_name.pop(outcome.run)
            times.append(outcome.wall_s)
            if outcome.failed is None:
                done += 1
            else:
                failed.append(f"failed: {run.name} ({outcome.failed}), {run.folder / LOG}: {log_tail(run)}")
            left_s = sum(times) / len(times) * math.ceil(len(by_name) / jobs)
            counts = f"[{done}/{len(runs)} done, {len(failed)} failed]"
            ended = f"{run.name}: {outcome.failed or 'done'} in {outcome.wall_s:.0f} s"
            print(f"{counts} {ended}; about {left_s / 60:.0f} min left", flush=True)
    print(f"{done} of {len(runs)} runs finished, {len(failed)} failed, {(time.monotonic() - began) / 60:.1f} min")
    return failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the sweep file")
    parser.add_argument("--launcher", choices=("local", "slurm", "submitit-local"), default="local")
    parser.add_argument("--jobs", type=_positive, default=1, help="runs at a time")
    parser.add_argument("--threads", type=_positive, help="OMP_NUM_THREADS of each; with several jobs 1")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these runs or arms alone")
    parser.add_argument("--trust", action="append", metavar="MODULE", default=[], help="as of mvt4g, for every run")
    parser.add_argument("--dry-run", action="store_true", help="check, and show what would run")
    parser.add_argument(
        "--slurm", nargs="+", metavar="KEY=VALUE", default=[], help="of submitit: timeout_min=60 slurm_partition=gpu"
    )
    return parser


def _launcher(options: argparse.Namespace, folder: Path) -> Launcher:
    if options.launcher == "local":
        return LocalLauncher(options.jobs, options.threads)
    settings: dict[str, int | str] = {}
    for setting in options.slurm:
        key, found, value = setting.partition("=")
        if not found:
            raise InputError(f"--slurm: got {setting}, want KEY=VALUE")
        settings[key] = int(value) if value.isdigit() else value
    cluster = "slurm" if options.launcher == "slurm" else "local"
    return SubmititLauncher(folder / "submitit", options.jobs, options.threads, cluster, settings)


def _describe(run: Run) -> None:
    print(f"{run.name}: {'finished' if is_finished(run) else 'to run'}")
    for step in run.steps:
        print(f"  {'done  ' if is_done(step) else 'to run'} {shlex.join(arguments(run, step))}")


def _is_called(run: Run, pattern: str) -> bool:
    return fnmatch.fnmatchcase(run.name, pattern) or fnmatch.fnmatchcase(run.arm, pattern)


def _positive(text: str) -> int:
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"got {text}, want a whole number from 1")
    return int(text)


def _interrupt(signum: int, frame: object) -> None:
    raise Interrupted(signum)


if __name__ == "__main__":
    sys.exit(main())
