"""The rule by which a video of any size and length becomes one that a model takes, and all that must follow it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mvt4g.geometry.camera import crop_intrinsics, scale_intrinsics
from mvt4g.types import InputError

_WAYS = ("first", "spread")


@dataclass(frozen=True)
class VideoSize:
    """The video a model takes.

    Attributes:
        height: Rows.
        width: Columns.
        num_frames: Frames, ``temporal_stride`` * m + 1 of them; a shorter video gives the largest such number it has.
        temporal_stride: Of the codec.
        time: Which frames of a longer video: "first" = the first ones, "spread" = evenly spread from first to last.
    """

    height: int = 64
    width: int = 64
    num_frames: int = 5
    temporal_stride: int = 1
    time: str = "first"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range or ``time`` is unknown.
        """
        for name in ("height", "width", "temporal_stride"):
            if getattr(self, name) < 1:
                raise InputError(f"size.{name}: got {getattr(self, name)}, want at least 1")
        if self.num_frames <= self.temporal_stride or (self.num_frames - 1) % self.temporal_stride:
            stride = self.temporal_stride
            raise InputError(f"size.num_frames: got {self.num_frames}, want {stride}*m + 1 with m at least 1")
        if self.time not in _WAYS:
            raise InputError(f"size.time: got {self.time!r}, want one of {', '.join(_WAYS)}")

    def choose_frames(self, available: int, name: str) -> tuple[int, ...]:
        """Return the frame numbers to keep of a video with ``available`` frames.

        Raises:
            InputError: If it has fewer than ``temporal_stride`` + 1; ``name`` is what the message calls it.
        """
        if available <= self.temporal_stride:
            raise InputError(f"{name}: got {available} frames, want at least {self.temporal_stride + 1}")
        count = min(self.num_frames, (available - 1) // self.temporal_stride * self.temporal_stride + 1)
        if self.time == "first":
            return tuple(range(count))
        return tuple(torch.linspace(0, available - 1, count, dtype=torch.float64).round().long().tolist())


@dataclass(frozen=True)
class Framing:
    """Resize until the frame just covers the wanted size, keeping its shape, then keep the centre.

    Attributes:
        source: (height, width) of the frames as they come.
        size: (height, width) wanted.
    """

    source: tuple[int, int]
    size: tuple[int, int]

    @property
    def resized(self) -> tuple[int, int]:
        """(height, width) between resizing and cutting: the shape is kept to within half a pixel."""
        (height, width), (want_height, want_width) = self.source, self.size
        scale = max(want_height / height, want_width / width)
        return max(want_height, round(height * scale)), max(want_width, round(width * scale))

    @property
    def corner(self) -> tuple[int, int]:
        """(top, left) of what is kept, in pixels of the resized frame."""
        return (self.resized[0] - self.size[0]) // 2, (self.resized[1] - self.size[1]) // 2

    def video(self, video: Float[Tensor, "t c h w"]) -> Float[Tensor, "t c H W"]:
        """Resize (bilinear, anti-aliased: pixel centres stay at i + 0.5) and cut."""
        if self.resized != self.source:
            video = F.interpolate(video, self.resized, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
        return self._cut(video)

    def mask(self, mask: Int[Tensor, "t h w"]) -> Int[Tensor, "t H W"]:
        """Resize ids by the nearest pixel and cut."""
        ids = F.interpolate(rearrange(mask.float(), "t h w -> t 1 h w"), self.resized, mode="nearest-exact")
        return rearrange(self._cut(ids), "t 1 h w -> t h w").to(mask.dtype)

    def intrinsics(self, intrinsics: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
        """Return K in pixels of the framed image."""
        (scale_x, scale_y), (top, left) = self._scales(), self.corner
        return crop_intrinsics(scale_intrinsics(intrinsics, scale_x, scale_y), left, top)

    def points(self, xy: Float[Tensor, "*b 2"]) -> tuple[Float[Tensor, "*b 2"], Bool[Tensor, " *b"]]:
        """Return pixels of the framed image, and which of them lie inside it."""
        top, left = self.corner
        framed = xy * xy.new_tensor(self._scales()) - xy.new_tensor([left, top])
        inside = (framed >= 0) & (framed < framed.new_tensor([self.size[1], self.size[0]]))
        return framed, inside.all(dim=-1)

    def sentence(self) -> str:
        """Say in words what is done to a frame."""
        (height, width), (want_height, want_width) = self.source, self.size
        if self.source == self.size:
            return f"{width}x{height} as it is"
        cut = f", of which the centre {want_width}x{want_height} is kept"
        if self.resized == self.size:
            return f"{width}x{height} resized to {want_width}x{want_height}"
        if self.resized == self.source:
            return f"{width}x{height}{cut}"
        return f"{width}x{height} resized to {self.resized[1]}x{self.resized[0]}{cut}"

    def _scales(self) -> tuple[float, float]:
        return self.resized[1] / self.source[1], self.resized[0] / self.source[0]

    def _cut(self, maps: Tensor) -> Tensor:
        (top, left), (height, width) = self.corner, self.size
        return maps[..., top : top + height, left : left + width].contiguous()


def describe_frames(kept: Sequence[int], available: int) -> str:
    """Say in words which frames are kept."""
    if len(kept) == available:
        return f"all {available} frames"
    if list(kept) == list(range(len(kept))):
        return f"frames 0 to {kept[-1]} of {available}"
    return f"{len(kept)} of {available} frames, evenly spread ({', '.join(map(str, kept))})"
