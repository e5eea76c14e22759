"""Colours of video, one pixel at a time and by the definitions of ITU-T H.273."""

import numpy as np

WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}


def stored_slow(rgb: tuple[int, int, int], matrix: int, full: bool, bits: int) -> tuple[float, float, float]:
    """Return luma, blue and red difference as levels of so many bits, of a colour in 0 to 255."""
    red, green, blue = (value / 255 for value in rgb)
    kr, kb = WEIGHTS[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    if full:
        top = 2**bits - 1
        return top * luma, 2 ** (bits - 1) + top * cb, 2 ** (bits - 1) + top * cr
    unit = 2 ** (bits - 8)
    return (16 + 219 * luma) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit


def rgb_slow(luma: np.ndarray, chroma: tuple[np.ndarray, ...], matrix: int, down: int, across: int) -> np.ndarray:
    """Return RGB (3 h w) in [0, 1] of 8-bit planes of video range, chroma interpolated linearly."""
    height, width = luma.shape
    kr, kb = WEIGHTS[matrix]
    rgb = np.zeros((3, height, width))
    for row in range(height):
        for column in range(width):
            y = (luma[row, column] - 16.0) / 219
            cb, cr = (
                (chroma_at(plane.astype(float), (row - (down - 1) / 2) / down, column / across) - 128) / 224
                for plane in chroma
            )
            red, blue = y + (2 - 2 * kr) * cr, y + (2 - 2 * kb) * cb
            rgb[:, row, column] = red, (y - kr * red - kb * blue) / (1 - kr - kb), blue
    return rgb.clip(0, 1)


def chroma_at(plane: np.ndarray, row: float, column: float) -> float:
    """Return the value between four samples; beyond the border it is the border's."""
    row, column = (min(max(place, 0), side - 1) for place, side in zip((row, column), plane.shape, strict=True))
    top, left = int(row), int(column)
    bottom, right = (min(place + 1, side - 1) for place, side in zip((top, left), plane.shape, strict=True))
    upper = plane[top, left] + (column - left) * (plane[top, right] - plane[top, left])
    lower = plane[bottom, left] + (column - left) * (plane[bottom, right] - plane[bottom, left])
    return float(upper + (row - top) * (lower - upper))
