"""Synthetic clips as a source: generated when asked for, kept on disk if wished, the same whoever asks."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mvt4g.data.clip_sources import Split
from mvt4g.data.frame_rates import select_frames
from mvt4g.formats.atomic import appearing
from mvt4g.formats.clip_cache import read_clip, write_clip
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.synthetic.spec import RECIPE_VERSION, SceneSpec
from mvt4g.types import TARGET, InputError, MultiViewClip

FIRST_INDEX: dict[Split, int] = {"train": 0, "val": 100_000_000, "test": 200_000_000}
"""Where each split's clip indices start; a split holds less than the distance to the next."""
MAX_CLIPS = 100_000_000
KEPT_BYTES = 2**26
"""Most memory that clips without a cache on disk take in a process: those that come first stay there."""


class SyntheticClips:
    """Clips of one split of a recipe, by number: a ``ClipSource``.

    Clip ``i`` depends on the recipe, the seed, the split and ``i`` alone.
    """

    def __init__(
        self, scene: SceneSpec, split: Split, num_clips: int, seed: int, cache_dir: Path | None = None
    ) -> None:
        """Describe the clips; none is generated yet.

        Args:
            scene: The recipe.
            split: Which indices to use; no two splits share one.
            num_clips: Different clips in the split.
            seed: Of the clips.
            cache_dir: Where clips are kept as ``<recipe>/<split>/<index>.npz``; None keeps the first of them in memory,
                up to ``KEPT_BYTES``, and generates the others every time.

        Raises:
            InputError: If the recipe has a single view, or a number is out of range.
        """
        if scene.num_views <= TARGET:
            want = "a reference and a target at least"
            raise InputError(f"scene.num_views: got {scene.num_views}, want {want}")
        if not 1 <= num_clips <= MAX_CLIPS or seed < 0:
            want = f"1 to {MAX_CLIPS} clips and a seed >= 0"
            raise InputError(f"num_{split}, seed: got {num_clips}, {seed}, want {want}")
        self.scene = scene
        self.split = split
        self.num_clips = num_clips
        self.seed = seed
        self.folder = None if cache_dir is None else Path(cache_dir) / recipe_hash(scene, seed) / split
        self._kept: dict[int, MultiViewClip] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        """Return the number of different clips."""
        return self.num_clips

    @property
    def names(self) -> Sequence[str]:
        """What the clips are called."""
        first = FIRST_INDEX[self.split]
        return [f"synthetic-{self.seed}-{index:06d}" for index in range(first, first + self.num_clips)]

    def count(self, number: int, /) -> tuple[int, int]:
        """Return how many views and frames a clip has."""
        return self.scene.num_views, self.scene.num_frames

    def read(self, number: int, selection: Selection = EVERYTHING, /) -> MultiViewClip:
        """Return clip ``number``, or some views and frames of it.

        Raises:
            InputError: As ``clip``.
        """
        clip = self.clip(number)
        if selection.views is not None:
            clip = clip.select_views(selection.views)
        return clip if selection.frames is None else select_frames(clip, selection.frames)

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
        if number in self._kept:
            return self._kept[number]
        clip = _generate(self.scene, self.seed, index, path)
        if path is None:
            self._keep(number, clip)
        else:
            self._describe(path.parents[1] / "recipe.json")
            write_clip(path, clip)
        return clip

    def _keep(self, number: int, clip: MultiViewClip) -> None:
        """Keep a clip in memory while there is room: a short fit comes to the same few again and again."""
        if self._kept_bytes + clip.nbytes <= KEPT_BYTES:
            self._kept[number] = clip
            self._kept_bytes += clip.nbytes

    def _describe(self, path: Path) -> None:
        """Leave the recipe beside its clips, for people."""
        if not path.exists():
            text = json.dumps(_describe_recipe(self.scene, self.seed), indent=2)
            with appearing(path) as temporary:
                temporary.write_text(text + "\n")


def recipe_hash(scene: SceneSpec, seed: int) -> str:
    """Return the name of a recipe's folder: 16 hexadecimal digits that change with any value of it."""
    text = json.dumps(_describe_recipe(scene, seed), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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


def _describe_recipe(scene: SceneSpec, seed: int) -> dict[str, Any]:
    """Return all that a clip depends on, but its index, as JSON; 42 and 42.0 are the same."""
    return {"version": RECIPE_VERSION, "seed": seed, "scene": _plain(dataclasses.asdict(scene))}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    if isinstance(value, Path):
        return str(value)
    # One recipe may be written with 42 and with 42.0.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
