"""Going on after a bad item of a list: what a step does with one, and with a batch that is only repeated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch.distributed
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric

from mvt4g.data.shares import ShareSampler
from mvt4g.types import InputError

Step = Callable[..., Any]


class Repeated:
    """Output of a batch that only repeats what another rank has, and counts nowhere."""


def going_on(step: Step) -> Step:
    """Make a step of test or predict return what is wrong with its batch in place of its output.

    What is wrong is the batch itself, where an ``InputError`` came in a clip's place, or what the step raises; metrics
    are left as they were before it. Where ranks run in step (FSDP2), one cannot go on alone, and the error is raised.
    A batch that only repeats what another rank has is run where ranks run in step, and leaves nothing.

    Args:
        step: ``test_step`` or ``predict_step`` of a LightningModule.
    """

    @wraps(step)
    def guarded(self: LightningModule, batch: Any, batch_idx: int) -> Any:
        if not _is_attached(self):
            return step(self, batch, batch_idx)
        in_step = self.device_mesh is not None
        if isinstance(batch, InputError):
            if in_step:
                raise batch
            return batch
        if _is_repeat(self.trainer, batch_idx):
            if in_step:
                with undone(self):
                    step(self, batch, batch_idx)
            return Repeated()
        try:
            with undone(self, only_if_it_fails=True):
                return step(self, batch, batch_idx)
        except InputError as error:
            if in_step:
                raise
            error.item = error.item or _item_name(batch)
            return error

    return guarded


@contextmanager
def undone(module: nn.Module, only_if_it_fails: bool = False) -> Iterator[None]:
    """Leave all metrics of a module as they were before the block.

    Args:
        module: Whose metrics, at any depth.
        only_if_it_fails: Only when the block raises an ``InputError``.
    """
    kept = [(metric, _state(metric), metric._update_count) for metric in module.modules() if isinstance(metric, Metric)]
    failed = False
    try:
        yield
    except InputError:
        failed = True
        raise
    finally:
        if failed or not only_if_it_fails:
            for metric, state, count in kept:
                metric._update_count, metric._computed = count, None
                for name, value in state.items():
                    setattr(metric, name, value)


def agree_on_updates(module: nn.Module) -> None:
    """Let every rank count a metric as updated that any rank has updated: computing one is for all ranks or for none.

    A rank that has no item of its own, or whose items were all bad, has updated none. All ranks must call it.

    Args:
        module: Whose metrics, at any depth.
    """
    metrics = [metric for metric in module.modules() if isinstance(metric, Metric)]
    by_rank = gathered([metric.update_called for metric in metrics])
    for metric, updated in zip(metrics, zip(*by_rank, strict=True), strict=True):
        if any(updated):
            metric._update_count = max(1, metric._update_count)


def gathered(value: Any) -> list[Any]:
    """Return the value of every rank, in their order; all ranks must call it."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def _state(metric: Metric) -> dict[str, Any]:
    """Return a copy of a metric's sums and lists; the entries of lists are never written into."""
    return {
        name: value.clone() if isinstance(value, Tensor) else list(value) for name, value in metric.metric_state.items()
    }


def _is_attached(module: LightningModule) -> bool:
    """Say whether a trainer runs the module: without one there is no list to go on with, and an error is raised."""
    try:
        return module.trainer is not None
    except RuntimeError:
        return False


def _is_repeat(trainer: Any, batch_idx: int) -> bool:
    loader = trainer.test_dataloaders if trainer.testing else trainer.predict_dataloaders
    batches = getattr(loader, "batch_sampler", None)
    sampler = getattr(batches, "sampler", None)  # predict's loader is wrapped by Lightning
    return isinstance(sampler, ShareSampler) and sampler.is_repeat(batch_idx)


def _item_name(batch: Any) -> str:
    """Return what a batch's items are called, as far as it knows."""
    item = getattr(batch, "item", "") or getattr(getattr(batch, "clip", batch), "name", getattr(batch, "names", ""))
    return ", ".join(map(str, item)) if isinstance(item, tuple | list) else str(item)
