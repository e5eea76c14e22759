"""Kubric-like synthetic scenes for fit, validate and test."""

from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from mvt4g.data.kubric import StepSampler, SyntheticClips
from mvt4g.data.loading import LoaderSpec, collate, raise_if_error
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import InputError, MultiViewClip


class KubricDataModule(LightningDataModule):
    """Train clips in an endless order that depends on the step alone, fixed validation and test clips.

    Training is counted in steps: give the trainer ``max_steps``, ``val_check_interval`` in steps and
    ``check_val_every_n_epoch=None``. A resumed fit goes on with the samples that would have come next.
    """

    def __init__(
        self,
        scene: SceneSpec = SceneSpec(),
        loader: LoaderSpec = LoaderSpec(),
        cache_dir: Path | None = None,
        num_train: int = 20_000,
        num_val: int = 32,
        num_test: int = 32,
        seed: int = 0,
        augment_colour: bool = False,
    ) -> None:
        """Set up the three splits; clips are made when they are asked for.

        Args:
            scene: The recipe of all splits.
            loader: Batches and workers.
            cache_dir: Keeps generated clips; a full cache needs neither Open3D nor MuJoCo.
            num_train: Different training clips before a second pass starts.
            num_val: Validation clips.
            num_test: Test clips.
            seed: Of the clips and their order.
            augment_colour: Permute and scale colour channels in training.
        """
        super().__init__()
        self.loader = loader
        self.train_clips = SyntheticClips(scene, "train", num_train, seed, cache_dir, augment_colour)
        self.val_clips = SyntheticClips(scene, "val", num_val, seed, cache_dir)
        self.test_clips = SyntheticClips(scene, "test", num_test, seed, cache_dir)

    def train_dataloader(self) -> DataLoader[MultiViewClip | InputError]:
        """Return the samples from the trainer's step on; Lightning restores the step before it asks."""
        trainer = self.trainer
        assert trainer is not None, "a training loader depends on the trainer's step, rank and accumulation"
        sampler = StepSampler(
            step=lambda: trainer.global_step,
            batch_size=self.loader.batch_size,
            accumulate=trainer.accumulate_grad_batches,
            rank=trainer.global_rank,
            world=trainer.world_size,
        )
        return self._loader(self.train_clips, sampler)

    def val_dataloader(self) -> DataLoader[MultiViewClip | InputError]:
        """Return the validation clips in order."""
        return self._loader(self.val_clips)

    def test_dataloader(self) -> DataLoader[MultiViewClip | InputError]:
        """Return the test clips in order."""
        return self._loader(self.test_clips)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Raise here, in the main process, what a worker found wrong.

        Raises:
            InputError: The worker's.
        """
        return raise_if_error(batch)

    def _loader(
        self, clips: SyntheticClips, sampler: StepSampler | None = None
    ) -> DataLoader[MultiViewClip | InputError]:
        return DataLoader(
            clips,
            batch_size=self.loader.batch_size,
            sampler=sampler,
            shuffle=False,
            collate_fn=collate,
            **self.loader.worker_options(),
        )
