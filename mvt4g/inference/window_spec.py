"""How videos that are longer than a model's length are cut into windows, and what one window is told of the last."""

from dataclasses import dataclass
from typing import Literal

from mvt4g.ranges import Frames, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class WindowSpec:
    """How a video is generated that is longer than a model's length; a shorter one is generated as ever.

    Attributes:
        length: Video frames of one window, ``temporal_stride`` * m + 1: best what the model was trained on.
        overlap: Frames that a window shares with the one before, ``temporal_stride`` * m + 1 too; None = the most of
            those within a third of a window. The last window may share more, so that it ends with the video.
        carry: What a window knows of the frames that it shares. "noise": in every sampling step they are a mixture of
            what the window before made, noised to the step's level, and of what is drawn now; the older part falls from
            frame to frame. "hold": they are what the window before made, noised alike. "reference": what the window
            before made, with the target's cameras, stands in the reference view in place of the reference's frames.
            "nothing": windows know nothing of each other. In any case shared frames are faded from one window to the
            next.
    """

    length: Frames
    overlap: Frames | None = None
    carry: Literal["noise", "hold", "reference", "nothing"] = "noise"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range, or windows would not move on.
        """
        check_ranges(self, "evaluation.windows")
        if self.overlap is not None and self.overlap >= self.length:
            got = f"{self.overlap} with windows of {self.length} frames"
            raise InputError(f"evaluation.windows.overlap: got {got}, want 1 to {self.length - 1}")
