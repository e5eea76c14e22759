"""Fits that are killed: at a moment from outside, or by themselves in the middle of writing a checkpoint.

The processes come from a fork server that has imported what a fit needs, so that a start takes a second.
"""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import torch

from mvt4g import cli
from mvt4g.callbacks import checkpoints, step_checkpoints
from mvt4g.formats import atomic

ROOT = Path(__file__).parents[2]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.smoke.killed_fits"])
IN_WRITING = ("half written", "not yet named", "not yet tidied")


def start(args: list[str], dies: str | None = None) -> multiprocessing.Process:
    """Start a fit in a process group of its own, told by ``dies`` to kill itself at a moment of its n-th save."""
    process = CONTEXT.Process(target=_fit, args=(args, dies))
    process.start()
    return process


def kill(process: multiprocessing.Process) -> bool:
    """Kill a fit and its workers; return whether it was still running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has no group of its own yet, or has ended
        process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def wait_for_step(run: Path, step: int, process: multiprocessing.Process, timeout_s: float = 300) -> None:
    """Wait until a run has a checkpoint of a step or a later one, or its process ended."""
    deadline = time.monotonic() + timeout_s
    while max(checkpoints.step_checkpoints(run), default=0) < step and process.is_alive():
        assert time.monotonic() < deadline, f"no checkpoint of step {step} in {timeout_s} s"
        time.sleep(0.005)


def _fit(args: list[str], dies: str | None) -> None:
    os.setsid()
    os.chdir(ROOT)
    torch.set_num_threads(1)
    sys.argv = ["mvt4g", *args]
    if dies is not None:
        moment, save = dies.rsplit(" ", 1)
        _die(moment, int(save))
    os._exit(cli.main(args))  # exit handlers of the server's are none of this process's business


def _die(moment: str, save: int) -> None:
    """Make this process kill itself, with all its workers, at a moment of its n-th save."""
    saves = []
    whole_save, rename, tidy = torch.save, os.replace, step_checkpoints.tidy

    def dead() -> None:
        os.killpg(os.getpid(), signal.SIGKILL)

    def half_save(content, file):
        saves.append(1)
        whole_save(content, file)
        if len(saves) == save and moment == "half written":
            file.flush()
            os.truncate(file.fileno(), file.tell() // 2)
            dead()

    def no_rename(source, target):
        if str(target).endswith(".ckpt") and len(saves) == save and moment == "not yet named":
            dead()
        rename(source, target)

    def no_tidy(*args):
        if len(saves) == save and moment == "not yet tidied":
            dead()
        tidy(*args)

    checkpoints.torch.save, atomic.os.replace, step_checkpoints.tidy = half_save, no_rename, no_tidy
