"""Video files as sources of frames: apart, so that training needs no PyAV."""

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mvt4g.data.sources import FrameSource
from mvt4g.formats.video import probe_video, read_video


class VideoSource(FrameSource):
    """A video file.

    Raises:
        InputError: If it is missing or no video.
    """

    def __init__(self, path: Path) -> None:
        info = probe_video(path)
        super().__init__(path.stem, info.num_frames, info.fps, path)

    def read(self, frames: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
        """Decode frames."""
        return read_video(self.place, frames=frames)[0]
