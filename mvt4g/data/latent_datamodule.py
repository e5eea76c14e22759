"""Training from a cache of latents, as ``mvt4g precompute`` or ReCamMaster wrote it."""

from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from mvt4g.data.clip_sources import Split
from mvt4g.data.latent_clips import HeldOutLatents, LatentSamples, open_latents
from mvt4g.data.loading import LoaderSpec
from mvt4g.data.step_datamodule import StepDataModule
from mvt4g.data.views import ViewSpec
from mvt4g.ranges import Count, Seed
from mvt4g.types import InputError, LatentClip


class LatentDataModule(StepDataModule):
    """Clips that were encoded once: a step runs neither codec nor text encoder.

    Frames, crops and colours were chosen when the cache was made; what is left to draw is the order of clips and the
    pair of views, as ``KubricDataModule`` draws them. Validation and test decode the latents of a cache to see the
    video, so that their scores are against what the codec makes of it.
    """

    def __init__(
        self,
        train: Path | None = None,
        val: Path | None = None,
        test: Path | None = None,
        loader: LoaderSpec = LoaderSpec(),
        views: ViewSpec = ViewSpec(),
        num_held_out: Count = 32,
        seed: Seed = 0,
    ) -> None:
        """Take note of the caches; they are opened in ``setup``.

        Args:
            train: A folder with one or several caches at or below it.
            val: The same for validation; None = no validation.
            test: The same for test.
            loader: Batches and workers.
            views: Which views may be reference and target.
            num_held_out: Clips of ``val`` and ``test``, at most.
            seed: Of the draws.
        """
        super().__init__()
        self.paths: dict[Split, Path | None] = {"train": train, "val": val, "test": test}
        self.loader = loader
        self.views = views
        self.num_held_out = num_held_out
        self.seed = seed
        self._samples: dict[Split, Dataset[LatentClip | InputError]] = {}

    def setup(self, stage: str) -> None:
        """Open the caches that a stage needs.

        Raises:
            InputError: If one is not given, or not there.
        """
        needed: dict[str, Split] = {"fit": "train", "validate": "val", "test": "test"}
        if stage in needed:
            split = needed[stage]
            if self.paths[split] is None:
                raise InputError(f"data.{split}: got null, want a folder of cached latents")
            self._open(split)
        if stage == "fit":  # validates if there is something to validate on
            self._open("val")

    def samples(self, split: Split) -> Dataset[LatentClip | InputError]:
        """Return the samples of a split that ``setup`` opened."""
        return self._samples[split]

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Return the validation clips in order; none without a cache for them."""
        return super().val_dataloader() if "val" in self._samples else []

    def _open(self, split: Split) -> None:
        path = self.paths[split]
        if path is None or split in self._samples:
            return
        clips = open_latents(path)
        if split == "train":
            self._samples[split] = LatentSamples(clips, self.views, self.seed)
        else:
            self._samples[split] = HeldOutLatents(clips, self.views, self.num_held_out)
