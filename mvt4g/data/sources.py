"""Where the frames of a real clip come from: a video file, a folder of frames, a DAVIS sequence."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.formats.images import VOID, frame_paths, read_images, read_mask
from mvt4g.formats.readers.davis import list_sequences
from mvt4g.formats.video import probe_video, read_video
from mvt4g.types import InputError

DAVIS_FPS = 24.0
"""DAVIS states no rate; its videos are shown at 24."""


class VideoSource:
    """A video file; ``place`` is what messages name.

    Raises:
        InputError: If it is missing or no video.
    """

    def __init__(self, path: Path) -> None:
        info = probe_video(path)
        self.name, self.num_frames, self.fps, self.place = path.stem, info.num_frames, info.fps, path

    def read(self, frames: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
        """Decode the frames of these numbers.

        Raises:
            InputError: If the file is broken.
        """
        return read_video(self.place, frames=frames)[0]

    def read_masks(self, frames: Sequence[int]) -> None:
        """A video file has none."""


class FolderSource:
    """Image files, and perhaps a mask file for each; ``place`` is what messages name.

    Args:
        name: What its results are called.
        frames: Image files in order, at least one.
        masks: Mask file of each frame, None where there is none; empty = none at all.
        fps: Frames a second.
    """

    def __init__(
        self, name: str, frames: Sequence[Path], masks: Sequence[Path | None] = (), fps: float = DAVIS_FPS
    ) -> None:
        self.name, self.num_frames, self.fps, self.place = name, len(frames), fps, frames[0].parent
        self._frames, self._masks = tuple(frames), tuple(masks) or (None,) * len(frames)

    def read(self, frames: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
        """Read the frames of these numbers.

        Raises:
            InputError: If a file is broken.
        """
        return read_images([self._frames[frame] for frame in frames])

    def read_masks(self, frames: Sequence[int]) -> Int[Tensor, "t h w"] | None:
        """Read object ids, 0 = background or void; None unless every frame asked for has a mask.

        Raises:
            InputError: If a file is broken, or sizes differ.
        """
        paths = [path for frame in frames if (path := self._masks[frame]) is not None]
        if len(paths) < len(frames):
            return None
        masks = [read_mask(path) for path in paths]
        for path, mask in zip(paths, masks, strict=True):
            if mask.shape != masks[0].shape:
                raise InputError(f"{path}: got a mask of {_size(mask)}, want {_size(masks[0])} as {paths[0].name}")
        ids = torch.stack(masks)
        return ids.where(ids != VOID, 0)


FrameSource = VideoSource | FolderSource
"""One video that frames can be taken from by number."""


def open_sources(root: Path | None, video: Path | None, sequences: Sequence[str] = ()) -> tuple[FrameSource, ...]:
    """Open the sequences of a DAVIS root, or one video file or folder of frames, without reading a frame.

    Raises:
        InputError: If not exactly one of ``root`` and ``video`` is given, or what is given is not there.
    """
    if (root is None) == (video is None):
        raise InputError(f"data.root, data.video: got {root} and {video}, want one of them")
    if root is not None:
        listed = list_sequences(root, sequences)
        return tuple(FolderSource(sequence.name, sequence.frames, sequence.masks) for sequence in listed)
    assert video is not None, "one of them is given"
    if sequences:
        raise InputError(f"data.sequences: got {list(sequences)} with data.video, want them with data.root only")
    if video.is_dir():
        return (FolderSource(video.resolve().name, frame_paths(video)),)
    return (VideoSource(video),)


def _size(mask: Tensor) -> str:
    return f"{mask.shape[1]}x{mask.shape[0]}"
