"""Where the frames of a real clip come from, and those that come from image files."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.data.source_record import SourceRecord
from mvt4g.formats.images import VOID, read_images, read_mask
from mvt4g.geometry.framing import Framing
from mvt4g.types import InputError

DAVIS_FPS = 24.0
"""DAVIS states no rate; its videos are shown at 24."""


class FrameSource(ABC):
    """One video that frames can be taken from by number.

    Args:
        name: What its results are called.
        num_frames: Frames it has.
        fps: Frames a second.
        place: File or folder that messages name.
        times_s: When each frame is shown, seconds from the first; None = at the rate ``fps``.
    """

    def __init__(
        self, name: str, num_frames: int, fps: float, place: Path, times_s: Sequence[float] | None = None
    ) -> None:
        self.name, self.num_frames, self.fps, self.place = name, num_frames, fps, place
        self.times_s = tuple(times_s) if times_s is not None else tuple(frame / fps for frame in range(num_frames))

    @abstractmethod
    def read(self, frames: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
        """Read the frames of these (increasing) numbers, in [0, 1].

        Raises:
            InputError: If a file is broken.
        """

    def read_masks(self, frames: Sequence[int]) -> Int[Tensor, "t h w"] | None:
        """Read object ids, 0 = background or void; None unless every frame asked for has a mask.

        Raises:
            InputError: If a file is broken, or sizes differ.
        """
        return None

    def record(self, frames: Sequence[int], framing: Framing) -> SourceRecord:
        """Note what is taken of this video."""
        return SourceRecord.of(self.place, self.fps, frames, [self.times_s[frame] for frame in frames], framing)


class FolderSource(FrameSource):
    """Image files, and perhaps a mask file for each.

    Args:
        name: What its results are called.
        frames: Image files in order, at least one.
        masks: Mask file of each frame, None where there is none; empty = none at all.
        fps: Frames a second.
    """

    def __init__(
        self, name: str, frames: Sequence[Path], masks: Sequence[Path | None] = (), fps: float = DAVIS_FPS
    ) -> None:
        super().__init__(name, len(frames), fps, frames[0].parent)
        self._frames, self._masks = tuple(frames), tuple(masks) or (None,) * len(frames)

    def read(self, frames: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
        """Read images."""
        return read_images([self._frames[frame] for frame in frames])

    def read_masks(self, frames: Sequence[int]) -> Int[Tensor, "t h w"] | None:
        """Read the masks of these frames."""
        paths = [path for frame in frames if (path := self._masks[frame]) is not None]
        if len(paths) < len(frames):
            return None
        masks = [read_mask(path) for path in paths]
        for path, mask in zip(paths, masks, strict=True):
            if mask.shape != masks[0].shape:
                raise InputError(f"{path}: got a mask of {_size(mask)}, want {_size(masks[0])} as {paths[0].name}")
        ids = torch.stack(masks)
        return ids.where(ids != VOID, 0)


def _size(mask: Tensor) -> str:
    return f"{mask.shape[1]}x{mask.shape[0]}"
