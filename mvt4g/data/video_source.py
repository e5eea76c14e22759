"""Videos opened as sources of frames: apart, so that training needs no PyAV."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mvt4g.data.sources import DAVIS_FPS, FolderSource, FrameSource
from mvt4g.formats.images import frame_paths
from mvt4g.formats.video import iterate_video, probe_video


class VideoSource(FrameSource):
    """A video file.

    Raises:
        InputError: If it is missing or no video.
    """

    def __init__(self, path: Path) -> None:
        self._info = probe_video(path)
        super().__init__(path.stem, path, self._info.times_s, self._info.fps)

    def frames(self, numbers: Sequence[int]) -> Iterator[Float[Tensor, "3 h w"]]:
        """Decode frames one by one."""
        for frame in iterate_video(self.place, numbers):
            yield frame.rgb

    def rate(self, numbers: Sequence[int]) -> float:
        """Return the rate by the frames' time stamps."""
        return self._info.rate(numbers)


def open_video(place: Path, folder_fps: float | None = None) -> FrameSource:
    """Open a video file or a folder of frames.

    Args:
        place: Of it.
        folder_fps: Rate of a folder; None = ``DAVIS_FPS``.

    Raises:
        InputError: If it is not there, or no video.
    """
    if place.is_dir():
        return FolderSource(place.resolve().name, frame_paths(place), fps=folder_fps or DAVIS_FPS)
    return VideoSource(place)
