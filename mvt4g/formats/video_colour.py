"""Colours of video: from stored planes to the RGB of a screen and back, by what a file's tags say.

The numbers of matrices, transfers and primaries are those of ITU-T H.273, which every container and codec uses.

Where a file leaves a tag open, players guess, and so does ``ColourTags``: the matrix is BT.709 from 1280 columns or 577
rows on and BT.601 below; luma and chroma are of video range (16 to 235 of 255), grey alone is of full range; transfer
and primaries are a screen's. The SDR transfers (BT.601, BT.709, BT.2020, sRGB) count as one, and so do the primaries of
standard definition and BT.709, as in FFmpeg. BT.2020's and Display P3's primaries are converted in linear light.

Source: ITU-T H.273 (07/2021), sections 8.1 to 8.3; the guesses are those of mpv (video/mp_image.c).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float, UInt, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from mvt4g.types import InputError

RGB = 0
BT709 = 1
UNKNOWN = 2
BT601 = 6
SRGB = 13
_YCGCO = 8
_OPEN = (0, UNKNOWN, 3)
"""Numbers that say nothing (0 and 3 are reserved; as a matrix 0 is the identity)."""

_STRIP_ROWS = 64

_LUMA_WEIGHTS = {  # of red and blue, by matrix
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    BT601: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_SCREEN_TRANSFERS = (BT709, BT601, 7, 11, 12, SRGB, 14, 15)
# From values to light, by transfer.
_DECODE: dict[int, Callable[[Tensor], Tensor]] = {
    4: lambda values: values**2.2,
    5: lambda values: values**2.8,
    8: lambda values: values,
}
_D65 = (0.3127, 0.3290)
_SCREEN_PRIMARIES = (BT709, 5, BT601, 7, 22)
# (x, y) of red, green, blue, by primaries; all with the white point D65.
_CHROMATICITIES = {
    BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_NAMES = {
    "matrix": {10: "BT.2020 constant luminance", 14: "ICtCp"},
    "transfer": {16: "PQ (HDR)", 18: "HLG (HDR)"},
    "primaries": {4: "BT.470 M", 8: "film", 10: "CIE 1931 XYZ", 11: "DCI-P3"},
}


@dataclass(frozen=True)
class ColourTags:
    """What a frame says of its colours.

    Attributes:
        matrix: From RGB to luma and chroma.
        full_range: True if 0 and 255 are black and white, None where the file does not say.
        transfer: From light to values.
        primaries: The colours of the three lights.
    """

    matrix: int = UNKNOWN
    full_range: bool | None = None
    transfer: int = UNKNOWN
    primaries: int = UNKNOWN

    def check(self, what: str) -> None:
        """Refuse colours that cannot be turned into a screen's.

        Raises:
            InputError: Naming ``what`` and the tag.
        """
        known = {
            "matrix": (RGB, _YCGCO, *_OPEN, *_LUMA_WEIGHTS),
            "transfer": (*_OPEN, *_SCREEN_TRANSFERS, *_DECODE),
            "primaries": (*_OPEN, *_SCREEN_PRIMARIES, *_CHROMATICITIES),
        }
        for tag, numbers in known.items():
            number = getattr(self, tag)
            if number not in numbers:
                name = _NAMES[tag].get(number, f"number {number} of ITU-T H.273")
                want = "SDR video such as BT.709"
                raise InputError(f"{what}: got colours of {tag} {name}, want {want}")


def guessed_matrix(height: int, width: int) -> int:
    """Return the matrix that players take for a video that states none."""
    return BT709 if width >= 1280 or height > 576 else BT601


def rgb_from_planes(
    luma: UInt[ndarray, "h w"],
    chroma: tuple[UInt[ndarray, "hc wc"], UInt[ndarray, "hc wc"]] | None,
    bits: int,
    tags: ColourTags,
    out: Float[Tensor, "3 h w"],
) -> None:
    """Turn the planes of a frame into a screen's RGB in [0, 1].

    Chroma is interpolated linearly; its samples sit on the left column and between the rows of the pixels they are of.

    Args:
        luma: (h w) levels.
        chroma: Blue and red difference, of full size or coarser; None for grey.
        bits: Of a level.
        tags: Checked ones.
        out: Where RGB is written.
    """
    height, width = luma.shape
    full = tags.full_range
    # Colour video has video range by custom, grey has not.
    if full is None:
        full = chroma is None
    matrix = guessed_matrix(height, width) if tags.matrix in (UNKNOWN, 3) else tags.matrix
    # Levels of more bits are those of 8 bits with zeros behind.
    unit = 2 ** (bits - 8)
    black, white = (0, 256 * unit - 1) if full else (16 * unit, 235 * unit)
    span = 256 * unit - 1 if full else 224 * unit  # of chroma
    # Strips stay in the processor's cache: three times as fast.
    for top in range(0, height, _STRIP_ROWS):
        rows = range(top, min(top + _STRIP_ROWS, height))
        strip = out[:, rows.start : rows.stop]
        y = _floats(luma[rows.start : rows.stop]).sub_(black).mul_(1 / (white - black))
        if chroma is None:
            strip.copy_(y.expand_as(strip))
        elif matrix == RGB:  # the planes are green, blue and red
            strip[1] = y
            for channel, plane in zip((2, 0), chroma, strict=True):
                strip[channel] = _floats(plane[rows.start : rows.stop]).sub_(black).mul_(1 / (white - black))
        else:
            blue, red = (
                _upsampled(plane, rows, height, width).sub_(128 * unit).mul_(1 / span) for plane in chroma
            )  # fmt: skip
            for channel, (of_blue, of_red) in zip(strip, _chroma_weights(matrix), strict=True):
                torch.add(y, blue, alpha=of_blue, out=channel)
                channel.add_(red, alpha=of_red)
        to_screen(strip, tags)


def to_screen(rgb: Float[Tensor, "3 h w"], tags: ColourTags) -> None:
    """Turn values of the tagged transfer and primaries into a screen's (sRGB), in place, clamped to [0, 1]."""
    other_transfer = tags.transfer in _DECODE
    other_primaries = tags.primaries not in (*_OPEN, *_SCREEN_PRIMARIES)
    rgb.clamp_(0, 1)
    if not other_transfer and not other_primaries:
        return
    light = _DECODE.get(tags.transfer, _srgb_light)(rgb)
    if other_primaries:
        screen_from_tagged = np.linalg.solve(_xyz_from_rgb(BT709), _xyz_from_rgb(tags.primaries))
        light = einsum(torch.from_numpy(screen_from_tagged).float(), light, "screen tag, tag h w -> screen h w")
    rgb.copy_(_srgb_values(light.clamp(0, 1)))


def planes_from_rgb(
    rgb: UInt8[ndarray, "h w 3"], matrix: int, subsampled: bool
) -> tuple[UInt8[ndarray, "h w"], UInt8[ndarray, "2 hc wc"]]:
    """Return luma and chroma of video range (16 to 235, 16 to 240), rounded to the nearest level.

    Args:
        rgb: Of even height and width where ``subsampled``.
        matrix: One of BT709, BT601.
        subsampled: Chroma of half the height and width, sitting where ``rgb_from_planes`` expects it.
    """
    red_weight, blue_weight = _LUMA_WEIGHTS[matrix]
    red, green, blue = torch.from_numpy(rgb).permute(2, 0, 1).float().div_(255)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    chroma = torch.stack([(blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)])
    if subsampled:
        rows = (chroma[:, 0::2] + chroma[:, 1::2]) / 2
        # One column more on the left.
        padded = F.pad(rows, (1, 0), mode="replicate")
        chroma = (padded[..., 0:-1:2] + 2 * padded[..., 1::2] + padded[..., 2::2]) / 4
    return _levels(luma * 219 + 16), _levels(chroma * 224 + 128)


def _levels(values: Float[Tensor, " *s"]) -> UInt8[ndarray, " *s"]:
    return values.round_().clamp_(0, 255).to(torch.uint8).numpy()


def _floats(plane: UInt[ndarray, " *s"]) -> Float[Tensor, " *s"]:
    return torch.from_numpy(plane.astype(np.float32))


def _chroma_weights(matrix: int) -> tuple[tuple[float, float], ...]:
    """Return what one unit of the blue and of the red difference adds to red, green and blue."""
    if matrix == _YCGCO:
        return (-1.0, 1.0), (1.0, 0.0), (-1.0, -1.0)
    red, blue = _LUMA_WEIGHTS[matrix]
    green = 1 - red - blue
    of_green = (-2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green)
    return (0.0, 2 - 2 * red), of_green, (2 - 2 * blue, 0.0)


def _upsampled(plane: UInt[ndarray, "hc wc"], rows: range, height: int, width: int) -> Float[Tensor, "rows w"]:
    """Interpolate some rows of a chroma plane linearly: rows by their centres, columns from the left.

    Args:
        plane: (hc wc) levels; ``height`` is at most 4 ``hc``, ``width`` at most 4 ``wc``.
        rows: Those of the picture that are wanted.
        height: Of the picture.
        width: Of the picture.
    """
    down, across = (-(-side // coarse) for side, coarse in zip((height, width), plane.shape, strict=True))
    if down == 1:
        values = _floats(plane[rows.start : rows.stop])
    else:
        places = ((np.arange(rows.start, rows.stop) + 0.5) / down - 0.5).clip(0, len(plane) - 1)
        above = places.astype(np.int64)
        below = np.minimum(above + 1, len(plane) - 1)
        near = _floats(plane[above[0] : below[-1] + 1])
        shares = torch.from_numpy((places - above).astype(np.float32))[:, None]
        upper = near.index_select(0, torch.from_numpy(above - above[0]))
        lower = near.index_select(0, torch.from_numpy(below - above[0]))
        values = torch.lerp(upper, lower, shares)
    if across == 1:
        return values
    following = torch.cat([values[:, 1:], values[:, -1:]], dim=1)
    spread = torch.empty(*values.shape, across)
    for step in range(across):
        torch.lerp(values, following, step / across, out=spread[..., step])
    return spread.flatten(-2)[:, :width]


def _xyz_from_rgb(primaries: int) -> Float[ndarray, "3 3"]:
    """Return XYZ of the three lights, as strong as makes their sum D65 at Y = 1."""
    lights = np.array([(x / y, 1, (1 - x - y) / y) for x, y in _CHROMATICITIES[primaries]]).T
    x, y = _D65
    strengths = np.linalg.solve(lights, np.array([x / y, 1, (1 - x - y) / y]))
    return np.asarray(lights * strengths)


def _srgb_light(values: Float[Tensor, " *s"]) -> Float[Tensor, " *s"]:
    return torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _srgb_values(light: Float[Tensor, " *s"]) -> Float[Tensor, " *s"]:
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, light * 12.92, curve)
