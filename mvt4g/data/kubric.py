"""Synthetic clips as a dataset: generated when asked for, kept on disk if wished, the same whoever asks."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from mvt4g.formats.atomic import appearing
from mvt4g.formats.clip_cache import read_clip, write_clip
from mvt4g.synthetic.spec import RECIPE_VERSION, SceneSpec
from mvt4g.types import REFERENCE, TARGET, InputError, MultiViewClip

Split = Literal["train", "val", "test"]

FIRST_INDEX: dict[Split, int] = {"train": 0, "val": 100_000_000, "test": 200_000_000}
"""Where each split's clip indices start; a split holds less than the distance to the next."""
MAX_CLIPS = 100_000_000
ORDER_STREAM, PAIR_STREAM = 1, 2
"""Third parts of the random seeds that choose clips and what is taken of them; clips themselves have two parts."""
GAIN = (0.7, 1.2)


class SyntheticClips(Dataset[MultiViewClip | InputError]):
    """Clips of one split, with the two views a model is given: 0 the reference, 1 the target.

    Validation and test item ``i`` is clip ``i`` with its first two views. Training has endless samples: each pass over
    the clips is in another order, and every sample takes another ordered pair of views. What a sample is depends on
    its number, the recipe and the seed alone.

    Bad data comes back as an ``InputError`` item, since raising in a DataLoader worker would wrap it.
    """

    def __init__(
        self,
        scene: SceneSpec,
        split: Split,
        num_clips: int,
        seed: int,
        cache_dir: Path | None = None,
        augment_colour: bool = False,
    ) -> None:
        """Describe the clips; none is generated yet.

        Args:
            scene: The recipe.
            split: Which indices to use; no two splits share one.
            num_clips: Different clips in the split.
            seed: Of the clips and of the order they come in.
            cache_dir: Where clips are kept as ``<recipe>/<split>/<index>.npz``; None generates every time.
            augment_colour: Permute and scale the colour channels of training samples, alike in all views.

        Raises:
            InputError: If the recipe has a single view, or a number is out of range.
        """
        if scene.num_views <= TARGET:
            raise InputError(f"scene.num_views: got {scene.num_views}, want a reference and a target at least")
        if not 1 <= num_clips <= MAX_CLIPS or seed < 0:
            raise InputError(f"num_{split}, seed: got {num_clips}, {seed}, want 1 to {MAX_CLIPS} clips and a seed >= 0")
        self.scene, self.split, self.num_clips, self.seed = scene, split, num_clips, seed
        self.augment_colour = augment_colour
        self.folder = None if cache_dir is None else Path(cache_dir) / recipe_hash(scene, seed) / split

    def __len__(self) -> int:
        """Return the number of different clips."""
        return self.num_clips

    def __getitem__(self, sample: int) -> MultiViewClip | InputError:
        """Return a sample, or what is wrong with it."""
        try:
            return self._train_sample(sample) if self.split == "train" else self._held_out(sample)
        except InputError as error:
            return error

    def clip(self, number: int) -> MultiViewClip:
        """Return clip ``number`` of the split with all its views, from the cache or newly made.

        Two processes may make the same clip at once: both write the same bytes, and a file appears whole.

        Raises:
            InputError: If it is not cached and cannot be made here, or its file is broken.
        """
        index = FIRST_INDEX[self.split] + number
        path = None if self.folder is None else self.folder / f"{index:09d}.npz"
        if path is not None and path.exists():
            return read_clip(path)
        clip = _generate(self.scene, self.seed, index, path)
        if path is not None:
            self._describe(path.parents[1] / "recipe.json")
            write_clip(path, clip)
        return clip

    def _train_sample(self, sample: int) -> MultiViewClip:
        done, position = divmod(sample, self.num_clips)
        clip = self.clip(int(_order(self.seed, done, self.num_clips)[position]))
        rng = np.random.default_rng((self.seed, PAIR_STREAM, sample))
        pair = rng.choice(self.scene.num_views, 2, replace=False)
        clip = clip.select_views(pair.tolist())
        return dataclasses.replace(clip, video=recolour(clip.video, rng)) if self.augment_colour else clip

    def _held_out(self, number: int) -> MultiViewClip:
        if not 0 <= number < self.num_clips:
            raise IndexError(number)  # what ends iteration over a sequence
        return self.clip(number).select_views([REFERENCE, TARGET])

    def _describe(self, path: Path) -> None:
        """Leave the recipe beside its clips, for people."""
        if not path.exists():
            with appearing(path) as temporary:
                temporary.write_text(json.dumps(_described(self.scene, self.seed), indent=2) + "\n")


class StepSampler(DistributedSampler[int]):
    """Endless sample numbers of one rank, from a global step on: the same whether training ran through or resumed.

    Sample number = ((step * accumulate + micro-batch) * world + rank) * batch + place in the batch. It is a
    DistributedSampler so that Lightning leaves it in place on several ranks, and has no length.
    """

    def __init__(
        self, step: Callable[[], int], batch_size: int, accumulate: int = 1, rank: int = 0, world: int = 1
    ) -> None:
        """Describe the ranks; DistributedSampler's own arguments do not apply.

        Args:
            step: Tells the optimizer steps done; asked each time iteration starts.
            batch_size: Samples a micro-batch of one rank.
            accumulate: Micro-batches an optimizer step.
            rank: This process among ``world``.
            world: Processes.
        """
        self.step, self.batch_size, self.accumulate, self.rank, self.world = step, batch_size, accumulate, rank, world

    def __iter__(self) -> Iterator[int]:
        """Yield sample numbers without end."""
        micro_batch = self.step() * self.accumulate
        while True:
            first = (micro_batch * self.world + self.rank) * self.batch_size
            yield from range(first, first + self.batch_size)
            micro_batch += 1

    def __len__(self) -> int:
        """There is none.

        Raises:
            TypeError: Always; DataLoader and Lightning take it as endless.
        """
        raise TypeError("training is counted in steps: its sampler has no length")


def recipe_hash(scene: SceneSpec, seed: int) -> str:
    """Return the name of a recipe's folder: 16 hexadecimal digits that change with any value of it."""
    return hashlib.sha256(json.dumps(_described(scene, seed), sort_keys=True).encode()).hexdigest()[:16]


def recolour(video: Float[Tensor, "*b c h w"], rng: np.random.Generator) -> Float[Tensor, "*b c h w"]:
    """Permute the colour channels and scale each by its own gain; values stay in [0, 1]."""
    channels = torch.from_numpy(rng.permutation(video.shape[-3]))
    gains = torch.from_numpy(rng.uniform(*GAIN, video.shape[-3])).to(video.dtype)
    return (video.index_select(-3, channels) * gains[:, None, None]).clamp(0, 1)


def _generate(scene: SceneSpec, seed: int, index: int, path: Path | None) -> MultiViewClip:
    """Make a clip; what makes it is imported only now, so that a box with a full cache needs none of it."""
    try:
        from mvt4g.synthetic.generate import generate_clip
    except ImportError as error:
        where = "no cache_dir is given" if path is None else f"{path} is not there"
        raise InputError(
            f"clip {index}: {where} and it cannot be generated here ({error}), want a full cache"
        ) from error
    return generate_clip(scene, seed, index)


@lru_cache(maxsize=2)
def _order(seed: int, done: int, count: int) -> Int[ndarray, " count"]:
    """Return the order of a pass over the training clips."""
    return np.random.default_rng((seed, ORDER_STREAM, done)).permutation(count)


def _described(scene: SceneSpec, seed: int) -> dict[str, Any]:
    """Return all that a clip depends on, but its index, as JSON; 42 and 42.0 are the same."""
    return {"version": RECIPE_VERSION, "seed": seed, "scene": _numbers_as_floats(dataclasses.asdict(scene))}


def _numbers_as_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers_as_floats(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers_as_floats(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
