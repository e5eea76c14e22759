"""Slow, obvious bilinear reading of one map, in NumPy."""

import math

import numpy as np


def bilinear_read(cells: np.ndarray, x: float, y: float, stride: float, padding: str) -> np.ndarray:
    """Read cells (c h w), centres at ((column + 0.5), (row + 0.5)) * stride, at the pixel (x, y)."""
    _, height, width = cells.shape
    column, row = x / stride - 0.5, y / stride - 0.5
    if padding == "border":
        column, row = min(max(column, 0), width - 1), min(max(row, 0), height - 1)
    left, top = math.floor(column), math.floor(row)
    total = np.zeros(cells.shape[0])
    for r in (top, top + 1):
        for c in (left, left + 1):
            weight = (1 - abs(row - r)) * (1 - abs(column - c))
            if 0 <= r < height and 0 <= c < width:
                total += weight * cells[:, r, c]
    return total
