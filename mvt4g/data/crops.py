"""Windows of clips that samples show; all fields of a clip follow by ``geometry.framing``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mvt4g.geometry.framing import Framing, Window, show_window, torchvision_margin
from mvt4g.ranges import PositiveShare, Side, check_ranges
from mvt4g.types import PIXEL_MAPS, Cameras, InputError, MultiViewClip


@dataclass(frozen=True)
class CropSpec:
    """What part of the frames a sample shows, and at which size.

    Attributes:
        size: (height, width) of the sample; None = that of the clip.
        share: Least and largest side of the window, as a share of the largest window of the sample's shape that the
            clip holds; 1 = that window itself.
        alike: Both views have the same window. False draws one each, which a backbone that is not told intrinsics
            cannot know of.
    """

    size: tuple[Side, Side] | None = None
    share: tuple[PositiveShare, PositiveShare] = (1.0, 1.0)
    alike: bool = True

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a size is under 1 or a share outside (0, 1].
        """
        check_ranges(self, "sampling.crop")
        low, high = self.share
        if not 0 < low <= high <= 1:
            want = "[least, largest] in (0, 1]"
            raise InputError(f"sampling.crop.share: got {self.share}, want {want}")

    @property
    def off(self) -> bool:
        """True if every clip stays as it is."""
        return self.size is None and self.share == (1.0, 1.0)

    def draw(self, clip: MultiViewClip, rng: np.random.Generator) -> list[Window]:
        """Draw a window for every view of a training sample: its size, then its place."""
        num_views = len(clip.video)
        if self.alike:
            return [self._draw_window(clip, rng)] * num_views
        return [self._draw_window(clip, rng) for _ in range(num_views)]

    def centre(self, clip: MultiViewClip) -> list[Window]:
        """Return the windows of a held-out clip: the largest, in the middle, odd margins split as torchvision does."""
        rows, columns = clip.video.shape[-2:]
        height, width = self._largest(clip, 1.0)
        top = torchvision_margin(rows - height)
        left = torchvision_margin(columns - width)
        return [Window(top, left, height, width)] * len(clip.video)

    def _draw_window(self, clip: MultiViewClip, rng: np.random.Generator) -> Window:
        rows, columns = clip.video.shape[-2:]
        height, width = self._largest(clip, rng.uniform(*self.share))
        top = rng.integers(rows - height + 1)
        left = rng.integers(columns - width + 1)
        return Window(int(top), int(left), height, width)

    def _largest(self, clip: MultiViewClip, share: float) -> tuple[int, int]:
        rows, columns = clip.video.shape[-2:]
        height, width = self.size_of(clip)
        # min(...) times the sample's size is the largest window of its shape that fits.
        scale = share * min(rows / height, columns / width)
        wanted_rows = max(1, round(scale * height))
        wanted_columns = max(1, round(scale * width))
        return min(rows, wanted_rows), min(columns, wanted_columns)

    def size_of(self, clip: MultiViewClip) -> tuple[int, int]:
        """Return (height, width) of the sample."""
        return self.size or (clip.video.shape[-2], clip.video.shape[-1])


def crop_clip(clip: MultiViewClip, windows: Sequence[Window], size: tuple[int, int]) -> MultiViewClip:
    """Show one clip (no batch axis) through a window in each view, resized to ``size``.

    Video is resized bilinearly and anti-aliased. Depth, ids and masks are those of the nearest pixel: exact when
    the window has the sample's size, else of a centre up to half a pixel of the clip away. A point that leaves the
    image is no longer visible; its track goes on outside.

    Args:
        clip: Its video has as many views as its cameras.
        windows: One a view.
        size: (height, width).
    """
    assert len(windows) == len(clip.video), "one window a view"
    source = (clip.video.shape[-2], clip.video.shape[-1])
    return framed_clip(clip, [show_window(source, window, size) for window in windows])


def framed_clip(clip: MultiViewClip, framings: Sequence[Framing]) -> MultiViewClip:
    """Cut and resize one clip (no batch axis), as ``crop_clip`` does through windows.

    Args:
        clip: Its video has as many views as its cameras.
        framings: One a view.
    """
    # Each view may have a window of its own, so that fields are framed view by view.
    intrinsics = []
    framed: dict[str, list[Any]] = {}
    for view, framing in enumerate(framings):
        intrinsics.append(framing.intrinsics(clip.cameras.intrinsics[view]))
        framed.setdefault("video", []).append(framing.video(clip.video[view]))
        for name in PIXEL_MAPS:
            maps = getattr(clip, name)
            if maps is not None:
                framed.setdefault(name, []).append(framing.nearest(maps[view]))
        if clip.tracks is not None:
            xy, inside = framing.points(clip.tracks[view])
            framed.setdefault("tracks", []).append(xy)
            if clip.visible is not None:
                framed.setdefault("visible", []).append(clip.visible[view] & inside)
    cameras = Cameras(clip.cameras.cam_from_world, torch.stack(intrinsics))
    fields: dict[str, Any] = {name: torch.stack(values) for name, values in framed.items()}
    return replace(clip, cameras=cameras, **fields)
