"""Records of the source of a clip, by which what is found in the clip can be told of the source."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.camera import crop_intrinsics, scale_intrinsics
from mvt4g.geometry.framing import Framing


@dataclass(frozen=True)
class SourceRecord:
    """The video that one view of a clip was taken from, and what was taken of it.

    A point of the clip lies at ``crop_xyxy[:2] + xy / scale_xy`` in the source.

    Attributes:
        path: The video file, or the folder of frames.
        size: (height, width) of the source.
        fps: Frames a second of the source.
        frames: Frame number in the source of each frame of the clip, from 0.
        times_s: When that frame is shown, seconds from the source's first frame.
        crop_xyxy: Left, top, right, bottom edge of the clip's picture in pixels of the source; it reaches out of the
            source where the clip is padded.
        scale_xy: Pixels of the clip for one of the source, along x and y.
    """

    path: Path
    size: tuple[int, int]
    fps: float
    frames: tuple[int, ...]
    times_s: tuple[float, ...]
    crop_xyxy: tuple[float, float, float, float]
    scale_xy: tuple[float, float]

    @staticmethod
    def of(path: Path, fps: float, frames: Sequence[int], times_s: Sequence[float], framing: Framing) -> "SourceRecord":
        """Note what was taken of a video.

        Args:
            path: The file or folder.
            fps: Of the source.
            frames: That were taken.
            times_s: Of these frames.
            framing: What was done to each.
        """
        return SourceRecord(
            path=path,
            size=framing.source,
            fps=fps,
            frames=tuple(frames),
            times_s=tuple(times_s),
            crop_xyxy=framing.crop_xyxy,
            scale_xy=framing.scale_xy,
        )

    def pixels(self, xy: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
        """Return where pixels of the clip lie in the source."""
        return xy / xy.new_tensor(self.scale_xy) + xy.new_tensor(self.crop_xyxy[:2])

    def intrinsics(self, intrinsics: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
        """Return K in pixels of the source."""
        scale_x, scale_y = self.scale_xy
        left, top = self.crop_xyxy[:2]
        return crop_intrinsics(scale_intrinsics(intrinsics, 1 / scale_x, 1 / scale_y), -left, -top)
