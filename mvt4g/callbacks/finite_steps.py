"""NaN is never success: a fit stops at the first step whose loss or gradient is not finite, or skips it and counts."""

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Shaped
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from mvt4g.callbacks.checkpoints import last_checkpoint, warn
from mvt4g.callbacks.ranks import make_highest
from mvt4g.systems.across_ranks import gathered
from mvt4g.types import Cameras, RunStopped

OnNaN = Literal["stop", "skip_step"]
MOST_SKIPPED = 10
"""Steps that may be skipped one after another; a fit that skips more learns nothing and stops."""
MAY_HOLD_NAN = ("tracks", "points_world", "depth")
"""Fields of a clip in which NaN means not known."""
MOST_NAMED = 3
"""Most clips that a line names."""


@dataclass(frozen=True)
class _MicroBatch:
    """What is kept of a micro-batch until its step is known to be good: values stay on the device.

    Attributes:
        loss: What was differentiated.
        terms: What was logged.
        names: Of the clips.
        sums: Of every field of the clips, by its name: one number a clip, not finite where the clip is not.
    """

    loss: Tensor
    terms: dict[str, Tensor]
    names: tuple[str, ...]
    sums: dict[str, Tensor]

    def fault(self) -> str | None:
        """Return which term is not finite and in which clips, or None."""
        bad = {name for name, value in self.terms.items() if not torch.isfinite(value)}
        if not bad and torch.isfinite(self.loss):
            return None
        # The parts of a term come after it in the alphabet, and the total is named if nothing else can be.
        term = min(bad - {"train/loss"}, default="train/loss")
        value = float(self.terms.get(term, self.loss))
        spoilt: dict[str, str] = {}
        for field, sums in self.sums.items():
            for name, total in zip(self.names, sums.tolist(), strict=False):
                # Neither NaN nor infinity leaves 0.
                if total - total != 0:
                    spoilt.setdefault(name, field)
        if spoilt:
            clips = ", ".join(f"{name} ({field})" for name, field in list(spoilt.items())[:MOST_NAMED])
            return f"{term} is {value}, for data that is not finite: {clips}"
        more = f" and {len(self.names) - MOST_NAMED} more" if len(self.names) > MOST_NAMED else ""
        return f"{term} is {value} on clips {', '.join(self.names[:MOST_NAMED])}{more}"


class FiniteSteps(Callback):
    """Stops a fit, or skips the step, when a loss or the norm of the gradient is not finite on any rank.

    ``stop`` ends the fit with ``RunStopped``, which names step, term and clips. On a GPU the values of a step are
    looked at while the next one runs, so that nothing waits for them. They are looked at once on a CPU, in the first
    step, and before a validation or a save: no checkpoint is written of a step that is not finite.

    ``skip_step`` looks before the optimizer's step, which costs one wait for the device, and takes its gradients away:
    weights, optimizer and schedule go on as if its gradient were empty. ``train/skipped_steps`` counts them over all
    starts of a fit; ``MOST_SKIPPED`` in a row stop it.

    With a GradScaler (16-mixed), which skips steps of infinite gradients by itself, the loss alone is looked at.

    Args:
        run: The run folder.
        on_nan: What to do.
    """

    def __init__(self, run: Path, on_nan: OnNaN = "stop") -> None:
        super().__init__()
        self.run = run
        self.on_nan = on_nan
        self.skipped = self.in_a_row = 0
        # A fit whose first step after a start is not finite leaves nothing behind.
        self._first = True
        self._loss: Tensor | None = None
        self._micro_batches: list[_MicroBatch] = []
        self._bad: Tensor | None = None
        self._waiting: tuple[int, Tensor, list[_MicroBatch]] | None = None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Float[Tensor, ""]) -> None:
        """Keep the loss."""
        self._loss = loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Look at the gradients of a whole step, and in ``skip_step`` take bad ones away."""
        assert self._loss is not None
        losses = [micro_batch.loss for micro_batch in self._micro_batches]
        values = [torch.stack([*losses, self._loss]).sum()]
        # A GradScaler skips steps of infinite gradients by itself, and lowers its scale by them.
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            values.append(_gradient_norm(optimizer).to(values[0].device))
        self._bad = (~torch.isfinite(torch.stack(values))).any().float()
        make_highest(self._bad)
        if self.on_nan == "skip_step" and bool(self._bad):
            optimizer.zero_grad(set_to_none=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep what a fault would be told by, and look at what is known by now.

        Raises:
            RunStopped: If a step was not finite.
        """
        if self._loss is None:
            return
        terms = {}
        for name, value in trainer.callback_metrics.items():
            if name.startswith("train/"):
                terms[name] = value
        self._micro_batches.append(_MicroBatch(self._loss, terms, _names(batch), _sums(batch)))
        self._loss = None
        if self._bad is None:
            return  # more micro-batches to come
        self.settle()
        self._waiting = (trainer.global_step, self._bad, self._micro_batches)
        self._bad = None
        self._micro_batches = []
        if self._first or self._looks_at_once(self._waiting[1]):
            self.settle()
        self._first = False
        if self.on_nan == "skip_step":
            pl_module.log("train/skipped_steps", float(self.skipped), batch_size=1)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the last step before its weights are measured.

        Raises:
            RunStopped: If it was not finite.
        """
        self.settle()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the last step before the fit counts as done.

        Raises:
            RunStopped: If it was not finite.
        """
        self.settle()
        if self.skipped:
            warn(f"{self.skipped} steps of this fit were skipped, for their loss or gradient was not finite")

    def settle(self) -> None:
        """Look at the step that is waited for.

        Raises:
            RunStopped: If it was not finite and is not skipped.
        """
        if self._waiting is None:
            return
        step, bad, micro_batches = self._waiting
        self._waiting = None
        if not bool(bad):
            self.in_a_row = 0
            return
        # The ranks agree on what is bad, so that all of them come here; the fault may be on one of them alone.
        fault = next(filter(None, map(_MicroBatch.fault, micro_batches)), None)
        told = next(filter(None, gathered(fault)), "the gradient's norm is not finite")
        if self.on_nan == "stop":
            last = last_checkpoint(self.run)
            left = "there is no checkpoint" if last is None else f"the last checkpoint is {last.name}"
            raise RunStopped(f"step {step}: {told}; {left} (--on_nan skip_step would leave such steps out)")
        self.skipped += 1
        self.in_a_row += 1
        warn(f"step {step} is skipped: {told}")
        if self.in_a_row > MOST_SKIPPED:
            raise RunStopped(f"step {step}: {self.in_a_row} steps in a row were not finite; the last one: {told}")

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the counts of a checkpoint."""
        self.skipped = state_dict["skipped"]
        self.in_a_row = state_dict["in_a_row"]

    def _looks_at_once(self, bad: Shaped[Tensor, "..."]) -> bool:
        return bad.device.type == "cpu" or self.on_nan == "skip_step"


def _gradient_norm(optimizer: Optimizer) -> Float[Tensor, ""]:
    """Return the norm of the gradients that this rank holds."""
    gradients = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is not None:
                gradients.append(gradient.to_local() if hasattr(gradient, "to_local") else gradient)
    return torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())


def _names(batch: Any) -> tuple[str, ...]:
    name = getattr(batch, "name", ())
    return (name,) if isinstance(name, str) else tuple(name)


def _sums(batch: Any) -> dict[str, Float[Tensor, " b"]]:
    """Return a sum over every field of a batch of clips in which NaN has no meaning, one number a clip."""
    if not is_dataclass(batch):
        return {}
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    if isinstance(cameras := values.pop("cameras", None), Cameras):
        values |= {"cameras": cameras.cam_from_world, "intrinsics": cameras.intrinsics}
    sums = {}
    for name, value in values.items():
        is_floating = isinstance(value, Tensor) and value.is_floating_point()
        if is_floating and value.ndim > 1 and name not in MAY_HOLD_NAN:
            sums[name] = value.detach().flatten(1).sum(dim=1, dtype=torch.float32)
    return sums
