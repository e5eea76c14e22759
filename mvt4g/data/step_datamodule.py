"""What datamodules to train from share: samples by the trainer's step, held-out ones in order."""

from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from mvt4g.data.clip_sources import Split
from mvt4g.data.loading import LoaderSpec, collate, raise_if_error
from mvt4g.data.steps import StepSampler, data_ranks


class StepDataModule(LightningDataModule):
    """Loads what ``samples`` gives. A resumed fit goes on with the samples that would have come next.

    Attributes:
        loader: Batches and workers.
    """

    loader: LoaderSpec

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
        """Return the test clips in order."""
        return self._loader("test")

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Raise here, in the main process, what a worker found wrong.

        Raises:
            InputError: The worker's.
        """
        return raise_if_error(batch)

    def _loader(self, split: Split, sampler: StepSampler | None = None) -> DataLoader[Any]:
        return DataLoader(
            self.samples(split),
            batch_size=self.loader.batch_size,
            sampler=sampler,
            shuffle=False,
            collate_fn=collate,
            **self.loader.worker_options(),
        )
