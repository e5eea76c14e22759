"""What is known of the videos that a program writes: names, frames, pictures, cameras. The programs are data."""

from collections.abc import Mapping
from dataclasses import dataclass

from mvt4g.formats.foreign.crop_rules import CropRule
from mvt4g.formats.foreign.frame_maps import FrameCount, FrameMap
from mvt4g.formats.foreign.video_names import check_pattern
from mvt4g.types import InputError

SPEEDS: Mapping[str, str] = {
    "total": "the whole motion in the frames that a video has",
    "per_frame": "the motion of ReCamMaster's 81 frames from one frame to the next",
}
RELATIONS: Mapping[str, str] = {
    "source_start": "relative to the source's first camera, whose motion is not kept",
    "source_frames": "relative to the source's camera of each frame, whose motion is kept",
}


@dataclass(frozen=True)
class ClipTable:
    """A CSV that says which clip a row number or a name in a path means.

    Attributes:
        file: Its place; relative = in the method's folder.
        clip: Column of the clip; a file's name counts without folder and suffix.
        name: Column of the names that paths have; empty = paths have row numbers, from 0.
        camera: Column of the camera; empty = none.
    """

    file: str = "metadata.csv"
    clip: str = "file_name"
    name: str = ""
    camera: str = ""


@dataclass(frozen=True)
class VideoLayout:
    """The videos of one program.

    Attributes:
        name: What the option calls it.
        program: What writes such videos, with the source of what is said here.
        patterns: Paths of videos below the method's folder, the more telling ones first; see ``video_names``.
        companions: Paths of files that the program writes beside them, which are never scored.
        frames: Which moment a frame shows.
        count: How many frames there are.
        crop: What the program does to a picture of the source.
        sizes: (height, width) of its videos; empty = any, but the same for all videos of the method.
        fps: Frames a second in its files; None = the source's. Told, and not used.
        side_by_side: Other pictures may be pasted to the left: where a video is several times as wide as its size, the
            rightmost part is taken.
        relative_to: What target cameras are told from.
        speed: Whether the camera's whole motion is done in whatever number of frames ("total"), or the motion from one
            frame to the next is that of ReCamMaster's 81 frames ("per_frame").
        scale: What one unit of the asked path is to the program.
        table: Says which clip a row or name is; None = paths name clips.
        by_name_alone: No other program has such paths, so that the layout can be told from them.
    """

    name: str
    program: str
    patterns: tuple[str, ...]
    companions: tuple[str, ...] = ()
    frames: FrameMap = FrameMap()
    count: FrameCount = FrameCount()
    crop: CropRule = CropRule()
    sizes: tuple[tuple[int, int], ...] = ()
    fps: float | None = None
    side_by_side: bool = False
    relative_to: str = "source_start"
    speed: str = "total"
    scale: str = "metres, as asked"
    table: ClipTable | None = None
    by_name_alone: bool = True

    def __post_init__(self) -> None:
        """Check the words and patterns.

        Raises:
            InputError: If one is unknown, or there is no pattern.
        """
        words = {"relative_to": RELATIONS, "speed": SPEEDS}
        for field, known in words.items():
            if getattr(self, field) not in known:
                raise InputError(
                    f"layout {self.name}: {field}: got {getattr(self, field)!r}, want one of {', '.join(known)}"
                )
        if not self.patterns:
            raise InputError(f"layout {self.name}: patterns: got none, want at least one")
        for pattern in (*self.patterns, *self.companions):
            check_pattern(pattern)
        for size in self.sizes:
            if min(size) < 1:
                raise InputError(f"layout {self.name}: sizes: got {list(size)}, want [height, width] over 0")

    def expected_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """Return the size of the video proper in a file of a size; None if the program writes no such file.

        Args:
            size: (height, width) of the file's frames.
        """
        for height, width in self.sizes:
            panels = size[1] // width if self.side_by_side else 1
            if size == (height, width * max(panels, 1)):
                return height, width
        return None if self.sizes else size

    def convention(self) -> str:
        """Say in words what target cameras are told from, and how fast they move."""
        return f"OpenCV axes, {RELATIONS[self.relative_to]}; {SPEEDS[self.speed]}"
