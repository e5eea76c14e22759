"""What cutting, resizing and padding a picture does to its pixels, ids, points and intrinsics: the one implementation.

No flips: a mirrored image belongs to no camera.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from mvt4g.geometry.camera import crop_intrinsics, scale_intrinsics
from mvt4g.ranges import Natural, Share, check_ranges
from mvt4g.types import InputError

_MODES = ("cover", "letterbox", "squeeze")


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Framing:
    """Take a window of a picture, resize it, then cut or pad it to the size wanted.

    Attributes:
        source: (height, width) of the picture as it comes.
        size: (height, width) wanted.
        window: What is taken of the picture, before anything else.
        resized: (height, width) that the window is resized to.
        corner: (top, left) of the result in the resized window; negative where it is padded.
    """

    source: tuple[int, int]
    size: tuple[int, int]
    window: Window
    resized: tuple[int, int]
    corner: tuple[int, int] = (0, 0)

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Pixels of the result for one of the source, along x and y."""
        return self.resized[1] / self.window.width, self.resized[0] / self.window.height

    @property
    def crop_xyxy(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge of the result in pixels of the source; outside of it where it is padded."""
        scale_x, scale_y = self.scale_xy
        left = self.window.left + self.corner[1] / scale_x
        top = self.window.top + self.corner[0] / scale_y
        return left, top, left + self.size[1] / scale_x, top + self.size[0] / scale_y

    @property
    def shown_xyxy(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom edge of what is no padding, in pixels of the result."""
        left = max(-self.corner[1], 0)
        top = max(-self.corner[0], 0)
        right = self.resized[1] - self.corner[1]
        bottom = self.resized[0] - self.corner[0]
        return left, top, min(right, self.size[1]), min(bottom, self.size[0])

    def video(self, video: Float[Tensor, "t c h w"]) -> Float[Tensor, "t c H W"]:
        """Resize bilinearly and anti-aliased (pixel centres stay at i + 0.5); what is padded is black."""
        part = self.windowed(video)
        if part.shape[-2:] != self.resized:
            resized = F.interpolate(part, self.resized, mode="bilinear", antialias=True, align_corners=False)
            part = resized.clamp(0, 1)
        return self.placed(part)

    def nearest(self, maps: Shaped[Tensor, "t h w"]) -> Shaped[Tensor, "t H W"]:
        """Take ids, depth or flags of the nearest pixel; what is padded is 0, False.

        They are exact where nothing is resized, else of a centre up to half a pixel of the source away.
        """
        part = self.windowed(maps)
        rows = _nearest_places(part.shape[-2], self.resized[0])
        columns = _nearest_places(part.shape[-1], self.resized[1])
        return self.placed(part[:, rows[:, None], columns])

    def intrinsics(self, intrinsics: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
        """Return K in pixels of the result."""
        windowed = crop_intrinsics(intrinsics, self.window.left, self.window.top)
        resized = scale_intrinsics(windowed, *self.scale_xy)
        return crop_intrinsics(resized, self.corner[1], self.corner[0])

    def points(
        self,
        xy: Float[Tensor, "*b 2"],
    ) -> tuple[Float[Tensor, "*b 2"], Bool[Tensor, " *b"]]:
        """Return pixels of the result, and which of them lie inside it."""
        windowed = xy - xy.new_tensor([self.window.left, self.window.top])
        resized = windowed * xy.new_tensor(self.scale_xy)
        framed = resized - xy.new_tensor([self.corner[1], self.corner[0]])
        inside = (framed >= 0) & (framed < framed.new_tensor([self.size[1], self.size[0]]))
        return framed, inside.all(dim=-1)

    def sentence(self) -> str:
        """Say in words what is done to a picture."""
        taken = (self.window.height, self.window.width)
        said = f"{self.source[1]}x{self.source[0]}"
        if taken != self.source:
            said += f", of which {_size(taken)} from column {self.window.left}, row {self.window.top} is taken,"
        if self.resized != taken:
            said += f" resized to {_size(self.resized)}"
        if self.resized != self.size:
            return said + self._kept()
        return said if self.resized != taken or taken != self.source else f"{said} as it is"

    def _kept(self) -> str:
        spare = [was - now for was, now in zip(self.resized, self.size, strict=True)]
        if min(spare) < 0:
            return f", black bars make it {_size(self.size)}"
        centred = self.corner == (torchvision_margin(spare[0]), torchvision_margin(spare[1]))
        where = "the centre " if centred else ""
        from_ = "" if centred else f" from column {self.corner[1]}, row {self.corner[0]}"
        return f", of which {where}{_size(self.size)}{from_} is kept"

    def windowed(
        self,
        maps: Shaped[Tensor, "*b h w"],
    ) -> Shaped[Tensor, "*b window_h window_w"]:
        """Return the part of a picture that is taken."""
        window = self.window
        rows = slice(window.top, window.top + window.height)
        return maps[..., rows, window.left : window.left + window.width]

    def placed(self, maps: Shaped[Tensor, "*b h w"]) -> Shaped[Tensor, "*b H W"]:
        """Cut off a resized window what lies outside of the result, and pad what is missing in it by 0."""
        top, left = self.corner
        bottom = top + self.size[0]
        right = left + self.size[1]
        # An edge beyond the picture cuts nothing: what lacks there is padded.
        cut = maps[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        pads = [max(-left, 0), max(right - self.resized[1], 0), max(-top, 0), max(bottom - self.resized[0], 0)]
        return F.pad(cut, pads) if any(pads) else cut.contiguous()


@dataclass(frozen=True)
class FitSpec:
    """How a picture of any size becomes one of the size wanted.

    Attributes:
        mode: "cover" resizes until the picture just covers the size, keeping its shape, and cuts what is over;
            "letterbox" resizes until it just fits in, keeping its shape, and puts black bars beside it; "squeeze"
            resizes both sides to the size, whatever becomes of the shape (then fx and fy differ).
        position: (x, y) of what "cover" keeps or where "letterbox" puts the picture: 0 = left or top, 0.5 = centre,
            1 = right or bottom.
        box: (left, top, right, bottom) in pixels of the source that are taken before anything else; None = all.
    """

    mode: str = "cover"
    position: tuple[Share, Share] = (0.5, 0.5)
    box: tuple[Natural, Natural, Natural, Natural] | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If the mode is unknown, a position outside [0, 1] or the box empty.
        """
        check_ranges(self, "size.fit")
        if self.mode not in _MODES:
            raise InputError(f"size.fit.mode: got {self.mode!r}, want one of {', '.join(_MODES)}")
        if self.box is not None:
            left, top, right, bottom = self.box
            if not (0 <= left < right and 0 <= top < bottom):
                raise InputError(f"size.fit.box: got {list(self.box)}, want left < right and top < bottom, from 0")

    def framing(
        self,
        source: tuple[int, int],
        size: tuple[int, int],
        name: str = "picture",
    ) -> Framing:
        """Return what is done to a picture of (height, width) ``source`` to make it one of ``size``.

        Odd margins are split as torchvision's ``CenterCrop`` does: half a pixel is rounded to the even number.

        Raises:
            InputError: If the box reaches out of the picture; ``name`` is what the message calls it.
        """
        left, top, right, bottom = self.box or (0, 0, source[1], source[0])
        if right > source[1] or bottom > source[0]:
            raise InputError(f"{name}: size.fit.box: got {list(self.box or ())}, want it inside {_size(source)} pixels")
        window = Window(top, left, bottom - top, right - left)
        resized = self._resized((window.height, window.width), size)
        # Positions are (x, y), sizes (height, width).
        top_left = (
            torchvision_margin(resized[0] - size[0], self.position[1]),
            torchvision_margin(resized[1] - size[1], self.position[0]),
        )
        return Framing(source, size, window, resized, top_left)

    def _resized(self, taken: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Return (height, width) after resizing: the shape is kept to within half a pixel, but by "squeeze"."""
        scales = [want / side for want, side in zip(size, taken, strict=True)]
        if self.mode == "squeeze":
            return size
        if self.mode == "cover":
            # Rounding may fall a pixel short of the size, which must be covered.
            scale = max(scales)
            return max(size[0], round(taken[0] * scale)), max(size[1], round(taken[1] * scale))
        scale = min(scales)
        height = min(size[0], round(taken[0] * scale))
        width = min(size[1], round(taken[1] * scale))
        return max(1, height), max(1, width)


def show_window(
    source: tuple[int, int],
    window: Window,
    size: tuple[int, int],
) -> Framing:
    """Return what shows a window of a picture at another size."""
    return Framing(source, size, window, size)


def torchvision_margin(spare: int, share: float = 0.5) -> int:
    """Return how much of ``spare`` rows or columns lies before what is kept, as ``CenterCrop`` rounds: 3 / 2 to 2."""
    return round(spare * share)


def _nearest_places(was: int, now: int) -> Shaped[Tensor, " now"]:
    """Return the pixel of ``was`` that holds each pixel centre of ``now``, in whole numbers: no root of rounding."""
    # Centre i + 0.5 of the result lies at (2 i + 1) was / (2 now) of the picture.
    return ((2 * torch.arange(now) + 1) * was) // (2 * now)


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
