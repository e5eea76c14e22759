"""Exponential moving average of the trainable weights."""

from typing import Any

import torch
from jaxtyping import Float
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from mvt4g.callbacks.checkpoint_content import check_average
from mvt4g.callbacks.checkpoints import warn
from mvt4g.ranges import ShareBelowOne
from mvt4g.types import InputError


class EMA(Callback):
    """Averages trainable parameters in fp32 after every optimizer step; validation, test and predict use the average.

    Training weights are put back bit for bit afterwards. Each rank averages the parameters it holds, so sharded
    parameters stay sharded.

    Args:
        max_decay: The decay is min(max_decay, (1 + n) / (10 + n)) at the n-th step.
    """

    def __init__(self, max_decay: ShareBelowOne = 0.999) -> None:
        super().__init__()
        if not 0 <= max_decay < 1:
            raise InputError(f"EMA.max_decay: got {max_decay}, want 0 <= max_decay < 1")
        self.max_decay = max_decay
        self.average: dict[str, Tensor] = {}
        self.num_updates = 0
        self._training_weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start from the weights as they are, unless a checkpoint brought an average."""
        if not self.average:
            for name, value in pl_module.named_parameters():
                if value.requires_grad:
                    self.average[name] = value.detach().float().clone()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Check that a checkpoint's average is of these weights; say so if it has none.

        Raises:
            InputError: As ``check_average``, or if the number of its steps is none.
        """
        state = checkpoint.get("callbacks", {}).get(self.state_key)
        fit = trainer.state.fn == "fit"
        if state is None:
            now = "starts anew from its weights" if fit else "is not there: the training weights are used"
            warn(f"--ckpt_path: the checkpoint holds no EMA average; it {now}")
            return
        if not isinstance(state, dict) or not isinstance(state.get("num_updates"), int):
            raise InputError("--ckpt_path: got an EMA average without num_updates, want that of a fit")
        check_average(state.get("average"), pl_module, fit)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Average once for every optimizer step, however many micro-batches it took."""
        if trainer.global_step == self.num_updates:
            return
        # The first averages follow the weights closely: those of the start are far from what is learned.
        decay = min(self.max_decay, (1 + self.num_updates) / (10 + self.num_updates))
        self.num_updates = trainer.global_step
        parameters = self._place(pl_module)
        with torch.no_grad():
            new = [parameters[name].detach().float() for name in self.average]
            torch._foreach_lerp_(list(self.average.values()), new, 1 - decay)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the average in place."""
        self._swap_in(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the training weights back."""
        self._swap_out(pl_module)

    on_test_start = on_predict_start = on_validation_start
    on_test_end = on_predict_end = on_validation_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Put the training weights back, so that a checkpoint saved on the way out holds them."""
        self._swap_out(pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Return the average for the checkpoint, whole where it lies in slices: all ranks have to ask for it."""
        whole = dict(self.average)
        for name, value in whole.items():
            if isinstance(value, DTensor):
                whole[name] = value.full_tensor()
        return {"average": whole, "num_updates": self.num_updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the average from a checkpoint."""
        self.average = {name: value.clone() for name, value in state_dict["average"].items()}
        self.num_updates = state_dict["num_updates"]

    def _swap_in(self, pl_module: LightningModule) -> None:
        parameters = self._place(pl_module)
        self._training_weights = {name: parameters[name].detach().clone() for name in self.average}
        _copy_into(parameters, self.average)

    def _swap_out(self, pl_module: LightningModule) -> None:
        _copy_into(dict(pl_module.named_parameters()), self._training_weights)
        self._training_weights = {}

    def _place(self, pl_module: LightningModule) -> dict[str, torch.nn.Parameter]:
        """Bring the average where the parameters are, and return these: a checkpoint brings it whole, on the CPU."""
        parameters = dict(pl_module.named_parameters())
        for name, value in self.average.items():
            self.average[name] = _place_as(parameters[name], value)
        return parameters


def _place_as(parameter: torch.nn.Parameter, value: Float[Tensor, " *s"]) -> Float[Tensor, " *s"]:
    value = value.to(parameter.device)
    if isinstance(parameter, DTensor) and not isinstance(value, DTensor):
        return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
    return value


@torch.no_grad()
def _copy_into(parameters: dict[str, torch.nn.Parameter], values: dict[str, Float[Tensor, "..."]]) -> None:
    for name, value in values.items():
        parameters[name].copy_(value)
