"""Slow twin of ``models/tracking/correlation.py``: bilinear-sample every neighbourhood, then take dot products."""

import numpy as np


def bilinear(feature_map: np.ndarray, x: float, y: float) -> np.ndarray:
    """Read a (d h w) map at (x, y) in cells, centres at i + 0.5, border outside."""
    _, height, width = feature_map.shape
    x, y = min(max(x - 0.5, 0.0), width - 1.0), min(max(y - 0.5, 0.0), height - 1.0)
    left, top = int(np.floor(x)), int(np.floor(y))
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = x - left, y - top
    upper = feature_map[:, top, left] * (1 - a) + feature_map[:, top, right] * a
    lower = feature_map[:, bottom, left] * (1 - a) + feature_map[:, bottom, right] * a
    return upper * (1 - b) + lower * b


def patch(feature_map: np.ndarray, x: float, y: float, radius: int) -> np.ndarray:
    """Return the (r d) features at offsets (dy, dx), row-major."""
    offsets = range(-radius, radius + 1)
    return np.stack([bilinear(feature_map, x + dx, y + dy) for dy in offsets for dx in offsets])


def local_correlation(query_features, key_maps, key_xy, radius):
    """Return (f p r o) dot products."""
    frames, points = key_xy.shape[:2]
    result = np.zeros((frames, points, query_features.shape[1], (2 * radius + 1) ** 2))
    for frame in range(frames):
        for point in range(points):
            keys = patch(key_maps[frame], *key_xy[frame, point], radius)
            result[frame, point] = query_features[point] @ keys.T
    return result
