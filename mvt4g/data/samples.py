"""From clips of any source to the samples a model is given: two views, some frames, a crop, a number of points, a look.

Every draw of a training sample follows (seed, sample number) alone, each kind of draw in a stream of its own: worker
count, batch size and a resume change nothing, and neither does one option the draws of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch.utils.data import Dataset

from mvt4g.data.augment import AugmentSpec
from mvt4g.data.clip_sources import OpenSource, SourceSpec, check_sources
from mvt4g.data.colours import recolour
from mvt4g.data.crops import CropSpec, Window, crop_clip
from mvt4g.data.frame_rates import OF_EVERY_VIEW, FrameSpec, at_stride, play_backwards
from mvt4g.data.mixture import Turns, keep_common, name_after
from mvt4g.data.points import take_points
from mvt4g.data.views import ViewSpec
from mvt4g.formats.readers.selection import Selection
from mvt4g.ranges import Points, check_ranges
from mvt4g.types import Cameras, InputError, MultiViewClip

ORDER_STREAM = 1
PAIR_STREAM = 2
FRAME_STREAM = 4
CROP_STREAM = 5
POINT_STREAM = 6
JITTER_STREAM = 7
ERASER_STREAM = 8
DIRECTION_STREAM = 9
"""Third parts of the random seeds that choose clips and what is taken of them (3 is ``mixture.TURN_STREAM``)."""


@dataclass(frozen=True)
class SamplingSpec:
    """What samples are drawn from and what is taken of each clip. Held-out clips take the first choice, not a draw.

    Attributes:
        sources: Of all splits; a split without one has the datamodule's generated scenes.
        views: Which views may be reference and target.
        frames: How many, at which rates.
        crop: Which part of the frames, at which size.
        num_points: Points of every sample, of those that are visible in it; None = all the clip has. Clips without
            tracks get so many places for points that hold none: they teach L_diff alone.
        augment: Colours and erased boxes, in training only.
    """

    sources: tuple[SourceSpec, ...] = ()
    views: ViewSpec = ViewSpec()
    frames: FrameSpec = FrameSpec()
    crop: CropSpec = CropSpec()
    num_points: Points | None = None
    augment: AugmentSpec = AugmentSpec()

    def __post_init__(self) -> None:
        """Check what concerns more than one part.

        Raises:
            InputError: If a number is out of range, two sources of a split have one name, or several sources are not
                brought to one size.
        """
        check_ranges(self, "sampling")
        if self.num_points is not None and self.num_points < 1:
            raise InputError(f"sampling.num_points: got {self.num_points}, want at least 1, or null for all")
        check_sources(self.sources)
        by_split: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for source in self.sources:
            by_split[source.split].append(source.called)
        needed = {
            "frames.count": self.frames.count,
            "crop.size": self.crop.size,
            "num_points": self.num_points,
        }
        for split, names in by_split.items():
            for option, value in needed.items():
                if len(names) > 1 and value is None:
                    want = "a value, so that clips of several sources make one batch"
                    raise InputError(f"sampling.{option}: got null for {split} from {', '.join(names)}, want {want}")


class TrainingSamples(Dataset[MultiViewClip | InputError]):
    """Endless samples of one or several sources, by number.

    Sources take turns by weight; each goes through its clips pass by pass, every pass in another order. Bad data comes
    back as an ``InputError`` item, since raising in a DataLoader worker would wrap it.

    Args:
        sources: At least one.
        spec: What is taken.
        seed: Of every draw.

    Raises:
        InputError: If a weight is too small.
    """

    def __init__(self, sources: Sequence[OpenSource], spec: SamplingSpec, seed: int) -> None:
        self.sources = tuple(sources)
        self.spec = spec
        self.seed = seed
        self.turns = Turns([source.weight for source in sources], seed)

    def __getitem__(self, sample: int) -> MultiViewClip | InputError:
        """Return a sample, or what is wrong with it."""
        try:
            return self._sample(sample)
        except InputError as error:
            return error

    def _sample(self, sample: int) -> MultiViewClip:
        number, visit = self.turns(sample)
        source = self.sources[number]
        spec = self.spec
        done, position = divmod(visit, len(source.clips))
        index = int(_order(self.seed, done, number, len(source.clips))[position])
        what = source.where(index)
        num_views, num_frames = source.clips.count(index)
        # ``recolour`` goes on in the stream of the pair: another one would change what a seed stands for.
        look = self._rng(PAIR_STREAM, sample)
        views = spec.views.draw(num_views, look, what)
        frames = spec.frames.draw(num_frames, self._rng(FRAME_STREAM, sample), what)
        clip = _read(source, index, views, frames)
        if self._rng(DIRECTION_STREAM, sample).random() < spec.frames.reversed:
            clip = play_backwards(clip)
        windows = [] if spec.crop.off else spec.crop.draw(clip, self._rng(CROP_STREAM, sample))
        clip = _fit(clip, spec, windows, self._rng(POINT_STREAM, sample), len(self.sources) > 1)
        return self._with_another_look(clip, look, sample)

    def _with_another_look(self, clip: MultiViewClip, look: np.random.Generator, sample: int) -> MultiViewClip:
        augment = self.spec.augment
        if augment.recolour:
            clip = replace(clip, video=recolour(clip.video, look))
        if augment.jitter.probability:
            clip = augment.jitter.draw(clip, self._rng(JITTER_STREAM, sample))
        if augment.eraser.probability:
            clip = augment.eraser.draw(clip, self._rng(ERASER_STREAM, sample))
        return clip

    def _rng(self, stream: int, sample: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, sample))


class HeldOutClips(Dataset[MultiViewClip | InputError]):
    """Every clip once, source after source: the first pair of views, the first frames, the centre, no augmentation.

    Args:
        sources: At least one.
        spec: What is taken.
        seed: Of the points that are kept.
        most: Clips of each source, from its first on.
        all_views: Take every view instead of a pair.
    """

    def __init__(
        self, sources: Sequence[OpenSource], spec: SamplingSpec, seed: int, most: int, all_views: bool = False
    ) -> None:
        self.sources = tuple(sources)
        self.spec = spec
        self.seed = seed
        self.all_views = all_views
        self.items: list[tuple[OpenSource, int]] = []
        for source in sources:
            for index in range(min(most, len(source.clips))):
                self.items.append((source, index))

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.items)

    def __getitem__(self, number: int) -> MultiViewClip | InputError:
        """Return a clip, or what is wrong with it."""
        if not 0 <= number < len(self.items):
            raise IndexError(number)  # what ends iteration over a sequence
        source, index = self.items[number]
        try:
            return self._clip(source, index)
        except InputError as error:
            error.item = source.where(index)
            return error

    def _clip(self, source: OpenSource, index: int) -> MultiViewClip:
        what = source.where(index)
        num_views, num_frames = source.clips.count(index)
        frames = self.spec.frames.first(num_frames, what)
        # Ten views of 1280x1280 at once would take 16 GB; a generated clip is in memory as a whole anyway.
        if self.all_views and source.root is not None:
            clip = _join([self._cut(source, index, [view], frames) for view in range(num_views)])
        else:
            views = range(num_views) if self.all_views else self.spec.views.pairs(num_views, what)[0]
            clip = self._cut(source, index, views, frames)
        rng = np.random.default_rng((self.seed, POINT_STREAM, index))
        return _fit(clip, self.spec, [], rng, len(self.sources) > 1)

    def _cut(self, source: OpenSource, index: int, views: Sequence[int], frames: range | None) -> MultiViewClip:
        clip = _read(source, index, views, frames)
        if self.spec.crop.off:
            return clip
        return crop_clip(clip, self.spec.crop.centre(clip), self.spec.crop.size_of(clip))


def _read(source: OpenSource, index: int, views: Sequence[int], frames: range | None) -> MultiViewClip:
    clip = source.clips.read(index, Selection(views, frames))
    what = source.where(index)
    for name in ("cam_from_world", "intrinsics"):
        if not bool(getattr(clip.cameras, name).isfinite().all()):
            raise InputError(f"{what}: {name}: got NaN or infinity, want cameras that are known")
    # A sum of values in [0, 1] overflows nowhere, and needs no mask as large as the video.
    if not bool(clip.video.sum().isfinite()):
        raise InputError(f"{what}: video: got NaN or infinity, want values in [0, 1]")
    return name_after(source.name, clip if frames is None else at_stride(clip, frames.step))


def _join(views: Sequence[MultiViewClip]) -> MultiViewClip:
    """Return the clip of several, one view each."""
    joined: dict[str, Any] = {}
    for name in OF_EVERY_VIEW:
        if getattr(views[0], name) is not None:
            joined[name] = torch.cat([getattr(view, name) for view in views])
    cam_from_world = torch.cat([view.cameras.cam_from_world for view in views])
    intrinsics = torch.cat([view.cameras.intrinsics for view in views])
    return replace(views[0], cameras=Cameras(cam_from_world, intrinsics), **joined)


def _fit(
    clip: MultiViewClip, spec: SamplingSpec, windows: Sequence[Window], rng: np.random.Generator, mixed: bool
) -> MultiViewClip:
    """Cut, choose points and, among several sources, keep what all clips have."""
    if windows:
        clip = crop_clip(clip, windows, spec.crop.size_of(clip))
    if spec.num_points is not None:  # after the crop: points that it hides are not taken
        clip = take_points(clip, spec.num_points, rng)
    return keep_common(clip) if mixed else clip


@lru_cache(maxsize=16)
def _order(seed: int, done: int, source: int, count: int) -> Int[ndarray, " count"]:
    """Return the order of a pass over a source's clips; the first source's is (seed, ORDER_STREAM, done)'s."""
    key = (seed, ORDER_STREAM, done, source) if source else (seed, ORDER_STREAM, done)
    return np.random.default_rng(key).permutation(count)
