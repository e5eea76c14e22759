"""Checkpoints of a fit by its steps: saving, keeping the last few, stopping at a signal."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils._pytree import tree_map

from mvt4g.callbacks.checkpoint_content import check_optimizer, check_schedule
from mvt4g.callbacks.checkpoints import (
    checkpoint_path,
    first_not_finite,
    last_checkpoint,
    step_checkpoints,
    warn,
)
from mvt4g.callbacks.ema import EMA
from mvt4g.callbacks.event_files import event_files, rewind_events, written_events
from mvt4g.callbacks.finite_steps import FiniteSteps
from mvt4g.callbacks.ranks import highest_of_ranks
from mvt4g.callbacks.signals import SignalWatch, current_watch
from mvt4g.systems.across_ranks import gathered
from mvt4g.types import InputError, RunStopped


class StepCheckpoints(Checkpoint):
    """Saves ``<run>/checkpoints/step-XXXXXXXX.ckpt`` between two steps and keeps the last few.

    A checkpoint is of everything up to its step: the step's logs and validation come before it, the next batch after.
    So what TensorBoard's files held then is what a resumed fit goes on from: no step is in them twice, none is missing.

    After every save, of the checkpoints up to its step the last ``keep`` stay, whichever start wrote them. Those of
    later steps, which a fit that was sent back to an earlier one makes again, and what was left half-written, go.

    On Ctrl-C or SIGTERM a fit saves at the end of the step and stops; all ranks do so at the same step.

    Args:
        run: The run folder.
        every: Optimizer steps from one checkpoint to the next.
        keep: How many stay.

    Raises:
        InputError: If a number is out of range.
    """

    def __init__(self, run: Path, every: int, keep: int = 2) -> None:
        super().__init__()
        for name, value in (("checkpoint_every", every), ("keep_checkpoints", keep)):
            if value < 1:
                raise InputError(f"--{name}: got {value}, want at least 1")
        self.run = run
        self.every = every
        self.keep = keep
        self.saved_step = -1
        self.began_at: int | None = None
        self._events: dict[str, int] | None = None
        self._events_before = event_files(run)
        self._fitted_before = (run / "config.yaml").exists()
        self._saving = False

    @property
    def watch(self) -> SignalWatch:
        """The signals of the command that runs."""
        return current_watch()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Check what the optimizer and its schedule go on from, which torch would trip over in the middle of a step.

        Raises:
            InputError: As ``check_optimizer`` and ``check_schedule``.
        """
        if trainer.state.fn != "fit" or "optimizer_states" not in checkpoint:
            # Of ranks that hold slices, ModelParallelStrategy has loaded the state already.
            return
        made: Any = pl_module.configure_optimizers()
        optimizer = made.get("optimizer") if isinstance(made, dict) else made
        # A system of somebody else's may have several.
        if isinstance(optimizer, Optimizer):
            check_optimizer(checkpoint["optimizer_states"], pl_module, optimizer)
        configured = made.get("lr_scheduler") if isinstance(made, dict) else None
        schedule = configured.get("scheduler") if isinstance(configured, dict) else configured
        if isinstance(schedule, LRScheduler):
            check_schedule(checkpoint["lr_schedulers"], schedule)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep signals for the step boundaries from now on."""
        self.began_at = trainer.global_step
        self.saved_step = trainer.global_step if self._resumes_own(trainer) else -1
        self.watch.install()
        self.watch.raise_if_received()
        self.watch.waiting = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Save what is due before the next step begins, and stop if told to.

        Raises:
            Interrupted: If a signal came.
            RunStopped: As ``save``.
        """
        if batch_idx % trainer.accumulate_grad_batches:
            return
        if trainer.global_step == self.began_at:
            self._begin(trainer)
        signum = highest_of_ranks(self.watch.received or 0)
        new = trainer.global_step > max(self.saved_step, self.began_at or 0)
        if new and (signum or trainer.global_step % self.every == 0):
            self.save(trainer)
        if signum:
            last = last_checkpoint(self.run)
            left = "there is no checkpoint" if last is None else last
            raise self.watch.end(signum, f"at step {trainer.global_step}; {left}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last step's state, whatever the interval."""
        self.watch.waiting = False
        path = checkpoint_path(self.run, trainer.global_step)
        # All ranks do as the first one finds.
        if not trainer.strategy.broadcast(path.exists()):
            self.save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave signals to the rest of the command."""
        self.watch.waiting = False

    def save(self, trainer: Trainer) -> None:
        """Save the state after the last optimizer step, and remove what need not be kept.

        Raises:
            RunStopped: If a weight, its average or the optimizer's state is not finite on any rank, or the file cannot
                be written. Earlier checkpoints stay as they are.
        """
        self._check_finite(trainer)
        if trainer.is_global_zero:
            self._events = written_events(trainer, self.run)
        self._saving = True
        try:
            trainer.save_checkpoint(checkpoint_path(self.run, trainer.global_step))
        finally:
            self._saving = False
        self.saved_step = trainer.global_step
        if trainer.is_global_zero:
            tidy(self.run, trainer.global_step, self.keep)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Count batches as between two of them, the last one and its validation done.

        Lightning would count the batch that has come and was not used yet, and of a fit that reached its length the
        whole epoch: a fit made longer would go on in a second one.
        """
        if self._saving:
            fit = checkpoint["loops"]["fit_loop"]
            done = trainer.global_step * trainer.accumulate_grad_batches
            between_batches(fit["epoch_loop.batch_progress"], fit["epoch_progress"], done)
            fit["epoch_loop.state_dict"]["_batches_that_stepped"] = trainer.global_step
            checkpoint["epoch"] = fit["epoch_progress"]["current"]["processed"]

    def state_dict(self) -> dict[str, Any]:
        """Return how far TensorBoard's files of this run were written."""
        return {} if self._events is None else {"events": self._events}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take how far TensorBoard's files were written at the checkpoint."""
        self._events = dict(state_dict["events"]) if "events" in state_dict else None

    def _begin(self, trainer: Trainer) -> None:
        """Bring the folder back to the checkpoint: the first batch has come, so that the fit is under way."""
        # Lightning counts one step too many or too few after checkpoints saved at other moments (by a user's callback).
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step
        if not trainer.is_global_zero:
            return
        if self._resumes_own(trainer):
            newest = max(step_checkpoints(self.run), default=0)
            if newest > trainer.global_step:
                warn(f"{self.run}: going on from step {trainer.global_step}; later checkpoints are replaced")
            if self._events is None:
                warn(f"{self.run}: the checkpoint does not say how far curves were written; steps may be in them twice")
            else:
                rewind_events(self._events_before, self._events)
        elif self._fitted_before and not trainer.ckpt_path:
            rewind_events(self._events_before, {})

    def _resumes_own(self, trainer: Trainer) -> bool:
        path = trainer.ckpt_path
        return path is not None and Path(path).resolve().parent == (self.run / "checkpoints").resolve()

    def _check_finite(self, trainer: Trainer) -> None:
        averages = []
        for callback in getattr(trainer, "callbacks", ()):
            if isinstance(callback, FiniteSteps):
                # The step that it waits for may explain weights that are not finite.
                callback.settle()
            if isinstance(callback, EMA):
                averages.append(callback.average)
        states = [list(optimizer.state.values()) for optimizer in trainer.optimizers]
        weights = dict(trainer.lightning_module.named_parameters())
        # Of slices each rank looks at its own: putting them together would take the memory of the whole.
        local = tree_map(_local, {"weights": weights, "average": averages, "optimizer": states})
        if bad := next(filter(None, gathered(first_not_finite(local))), None):
            last = last_checkpoint(self.run)
            left = "there is no checkpoint" if last is None else f"the last checkpoint stays {last}"
            raise RunStopped(f"step {trainer.global_step}: {bad} is not finite, so nothing was saved; {left}")


def tidy(run: Path, step: int, keep: int) -> None:
    """Keep the last ``keep`` checkpoints up to a step that was just saved, and remove the others of a run.

    Files of other names than ``step-XXXXXXXX.ckpt`` are left alone.
    """
    found = step_checkpoints(run)
    for later in [number for number in found if number > step]:
        found.pop(later).unlink(missing_ok=True)
    for number in sorted(found)[:-keep]:
        found[number].unlink(missing_ok=True)


def between_batches(batches: dict[str, Any], epochs: dict[str, Any], done: int) -> None:
    """Make counts of batches and epochs those of a fit between two steps of its first and endless epoch.

    Args:
        batches: Counts of micro-batches, changed in place.
        epochs: Counts of epochs, changed in place.
        done: Micro-batches of whole steps. A fit that a time limit ends in the middle of a step begins it anew.
    """
    for counts in (batches["total"], batches["current"]):
        counts.update(ready=done, started=done, processed=done, completed=done)
    batches["is_last_batch"] = False
    for counts in (epochs["total"], epochs["current"]):
        done = max(0, counts["ready"] - 1)
        counts.update(started=counts["ready"], processed=done, completed=done)


def _local(value: Any) -> Any:
    """Return the slice of a tensor that this rank holds."""
    return value.detach().to_local() if hasattr(value, "to_local") else value
