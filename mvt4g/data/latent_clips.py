"""Clips whose videos are encoded, of our cache or ReCamMaster's, as samples of two views."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int
from torch.utils.data import Dataset

from mvt4g.data.samples import ORDER_STREAM, PAIR_STREAM
from mvt4g.data.views import ViewSpec
from mvt4g.formats import latent_file
from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.manifest import MANIFEST
from mvt4g.formats.readers import recammaster_cache
from mvt4g.types import InputError, LatentClip


@runtime_checkable
class LatentClips(Protocol):
    """Encoded clips by number, of which only the views asked for are read."""

    root: Path

    def __len__(self) -> int:
        """Return the number of clips."""

    def num_views(self, index: int, /) -> int:
        """Return how many views a clip has.

        Raises:
            InputError: If it is broken.
        """

    def read(self, index: int, views: Sequence[int], /) -> LatentClip:
        """Return some views of a clip.

        Raises:
            InputError: If it is broken.
        """


class CachedClips:
    """What ``mvt4g precompute`` wrote at or below a folder, in as many parts as it was written in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files: list[Path] = []
        # A file without a manifest above it is of a cache that is not ours, or was never begun.
        for manifest in sorted(root.rglob(MANIFEST)):
            files += manifest.parent.rglob(latent_file.FILE)
        self.files = sorted(files, key=lambda file: natural_key(str(file)))

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.files)

    def num_views(self, index: int, /) -> int:
        """Return how many views a clip has.

        Raises:
            InputError: If its file is broken.
        """
        return latent_file.num_views(self.files[index])

    def read(self, index: int, views: Sequence[int], /) -> LatentClip:
        """Return some views of a clip, with the text of its caption.

        Raises:
            InputError: If its file, or that of its text, is broken or not there.
        """
        file = self.files[index]
        cache = next(folder for folder in file.parents if (folder / MANIFEST).is_file())
        return latent_file.with_text(latent_file.read_latents(file, views), cache)


class ReCamMasterCache:
    """Scenes of MultiCamVideo with ReCamMaster's ``.tensors.pth`` beside their videos."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scenes = recammaster_cache.list_clips(root)

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.scenes)

    def num_views(self, index: int, /) -> int:
        """Return how many views of a scene are encoded."""
        return recammaster_cache.count_views(self.scenes[index])

    def read(self, index: int, views: Sequence[int], /) -> LatentClip:
        """Return some views of a scene.

        Raises:
            InputError: As the format's reader.
        """
        scene = self.scenes[index]
        clip = recammaster_cache.read(scene, views)
        return replace(clip, name=scene.relative_to(self.root).as_posix())


def open_latents(root: Path) -> LatentClips:
    """Open a cache of either kind; no clip is read.

    Raises:
        InputError: If there is none.
    """
    ours = CachedClips(root)
    if len(ours):
        return ours
    if root.is_dir() and recammaster_cache.is_recammaster_cache(root):
        return ReCamMasterCache(root)
    want = f"one of mvt4g precompute ({MANIFEST}) or ReCamMaster's"
    raise InputError(f"{root}: got no cache there, want {want}")


class LatentSamples(Dataset[LatentClip | InputError]):
    """Endless training samples by number: the order of clips and the pair of views follow (seed, number) alone."""

    def __init__(self, clips: LatentClips, views: ViewSpec, seed: int) -> None:
        self.clips = clips
        self.views = views
        self.seed = seed

    def __getitem__(self, sample: int) -> LatentClip | InputError:
        """Return a sample, or what is wrong with it."""
        try:
            done, position = divmod(sample, len(self.clips))
            index = int(_order(self.seed, done, len(self.clips))[position])
            rng = np.random.default_rng((self.seed, PAIR_STREAM, sample))
            what = f"{self.clips.root}: clip {index}"
            return self.clips.read(index, self.views.draw(self.clips.num_views(index), rng, what))
        except InputError as error:
            return error


class HeldOutLatents(Dataset[LatentClip | InputError]):
    """Every clip once, the first pair of views."""

    def __init__(self, clips: LatentClips, views: ViewSpec, most: int) -> None:
        self.clips = clips
        self.views = views
        self.count = min(most, len(clips))

    def __len__(self) -> int:
        """Return the number of clips."""
        return self.count

    def __getitem__(self, index: int) -> LatentClip | InputError:
        """Return a clip, or what is wrong with it."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        what = f"{self.clips.root}: clip {index}"
        try:
            return self.clips.read(index, self.views.pairs(self.clips.num_views(index), what)[0])
        except InputError as error:
            error.item = what
            return error


@lru_cache(maxsize=16)
def _order(seed: int, done: int, count: int) -> Int[np.ndarray, " {count}"]:
    """Return the order of a pass: that of ``TrainingSamples`` over one source."""
    return np.random.default_rng((seed, ORDER_STREAM, done)).permutation(count)
