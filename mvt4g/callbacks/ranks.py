"""Agreement among the ranks of a run: their highest number, and their common end."""

import os
import subprocess
import time
from collections.abc import Sequence

import torch
from jaxtyping import Shaped
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, distributed

from mvt4g.callbacks.signals import current_watch
from mvt4g.types import InputError, Interrupted, RunStopped

EXIT_BAD_INPUT = 2
WAIT_S = 2.0
"""Seconds in which a rank that made the others fail is found to have ended: they hear of it before the system does."""


def num_ranks() -> int:
    """Return how many processes run this together."""
    here = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if here else 1


def highest_of_ranks(value: int) -> int:
    """Return the highest number of any rank; all ranks call it."""
    if num_ranks() == 1:
        return value
    # gloo reduces what lies on the CPU, NCCL what lies on a GPU.
    on_cpu = distributed.get_backend() == "gloo"
    highest = torch.tensor([value], device="cpu" if on_cpu else torch.cuda.current_device())
    make_highest(highest)
    return int(highest.item())


def make_highest(value: Shaped[Tensor, "..."]) -> None:
    """Put the highest number of any rank into a tensor, without waiting for a device; all ranks call it."""
    if num_ranks() > 1:
        distributed.all_reduce(value, distributed.ReduceOp.MAX)


class RanksEndTogether(Callback):
    """Ends the ranks that this process started when it fails, and says so when one of them made it fail.

    A rank that is left alone waits in its next collective, for half an hour.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parent = os.getppid()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take signals from Lightning, whose handler calls a collective wherever it comes."""
        current_watch().install()

    on_test_start = on_predict_start = on_validation_start

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the other ranks, unless all of them stop for the same reason.

        Raises:
            InputError: If another rank refused its input.
            RunStopped: If another rank ended.
        """
        # A note on an interruption tells of the step that all ranks stopped at.
        agreed = isinstance(exception, RunStopped)
        if isinstance(exception, Interrupted):
            agreed = bool(exception.note)
        if num_ranks() == 1 or agreed:
            return
        processes = getattr(trainer.strategy.launcher, "procs", None) or []
        ours = isinstance(exception, InputError | Interrupted)
        codes = [] if ours else _ended(processes)
        for process in processes:
            process.kill()
        if EXIT_BAD_INPUT in codes:
            raise InputError("another rank refused its input, as it says above") from exception
        if any(codes):
            failed = [f"rank {rank} with code {code}" for rank, code in enumerate(codes, start=1) if code]
            raise RunStopped(f"{', '.join(failed)} ended, so the others cannot go on") from exception
        if not ours and os.getppid() != self._parent:
            raise RunStopped("the first rank is gone, so this one cannot go on") from exception


def _ended(processes: Sequence["subprocess.Popen[bytes]"]) -> list[int | None]:
    """Return the exit codes of processes as soon as one of them has failed, or after a moment."""
    end = time.monotonic() + WAIT_S
    while True:
        codes = [process.poll() for process in processes]
        if any(codes) or not processes or time.monotonic() > end:
            return codes
        time.sleep(0.05)
