"""Sources of the frames of a real clip, and the one of image files."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from mvt4g.data.source_record import SourceRecord
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.frame_numbers import frame_places, missing_numbers
from mvt4g.formats.images import VOID, read_images, read_mask
from mvt4g.geometry.framing import Framing
from mvt4g.types import InputError

DAVIS_FPS = 24.0
"""DAVIS states no rate; its videos are shown at 24."""


class FrameSource(ABC):
    """One video that frames can be taken from by number.

    Args:
        name: What its results are called.
        place: The video file, or the folder of frames.
        times_s: When each frame is shown, seconds from the first.
        fps: Frames a second, of all frames.
        note: What a rule should say of the source; empty = nothing.
    """

    def __init__(self, name: str, place: Path, times_s: Sequence[float], fps: float, note: str = "") -> None:
        self.name = name
        self.place = place
        self.times_s = tuple(times_s)
        self.fps = fps
        self.note = note

    @property
    def num_frames(self) -> int:
        """Frames it has."""
        return len(self.times_s)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it is read from."""
        return (self.place,)

    @abstractmethod
    def frames(self, numbers: Sequence[int]) -> Iterator[Float[Tensor, "3 h w"]]:
        """Read the frames of these (increasing) numbers one by one, in [0, 1], of one size.

        Raises:
            InputError: If a file is broken, or sizes differ.
        """

    @abstractmethod
    def rate(self, numbers: Sequence[int]) -> float:
        """Return frames a second of these frames alone, by their times."""

    def read_masks(self, numbers: Sequence[int], framing: Framing) -> Int[Tensor, "t H W"] | None:
        """Read object ids, 0 = background or void, framed as the video is; None unless every frame has a mask.

        Raises:
            InputError: If a file is broken, or of another size than the frames.
        """
        return None

    def read_into(self, video: Float[Tensor, "t 3 H W"], numbers: Sequence[int], size: VideoSize) -> Framing:
        """Read frames, each framed as it comes, so that no two are held at full size.

        Args:
            video: Takes them; of ``size.height`` x ``size.width``.
            numbers: One a frame of ``video``, none below the one before it.
            size: Says how frames are framed.

        Raises:
            InputError: As ``frames``, and if the size's part of the picture reaches out of it.
        """
        places: dict[int, list[int]] = {}
        for place, number in enumerate(numbers):
            places.setdefault(number, []).append(place)
        framing: Framing | None = None
        for frame, its_places in zip(self.frames(list(places)), places.values(), strict=True):
            if framing is None:
                framing = size.framing((frame.shape[-2], frame.shape[-1]), str(self.place))
            video[its_places] = framing.video(frame[None])
        assert framing is not None, "a frame comes for each number, or an error"
        return framing

    def record(self, numbers: Sequence[int], framing: Framing) -> SourceRecord:
        """Note what is taken of this video."""
        times_s = [self.times_s[number] for number in numbers]
        return SourceRecord.of(self.place, self.fps, numbers, times_s, framing)


class FolderSource(FrameSource):
    """Image files, and perhaps a mask file for each.

    A frame is shown at its number's place in the sequence (``formats.frame_numbers``): where numbers are missing, time
    goes on.

    Args:
        name: What its results are called.
        frames: Image files in order, at least one.
        masks: Mask file of each frame, None where there is none; empty = none at all.
        fps: Images a second, of a sequence without a gap.
    """

    def __init__(
        self, name: str, frames: Sequence[Path], masks: Sequence[Path | None] = (), fps: float = DAVIS_FPS
    ) -> None:
        self._places = frame_places([path.name for path in frames])
        missing = missing_numbers(self._places)
        note = f"{missing} of {self._places[-1] + 1} frame numbers are not there" if missing else ""
        super().__init__(name, frames[0].parent, [place / fps for place in self._places], fps, note)
        self._frames = tuple(frames)
        self._masks = tuple(masks) or (None,) * len(frames)

    @property
    def files(self) -> tuple[Path, ...]:
        """Its frames and masks."""
        return (*self._frames, *filter(None, self._masks))

    def frames(self, numbers: Sequence[int]) -> Iterator[Float[Tensor, "3 h w"]]:
        """Read images."""
        first: Tensor | None = None
        for number in numbers:
            (image,) = read_images([self._frames[number]])
            if first is not None and image.shape != first.shape:
                want = f"{_size(first)} as {self._frames[numbers[0]].name} before it"
                raise InputError(f"{self._frames[number]}: got a frame of {_size(image)}, want {want}")
            if first is None:
                first = image
            yield image

    def rate(self, numbers: Sequence[int]) -> float:
        """Return images a second."""
        span = self._places[numbers[-1]] - self._places[numbers[0]]
        return self.fps * (len(numbers) - 1) / span if span else self.fps

    def read_masks(self, numbers: Sequence[int], framing: Framing) -> Int[Tensor, "t H W"] | None:
        """Read the masks of these frames."""
        paths = [path for number in numbers if (path := self._masks[number]) is not None]
        if len(paths) < len(numbers):
            return None
        framed = []
        for path in paths:
            mask = read_mask(path)
            if tuple(mask.shape) != framing.source:
                want = f"{framing.source[1]}x{framing.source[0]} as the frames have"
                raise InputError(f"{path}: got a mask of {_size(mask)}, want {want}")
            ids = mask.where(mask != VOID, 0)  # what belongs to nothing counts as background
            framed.append(framing.nearest(ids[None])[0])
        return torch.stack(framed)


def _size(image: Shaped[Tensor, "*b h w"]) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"
