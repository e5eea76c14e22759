"""Progress outside a terminal: a line now and then, where a bar would fill a log with its redrawings."""

import sys
import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mvt4g.callbacks.checkpoints import say

EVERY_S = 30.0
"""Seconds between two lines."""


def in_a_terminal() -> bool:
    """Say whether somebody watches, so that a bar can be redrawn."""
    return sys.stderr.isatty() and sys.stdout.isatty()


class ProgressLines(Callback):
    """Prints step, loss, speed and the time left to stdout, after the first step and then every ``every_s`` seconds.

    Speed is that since the line before, the time left follows from the mean over this start, validation included.

    Args:
        every_s: Seconds between two lines.
        clock: Tells seconds.
    """

    def __init__(self, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.every_s = every_s
        self.clock = clock
        self._first = self._last = (0, 0.0)
        self._told = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting."""
        self._start(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Print a line if it is time."""
        total = trainer.max_steps if trainer.max_steps > 0 else None
        if self._is_time(trainer.global_step):
            loss = trainer.callback_metrics.get("train/loss")
            loss_text = "" if loss is None else f", loss {float(loss):.4g}"
            self._tell("step", trainer.global_step, total, "steps", loss_text)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting."""
        self._start(0)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Print a line if it is time."""
        self._batch("test", batch_idx, trainer.num_test_batches)

    on_predict_start = on_test_start

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Print a line if it is time."""
        self._batch("predict", batch_idx, trainer.num_predict_batches)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting, where validation is the command and no part of a fit."""
        if trainer.state.fn == "validate":
            self._start(0)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Print a line if it is time, where validation is the command and no part of a fit."""
        if trainer.state.fn == "validate":
            self._batch("validate", batch_idx, trainer.num_val_batches)

    def _start(self, done: int) -> None:
        self._first = self._last = (done, self.clock())
        self._told = False

    def _batch(self, command: str, batch_idx: int, totals: list[int | float]) -> None:
        if self._is_time(batch_idx + 1):
            total = sum(totals)
            self._tell(f"{command}: batch", batch_idx + 1, int(total) if total < float("inf") else None, "batches")

    def _is_time(self, done: int) -> bool:
        """Say whether a line is due: after the first step, and then by the clock."""
        if done == self._last[0]:
            return False
        return not self._told or self.clock() - self._last[1] >= self.every_s

    def _tell(self, what: str, done: int, total: int | None, unit: str, more: str = "") -> None:
        now = self.clock()
        speed = (done - self._last[0]) / max(now - self._last[1], 1e-9)
        mean = (now - self._first[1]) / (done - self._first[0])
        # Slow steps are told by their time: 0.02 steps/s is hard to read.
        pace = f"{speed:.2f} {unit}/s" if speed >= 1 else f"{1 / speed:.1f} s a {what.rpartition(' ')[2]}"
        if total is None:
            say(f"{what} {done}{more}, {pace}")
        else:
            left = duration(mean * max(0, total - done))
            say(f"{what} {done}/{total}{more}, {pace}, {left} left")
        self._last = (done, now)
        self._told = True


def duration(seconds: float) -> str:
    """Return a time span as people say it: ``40 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
