"""Going on after a bad item of a list: what a step does with one, and with a batch that is only repeated."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from lightning.pytorch import LightningModule

from mvt4g.data.shares import ShareSampler
from mvt4g.systems.metric_shares import undone
from mvt4g.systems.scored_batches import score_once, scored_batches
from mvt4g.types import InputError

Step = Callable[..., Any]


class Repeated:
    """Output of a batch that only repeats what another rank has, and counts nowhere."""


def going_on(step: Step) -> Step:
    """Make a step of test or predict return what is wrong with its batch in place of its output.

    What is wrong is the batch itself, where an ``InputError`` came in a clip's place, or what the step raises; metrics
    are left as they were before it. Where ranks run in step (FSDP2), one cannot go on alone, and the error is raised.
    A batch that only repeats what another rank has is run where ranks run in step, and leaves nothing. One that an
    earlier start of the command has scored is not run: see ``ScoredBatches``.

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
                with undone(self):  # ranks agree on what is left out, so that this one must be asked too
                    score_once(self, batch, batch_idx, lambda: step(self, batch, batch_idx), in_step)
            return Repeated()
        try:
            return score_once(self, batch, batch_idx, lambda: step(self, batch, batch_idx), in_step)
        except InputError as error:
            if in_step:
                raise
            error.item = error.item or _item_name(batch)
            return error

    return guarded


def scored_before(step: Step) -> Step:
    """Make ``validation_step`` leave out the batches that an earlier start of ``mvt4g validate`` has scored.

    Args:
        step: Of a LightningModule; a fit's validation runs it as it is.
    """

    @wraps(step)
    def guarded(self: LightningModule, batch: Any, batch_idx: int) -> Any:
        if not _is_attached(self) or scored_batches(self.trainer) is None:
            return step(self, batch, batch_idx)
        in_step = self.device_mesh is not None
        return score_once(self, batch, batch_idx, lambda: step(self, batch, batch_idx), in_step)

    return guarded


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
    # Batches of folders have an item, those of real videos a clip, those of generated ones names.
    clip = getattr(batch, "clip", batch)
    name = getattr(clip, "name", getattr(batch, "names", ""))
    item = getattr(batch, "item", "") or name
    return ", ".join(map(str, item)) if isinstance(item, tuple | list) else str(item)
