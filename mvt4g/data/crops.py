"""Cutting a window out of a clip and resizing it: pixels, K, tracks, visibility, depth and ids follow.

No flips: a mirrored image belongs to no camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from mvt4g.geometry.camera import crop_intrinsics, scale_intrinsics
from mvt4g.types import Cameras, InputError, MultiViewClip


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int


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

    size: tuple[int, int] | None = None
    share: tuple[float, float] = (1.0, 1.0)
    alike: bool = True

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a size is under 1 or a share outside (0, 1].
        """
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"sampling.crop.size: got {self.size}, want [height, width]")
        low, high = self.share
        if not 0 < low <= high <= 1:
            raise InputError(f"sampling.crop.share: got {self.share}, want [least, largest] in (0, 1]")

    @property
    def off(self) -> bool:
        """True if every clip stays as it is."""
        return self.size is None and self.share == (1.0, 1.0)

    def draw(self, clip: MultiViewClip, rng: np.random.Generator) -> list[Window]:
        """Draw a window for every view of a training sample: its size, then its place."""
        first, *others = (self._draw_window(clip, rng) for _ in clip.video[: 1 if self.alike else None])
        return [first, *others] if others else [first] * len(clip.video)

    def centre(self, clip: MultiViewClip) -> list[Window]:
        """Return the windows of a held-out clip: the largest, in the middle."""
        rows, columns = clip.video.shape[-2:]
        height, width = self._largest(clip, 1.0)
        return [Window((rows - height) // 2, (columns - width) // 2, height, width)] * len(clip.video)

    def _draw_window(self, clip: MultiViewClip, rng: np.random.Generator) -> Window:
        rows, columns = clip.video.shape[-2:]
        height, width = self._largest(clip, rng.uniform(*self.share))
        top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
        return Window(int(top), int(left), height, width)

    def _largest(self, clip: MultiViewClip, share: float) -> tuple[int, int]:
        rows, columns = clip.video.shape[-2:]
        height, width = self.size_of(clip)
        scale = share * min(rows / height, columns / width)
        return min(rows, max(1, round(scale * height))), min(columns, max(1, round(scale * width)))

    def size_of(self, clip: MultiViewClip) -> tuple[int, int]:
        """Return (height, width) of the sample."""
        return self.size or (clip.video.shape[-2], clip.video.shape[-1])


def crop_clip(clip: MultiViewClip, windows: Sequence[Window], size: tuple[int, int]) -> MultiViewClip:
    """Show one clip (no batch axis) through a window in each view, resized to ``size``.

    Video is resized bilinearly and anti-aliased. Depth, ids and ``dynamic`` are those of the nearest pixel: exact when
    the window has the sample's size, else of a centre up to half a pixel of the clip away. A point that leaves the
    image is no longer visible; its track goes on outside.

    Args:
        clip: Its video has as many views as its cameras.
        windows: One a view.
        size: (height, width).
    """
    moved: dict[str, Any] = {
        name: torch.stack([_nearest(maps, window, size) for maps, window in zip(values, windows, strict=True)])
        for name in ("depth", "instances", "dynamic")
        if (values := getattr(clip, name)) is not None
    }
    if clip.tracks is not None:
        tracks = [_points(tracks, window, size) for tracks, window in zip(clip.tracks, windows, strict=True)]
        moved["tracks"] = torch.stack(tracks)
        if clip.visible is not None:
            moved["visible"] = clip.visible & _inside(moved["tracks"], size)
    video = [_resize(video, window, size) for video, window in zip(clip.video, windows, strict=True)]
    intrinsics = [_intrinsics(k, window, size) for k, window in zip(clip.cameras.intrinsics, windows, strict=True)]
    cameras = Cameras(clip.cameras.cam_from_world, torch.stack(intrinsics))
    return replace(clip, video=torch.stack(video), cameras=cameras, **moved)


def _scales(window: Window, size: tuple[int, int]) -> tuple[float, float]:
    return size[1] / window.width, size[0] / window.height


def _intrinsics(intrinsics: Float[Tensor, "*b 3 3"], window: Window, size: tuple[int, int]) -> Float[Tensor, "*b 3 3"]:
    return scale_intrinsics(crop_intrinsics(intrinsics, window.left, window.top), *_scales(window, size))


def _points(xy: Float[Tensor, "*b 2"], window: Window, size: tuple[int, int]) -> Float[Tensor, "*b 2"]:
    return (xy - xy.new_tensor([window.left, window.top])) * xy.new_tensor(_scales(window, size))


def _inside(xy: Float[Tensor, "*b 2"], size: tuple[int, int]) -> Bool[Tensor, " *b"]:
    return ((xy >= 0) & (xy < xy.new_tensor([size[1], size[0]]))).all(dim=-1)


def _resize(video: Float[Tensor, "t c h w"], window: Window, size: tuple[int, int]) -> Float[Tensor, "t c H W"]:
    part = video[..., window.top : window.top + window.height, window.left : window.left + window.width]
    if part.shape[-2:] == size:
        return part.contiguous()
    return F.interpolate(part, size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def _nearest(maps: Shaped[Tensor, "t h w"], window: Window, size: tuple[int, int]) -> Shaped[Tensor, "t H W"]:
    rows = window.top + ((torch.arange(size[0]) + 0.5) * (window.height / size[0])).long()
    columns = window.left + ((torch.arange(size[1]) + 0.5) * (window.width / size[1])).long()
    return maps[:, rows[:, None], columns]
