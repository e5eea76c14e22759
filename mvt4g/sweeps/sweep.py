"""``mvt4g sweep FILE.yaml``: carries out every run of a sweep file.

Finished runs are skipped, killed ones go on from their last checkpoint, and failed ones are listed with their log while
the others go on. ``mvt4g.sweeps.sweep_file`` says what the file may hold.
"""

import argparse
import fnmatch
import math
import shlex
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from mvt4g.callbacks.signals import watched_signals
from mvt4g.cli.exits import EXIT_BAD_INPUT, exit_code
from mvt4g.errors import InputError, Interrupted
from mvt4g.formats.atomic import appearing
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
from mvt4g.sweeps.options import VerbParser, process_count
from mvt4g.sweeps.sweep_file import Run, SweepFile


def main(args: Sequence[str]) -> int:
    """Carry out a sweep and return the exit code.

    0: all runs finished. 2: some failed, or the input is bad and nothing was started. 130 and 143: Ctrl-C and SIGTERM,
    after which the runs at work are ended too.

    Args:
        args: What follows ``mvt4g sweep`` on the command line.
    """
    with watched_signals():
        return exit_code(lambda: _sweep(parser().parse_args(args)))


def _sweep(options: argparse.Namespace) -> int:
    """Check the runs that the options name, carry them out, and return the exit code.

    Raises:
        InputError: If something of the file is wrong; nothing was started then.
    """
    sweep = SweepFile(Path(options.file))
    runs = choose_runs(sweep.runs(), options.only)
    for run in runs:
        check_record(run)
    # The suite takes seconds to import: bad YAML is told before, and other programs need none of it.
    if any(run.commands for run in runs):
        from mvt4g.sweeps.sweep_check import check

        check(sweep, runs)
    if options.dry_run:
        for run in runs:
            _describe(run)
        return 0
    launcher = _launcher(options, sweep.folder)
    with appearing(sweep.folder / f"{sweep.name}.yaml") as temporary:
        shutil.copyfile(sweep.path, temporary)
    try:
        failed = carry_out_all(runs, launcher, options.jobs)
    except Interrupted as end:
        end.note = "(the same command goes on)"
        raise
    for line in failed:
        print(line)
    return EXIT_BAD_INPUT if failed else 0


def choose_runs(runs: Sequence[Run], patterns: Sequence[str] | None) -> list[Run]:
    """Return the runs whose name or arm is among the names, which may hold ``*``.

    Raises:
        InputError: If a name is of no run.
    """
    if not patterns:
        return list(runs)
    chosen = set()
    for pattern in patterns:
        names = [run.name for run in runs if _is_called(run, pattern)]
        if not names:
            arms = ", ".join(dict.fromkeys(run.arm for run in runs))
            raise InputError(f"--only: got {pattern}, want a run or an arm, one of {arms}")
        chosen.update(names)
    return [run for run in runs if run.name in chosen]


def carry_out_all(runs: Sequence[Run], launcher: Launcher, jobs: int) -> list[str]:
    """Carry out the runs that are not finished, tell of each as it ends, and return a line for each that failed."""
    left = {run.name: run for run in runs if not is_finished(run)}
    done = len(runs) - len(left)
    failed = []
    times = []
    began = time.monotonic()
    print(f"{len(runs)} runs, {done} finished before", flush=True)
    with closing(launcher(list(left.values()))) as outcomes:
        for outcome in outcomes:
            run = left.pop(outcome.run)
            times.append(outcome.wall_s)
            if outcome.failed is None:
                done += 1
            else:
                failed.append(f"failed: {run.name} ({outcome.failed}), {run.folder / LOG}: {log_tail(run)}")
            # As if the runs that are left took as long as those before, ``jobs`` of them at a time.
            left_s = sum(times) / len(times) * math.ceil(len(left) / jobs)
            counts = f"[{done}/{len(runs)} done, {len(failed)} failed]"
            ended = f"{run.name}: {outcome.failed or 'done'} in {outcome.wall_s:.0f} s"
            print(f"{counts} {ended}; about {left_s / 60:.0f} min left", flush=True)
    print(f"{done} of {len(runs)} runs finished, {len(failed)} failed, {(time.monotonic() - began) / 60:.1f} min")
    return failed


def parser() -> VerbParser:
    """Return the parser of the verb."""
    options = VerbParser("sweep")
    options.add_argument("--launcher", choices=("local", "slurm", "submitit-local"), default="local")
    options.add_argument("--jobs", type=process_count, default=1)
    options.add_argument("--threads", type=process_count)
    options.add_argument("--only", nargs="+", metavar="NAME")
    options.add_argument("--dry-run", action="store_true")
    options.add_argument("--slurm", nargs="+", metavar="KEY=VALUE", default=[])
    return options


def _launcher(options: argparse.Namespace, folder: Path) -> Launcher:
    if options.launcher == "local":
        return LocalLauncher(options.jobs, options.threads)
    settings: dict[str, int | str] = {}
    for setting in options.slurm:
        key, found, value = setting.partition("=")
        if not found:
            raise InputError(f"--slurm: got {setting}, want KEY=VALUE")
        settings[key] = int(value) if value.isdecimal() else value
    cluster = "slurm" if options.launcher == "slurm" else "local"
    return SubmititLauncher(folder / "submitit", options.jobs, options.threads, cluster, settings)


def _describe(run: Run) -> None:
    print(f"{run.name}: {'finished' if is_finished(run) else 'to run'}")
    for step in run.steps:
        print(f"  {'done  ' if is_done(step) else 'to run'} {shlex.join(arguments(run, step))}")


def _is_called(run: Run, pattern: str) -> bool:
    return fnmatch.fnmatchcase(run.name, pattern) or fnmatch.fnmatchcase(run.arm, pattern)
