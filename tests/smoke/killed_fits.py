"""Fits that are killed: from outside in a chosen micro-batch, or by themselves in the middle of writing a checkpoint.

Moments count micro-batches and saves, so that a fast machine and a slow one kill at the same ones. The processes come
from a fork server that has imported what a fit needs, so that a start takes a second.
"""

import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from mvt4g import cli
from mvt4g.callbacks import checkpoints, step_checkpoints
from mvt4g.formats import atomic
from mvt4g.systems.novel_view import NovelViewSystem

ROOT = Path(__file__).parents[2]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.smoke.killed_fits"])
IN_WRITING = ("half written", "not yet named", "not yet tidied")


def start(args: list[str], dies: str | None = None) -> multiprocessing.Process:
    """Start a fit in a process group of its own, told by ``dies`` to kill itself at a moment of its n-th save."""
    process = CONTEXT.Process(target=_fit, args=(args, dies))
    process.start()
    return process


def kill_in(args: list[str], micro_batch: int, delay_s: float) -> bool:
    """Start a fit and kill it from outside a moment after the n-th micro-batch of this start has begun.

    The fit waits before the next micro-batch, so that even a late kill comes before it.

    Returns:
        Whether it was killed, rather than ended by itself.
    """
    told, tells = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_fit, args=(args, None, micro_batch, tells))
    process.start()
    tells.close()
    try:
        assert told.poll(300), f"no micro-batch {micro_batch} in 300 s"
        told.recv()
    except EOFError:  # it has ended before
        pass
    time.sleep(delay_s)
    return kill(process)


def kill(process: multiprocessing.Process) -> bool:
    """Kill a fit and its workers; return whether it was still running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has no group of its own yet, or has ended
        process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def _fit(args: list[str], dies: str | None, micro_batch: int = 0, tells: Connection | None = None) -> None:
    os.setsid()
    os.chdir(ROOT)
    torch.set_num_threads(1)
    sys.argv = ["mvt4g", *args]
    if dies is not None:
        moment, save = dies.rsplit(" ", 1)
        _die(moment, int(save))
    if tells is not None:
        _tell(micro_batch, tells)
    os._exit(cli.main(args))  # exit handlers of the server's are none of this process's business


def _tell(micro_batch: int, tells: Connection) -> None:
    """Make this process tell when its n-th micro-batch begins, and wait before the one after it."""
    begun = []
    training_step = NovelViewSystem.training_step

    def counted(self, *batch):
        begun.append(batch)
        if len(begun) == micro_batch:
            tells.send(micro_batch)
        if len(begun) > micro_batch:
            time.sleep(3600)
        return training_step(self, *batch)

    NovelViewSystem.training_step = counted


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
