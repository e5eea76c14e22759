"""Base of the datamodules to train from: samples by the trainer's step, held-out ones in order."""

from collections.abc import Callable
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from mvt4g.data.clip_sources import Split
from mvt4g.data.loading import LoaderSpec, Survivors, collate, collate_survivors, goes_on, raise_if_error
from mvt4g.data.shares import share_of
from mvt4g.data.steps import StepSampler, data_ranks
from mvt4g.types import InputError


class StepDataModule(LightningDataModule):
    """Loads what ``samples`` gives. A resumed fit goes on with the samples that would have come next.

    Attributes:
        loader: Batches and workers.
        bad_items: What was wrong with clips of a test that went on without them.
    """

    loader: LoaderSpec

    def __init__(self) -> None:
        super().__init__()
        self.bad_items: list[InputError] = []

    def samples(self, split: Split) -> Dataset[Any]:
        """Return the samples of a split, an ``InputError`` in the place of what is wrong.

        Raises:
            InputError: If they cannot be opened.
        """
        raise NotImplementedError

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the samples from the trainer's step on; Lightning restores the step before it asks."""
        trainer = self.trainer
        assert trainer is not None, "a training loader depends on the trainer's step, rank and accumulation"
        sampler = StepSampler(
            step=lambda: trainer.global_step,
            batch_size=self.loader.batch_size,
            accumulate=trainer.accumulate_grad_batches,
            **data_ranks(trainer.distributed_sampler_kwargs),
        )
        return self._loader("train", sampler)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Return the validation clips in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the test clips in order, each to one rank."""
        sampler = share_of(self.samples("test"), self.loader.batch_size, self.trainer)  # type: ignore[arg-type]  # has a length
        return self._loader("test", sampler, collate_survivors)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Raise here, in the main process, what a worker found wrong; a test notes it and goes on with the others.

        Raises:
            InputError: The worker's.
        """
        if not goes_on(self.trainer):
            return raise_if_error(batch.errors[0] if isinstance(batch, Survivors) else batch)
        if not isinstance(batch, Survivors):
            return batch
        if batch.batch is not None:
            self.bad_items += batch.errors
            return batch.batch
        # The step reports the first one itself.
        self.bad_items += batch.errors[1:]
        return batch.errors[0]

    def _loader(
        self, split: Split, sampler: Sampler[int] | None = None, collate_fn: Callable[[Any], Any] = collate
    ) -> DataLoader[Any]:
        return DataLoader(
            self.samples(split),
            batch_size=self.loader.batch_size,
            sampler=sampler,
            shuffle=False,
            collate_fn=collate_fn,
            **self.loader.worker_options(),
        )
