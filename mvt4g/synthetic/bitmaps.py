"""Square texture images that repeat, with smaller copies for the distance, looked up many at a time.

A texel is one uint64 with red, green and blue in fields of 20 bits, each 0..255: the weighted sum of four texels, with
whole weights that add up to 4096, is then four multiplications for all three channels at once. Values are the square
roots of light (a gamma of 2), as in 8-bit images, so that dark colours keep their steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int, UInt64
from numpy import ndarray

FIELD = np.uint64(20)
BYTES = np.uint64(255 | 255 << 20 | 255 << 40)
HALVES = np.uint64(2 | 2 << 20 | 2 << 40)
WEIGHT = 4096


def pack(image: Float[ndarray, "*s 3"]) -> UInt64[ndarray, "*s"]:
    """Pack colours in [0, 1], square roots of light."""
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint64)
    red, green, blue = np.moveaxis(levels, -1, 0)
    return red | green << FIELD | blue << (FIELD + FIELD)


def unpack(texels: UInt64[ndarray, "*s"], full: float | int = 255) -> Float[ndarray, "3 ..."]:
    """Return the three fields as float32, ``full`` (at most 2^20 - 1) as 1."""
    mask = np.uint64((1 << 20) - 1)
    red = texels & mask
    green = (texels >> FIELD) & mask
    blue = texels >> (FIELD + FIELD)
    return np.stack([red, green, blue]).astype(np.float32) / np.float32(full)


@dataclass(frozen=True)
class Atlas:
    """Bitmaps one after the other, each followed by its copies of half the side, a quarter and so on down to one texel.

    Attributes:
        texels: Of all of them, rows first.
        starts: Where a bitmap's level begins; levels beyond the last repeat it.
        sides: Texels a side of level 0 of each bitmap, a power of two.
        means: Light (linear) of each bitmap's one-texel level.
    """

    texels: UInt64[ndarray, " n"]
    starts: Int[ndarray, "k levels"]
    sides: Int[ndarray, " k"]
    means: Float[ndarray, "k 3"]

    @classmethod
    def of(cls, bitmaps: Sequence[UInt64[ndarray, "_ _"]]) -> "Atlas":
        """Make the smaller copies and string all together."""
        pyramids = [_pyramid(bitmap) for bitmap in bitmaps]
        num_levels = max(map(len, pyramids))
        # A bitmap of fewer levels than the largest keeps its last start in the columns that it does not need.
        starts = np.zeros((len(pyramids), num_levels), dtype=np.int32)
        pieces = []
        length = 0
        for number, pyramid in enumerate(pyramids):
            for level in range(num_levels):
                if level < len(pyramid):
                    begin = length
                    pieces.append(pyramid[level].ravel())
                    length += pyramid[level].size
                starts[number, level] = begin
        one_texel = np.array([pyramid[-1][0, 0] for pyramid in pyramids])
        means = np.square(unpack(one_texel)).T
        sides = np.array(list(map(len, bitmaps)), dtype=np.int32)
        return cls(np.concatenate(pieces), starts, sides, means)

    def light(
        self,
        number: int | Int[ndarray, " n"],
        u: Float[ndarray, " n"],
        v: Float[ndarray, " n"],
        footprint: Float[ndarray, " n"],
    ) -> Float[ndarray, "3 n"]:
        """Return light in [0, 1], bilinear in the level whose texels are nearest in size to a pixel's footprint.

        Args:
            number: Which bitmap.
            u: Across, 1 = the whole side; repeats. Texel centres at (i + 0.5) / side.
            v: Down, likewise.
            footprint: Side of a pixel in the same unit.
        """
        sides = self.sides[number]
        # floor(log2(sqrt(2) f)) = round(log2 f): the exponent of a float is its logarithm
        level = np.frexp(np.clip(footprint * (sides * np.float32(np.sqrt(2))), 1, 2.0**20))[1] - 1
        level = np.minimum(level, np.frexp(np.float32(1) * sides)[1] - 1)
        side = np.right_shift(sides, level)
        x = u * side - np.float32(0.5)
        y = v * side - np.float32(0.5)
        left = np.floor(x)
        top = np.floor(y)
        # Shares in 64ths, whole numbers: the four products add up to WEIGHT, and no field runs over.
        across = np.rint((x - left) * 64).astype(np.uint64)
        down = np.rint((y - top) * 64).astype(np.uint64)
        near = np.uint64(64) - across
        high = np.uint64(64) - down
        # Sides are powers of two, so that a mask repeats the picture.
        mask = side - 1
        column = left.astype(np.int32)
        row = top.astype(np.int32)
        start = self.starts.ravel().take(number * self.starts.shape[1] + level)
        above = start + (row & mask) * side
        below = start + (row + 1 & mask) * side
        beside = column + 1 & mask
        column = column & mask
        take = self.texels.take
        total = (take(above + column) * near + take(above + beside) * across) * high
        total += (take(below + column) * near + take(below + beside) * across) * down
        return np.square(unpack(total, 255 * WEIGHT))


def _pyramid(bitmap: UInt64[ndarray, "s s"]) -> list[UInt64[ndarray, "_ _"]]:
    """Return the bitmap and its halvings down to one texel, each texel the rounded mean of four."""
    levels = [bitmap]
    while len(levels[-1]) > 1:
        quads = rearrange(levels[-1], "(h a) (w b) -> a b h w", a=2, b=2)
        total = quads[0, 0] + quads[0, 1] + quads[1, 0] + quads[1, 1] + HALVES
        levels.append(total >> np.uint64(2) & BYTES)
    return levels
