"""Launchers, which carry out runs: one process a step, skipped when done, resumed when killed."""

import fcntl
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO, runtime_checkable

import yaml

from mvt4g.commands.parsing.config_files import read_config
from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.yaml_files import read_yaml
from mvt4g.sweeps.entries import fill
from mvt4g.sweeps.run_files import read_times
from mvt4g.sweeps.sweep_file import Run, Step
from mvt4g.types import InputError

RECORD = "run.yaml"
LOG = "log.txt"
TIMES = "times.json"
"""What a sweep leaves in a run's folder beside what the commands write."""
LEAVE_THEIR_OWN = {"fit": "fit.done", "test": "test/metrics.json"}
"""What a command writes as the last thing it does; others are taken by their exit code."""
MOST_NAMED = 3
"""Most differing options that a message names."""
POLL_S = 1.0
DAY_MIN = 24 * 60


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: Its name.
        failed: The step that failed, and how; None = all went well.
        wall_s: Seconds it took this time.
    """

    run: str
    failed: str | None
    wall_s: float


@runtime_checkable
class Launcher(Protocol):
    """Carries out runs."""

    def __call__(self, runs: Sequence[Run]) -> Generator[Outcome]:
        """Yield how each run ended, as it ends."""


def arguments(run: Run, step: Step) -> list[str]:
    """Return a step's command line after the interpreter, or of another program all of it."""
    if step.program:
        return list(step.program)
    from mvt4g.callbacks.checkpoints import last_checkpoint  # Lightning takes seconds

    fitted = None if step.fitted is None else last_checkpoint(step.fitted)
    words = {"{checkpoint}": str(fitted or "")}
    command = ["-m", "mvt4g", step.verb]
    for config in step.configs:
        command += ["-c", config]
    command += ["--run", str(step.folder)]
    if step.resumes and step.fitted != step.folder:
        command += ["--ckpt_path", str(step.fitted)]
    elif step.resumes or step.verb == "fit":
        command += ["--ckpt_path", "last"]
    for path, value in step.options.items():
        text = fill(value, words)
        command.append(f"--{path}={text if isinstance(text, str) else json.dumps(text)}")
    return command


def is_done(step: Step) -> bool:
    """Say whether a step was finished; a ``test`` of which some items failed leaves metrics and was not."""
    return _marker(step).exists() and not _failure_marker(step).exists()


def is_finished(run: Run) -> bool:
    """Say whether every step of a run was finished."""
    return all(map(is_done, run.steps))


def record(run: Run) -> dict[str, Any]:
    """Return what is kept of a run: what it is called, and the options and configurations of its steps."""
    steps = {}
    for step in run.steps:
        steps[step.name] = {
            "program": list(step.program),
            "options": dict(step.options),
            "configs": {config: read_config(Path(config)) for config in step.configs},
        }
    return {"arm": run.arm, "seed": run.seed, "options": dict(run.options), "steps": steps}


def check_record(run: Run) -> None:
    """Check that a run's folder holds no run of other options: a finished one would pass for this one.

    Raises:
        InputError: Naming the first options that differ.
    """
    path = run.folder / RECORD
    begun = any(map(is_done, run.steps)) or (run.folder / "config.yaml").exists()
    if not (begun and path.exists()):
        return  # what failed before it did anything can be mended and run anew
    from mvt4g.callbacks.run_record import differences  # Lightning takes seconds

    found = read_yaml(path, "the record of a run")
    if not isinstance(found, dict) or not isinstance(found.get("steps"), dict):
        raise InputError(f"{path}: got no steps, want the record of a run")
    wanted = record(run)
    # Steps may be added to a sweep whose runs are finished.
    common = found["steps"].keys() & wanted["steps"].keys()
    differing = ", ".join(differences(_flat_record(found, common), _flat_record(wanted, common))[:MOST_NAMED])
    if differing:
        raise InputError(f"{path}: a run of other options lies here: {differing}; want another folder, or none")


def _flat_record(content: Mapping[str, Any], steps: Collection[str]) -> dict[str, Any]:
    """Return the values of a record by dotted key, those of some of its steps alone."""
    from mvt4g.callbacks.run_record import flat_items

    values = dict(flat_items({**content, "steps": {}}))
    for name in steps:
        values |= flat_items(content["steps"][name], f"steps.{name}.")
        program = f"steps.{name}.program"
        if values.get(program) == []:  # older records do not say that a step is no other program
            del values[program]
    return values


def carry_out(run: Run, threads: int | None = None, stop: threading.Event | None = None) -> Outcome:
    """Carry out what is left of a run; what goes wrong is its outcome, so that the others go on.

    A lock, which the step's process holds too, keeps a second sweep from the run while a process of a killed one is
    still at work on it.

    Args:
        run: The run.
        threads: OMP_NUM_THREADS of its processes; None = as it is.
        stop: Once set, nothing more is waited for or started.
    """
    began = time.monotonic()
    try:
        failed = _carry_out(run, threads, threading.Event() if stop is None else stop)
    except Exception as error:  # whatever it is, it is this run's
        failed = f"{type(error).__name__}: {error}"
    return Outcome(run.name, failed, time.monotonic() - began)


class LocalLauncher:
    """Runs on this machine.

    Args:
        jobs: At a time.
        threads: OMP_NUM_THREADS of each; None = 1 with several jobs, else as it is.
    """

    def __init__(self, jobs: int = 1, threads: int | None = None) -> None:
        self.jobs = jobs
        self.threads = 1 if threads is None and jobs > 1 else threads

    def __call__(self, runs: Sequence[Run]) -> Generator[Outcome]:
        """Yield how each run ended, as it ends; when closed early, end the processes that are still at work."""
        pool = ThreadPoolExecutor(self.jobs)
        stop = threading.Event()
        futures = [pool.submit(carry_out, run, self.threads, stop) for run in runs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            # A run that is just starting its process may start it after this: ask until none is at work.
            while any(future.running() for future in futures):
                for process in list(_AT_WORK.values()):
                    process.terminate()
                time.sleep(0.1)


class SubmititLauncher:
    """Jobs of a Slurm cluster, one a run; the runs' folders must lie where the nodes see them.

    Args:
        folder: Takes submitit's own logs.
        jobs: At a time.
        threads: OMP_NUM_THREADS of each; None = as it is there.
        cluster: ``slurm``, or ``local`` to try it without one.
        settings: Of submitit's executor, such as ``slurm_partition`` or ``timeout_min`` (a day unless told).

    Raises:
        InputError: If there is no submitit or no Slurm here, or submitit has no such setting.
    """

    def __init__(
        self, folder: Path, jobs: int, threads: int | None, cluster: str, settings: Mapping[str, int | str]
    ) -> None:
        try:
            import submitit  # of the extra `cluster`
        except ImportError as error:
            raise InputError(
                f"--launcher: got {cluster} without submitit, want pip install 'mvt4g[cluster]'"
            ) from error
        self.threads = threads
        settings = {"timeout_min": DAY_MIN, **settings}
        try:
            self.executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        except RuntimeError as error:
            raise InputError(f"--launcher: got {cluster}, but {error}") from error
        try:
            self.executor.update_parameters(slurm_array_parallelism=jobs, **settings)
        except (AssertionError, NameError, TypeError, ValueError) as error:
            raise InputError(f"--slurm: got {settings}, but submitit says: {error}") from error

    def __call__(self, runs: Sequence[Run]) -> Generator[Outcome]:
        """Yield how each run ended, as it ends; when closed early, the jobs go on."""
        if not runs:
            return
        handed = self.executor.map_array(carry_out, runs, [self.threads] * len(runs))
        jobs = dict(zip(handed, runs, strict=True))
        while jobs:
            ended = [job for job in jobs if job.done()]
            for job in ended:
                run = jobs.pop(job)
                error = job.exception()
                if error is None:
                    yield job.result()
                else:
                    yield Outcome(run.name, f"job {job.job_id}: {_last_line(str(error))}", 0)
            if not ended:
                time.sleep(POLL_S)


def log_tail(run: Run) -> str:
    """Return the last line of a run's log that says something."""
    path = run.folder / LOG
    return _last_line(path.read_text(errors="replace")) if path.exists() else ""


def _carry_out(run: Run, threads: int | None, stop: threading.Event) -> str | None:
    """Carry out what is left of a run; return how it failed, if it did."""
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / ".lock").open("w") as lock:
        _take(lock, run.name, stop)
        if stop.is_set():
            return "stopped"
        with appearing(run.folder / RECORD) as temporary:
            temporary.write_text(yaml.safe_dump(record(run), sort_keys=False))
        for step in run.steps:
            if stop.is_set():
                return f"{step.name}: stopped"
            if is_done(step):
                continue
            failed = _call(run, step, threads, lock.fileno())
            if failed is not None:
                return failed
    return None


def _take(lock: TextIO, name: str, stop: threading.Event) -> None:
    """Take a lock as soon as nobody else holds it, or give up when told to stop."""
    told = False
    while not stop.is_set():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                print(f"{name}: waiting for a process of another sweep that is at work on it", flush=True)
            told = True
            stop.wait(POLL_S)
        else:
            return


def _call(run: Run, step: Step, threads: int | None, lock: int) -> str | None:
    """Run a step's process; return how it failed, if it did."""
    command = arguments(run, step)
    if not step.program:
        command.insert(0, sys.executable)
    environment = _environment(step)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    began = time.monotonic()
    with (run.folder / LOG).open("a") as log:
        log.write(f"$ {shlex.join(command)}\n")
        log.flush()
        try:
            # The process holds the run's lock too, and keeps it should this one be killed.
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, pass_fds=(lock,))
        except OSError as error:
            return f"{step.name}: {error}"
    _AT_WORK[threading.get_ident()] = process
    # Unlike ``process.wait`` it tells how much processor time that one process took.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    del _AT_WORK[threading.get_ident()]
    _add_times(run, step, {"wall_s": time.monotonic() - began, "cpu_s": usage.ru_utime + usage.ru_stime})
    if process.returncode:
        if _marker(step).exists():
            # Else the next start would take what is there for all of it.
            _failure_marker(step).touch()
        return f"{step.name}: exit {process.returncode}"
    _failure_marker(step).unlink(missing_ok=True)
    if step.verb not in LEAVE_THEIR_OWN:
        _marker(step).parent.mkdir(parents=True, exist_ok=True)
        _marker(step).touch()
    return None if is_done(step) else f"{step.name}: left no {_marker(step)}"


def _environment(step: Step) -> dict[str, str]:
    """Return the environment of a step's process.

    Of a Slurm job the trainer hears nothing: the job has one task, which starts as many processes as it has devices,
    and Lightning would take the job for one that has started them already.
    """
    environment = dict(os.environ)
    for key in os.environ:
        if step.verb and key.startswith("SLURM_"):
            del environment[key]
    return environment


_AT_WORK: dict[int, subprocess.Popen[bytes]] = {}
"""Processes at work, by the thread that waits for each."""


def _add_times(run: Run, step: Step, times: Mapping[str, float]) -> None:
    path = run.folder / TIMES
    all_times = read_times(path) if path.exists() else {}
    own = all_times.setdefault(step.name, {})
    # What a killed process of the step took before was work too.
    for key, value in times.items():
        own[key] = round(own.get(key, 0) + value, 1)
    with appearing(path) as temporary:
        temporary.write_text(json.dumps(all_times, indent=2))


def _marker(step: Step) -> Path:
    return step.folder / LEAVE_THEIR_OWN.get(step.verb, f"{step.name}.done")


def _failure_marker(step: Step) -> Path:
    return step.folder / f"{step.name}.failed"


def _last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = text.rstrip().splitlines()
    return lines[-1].strip() if lines else ""
