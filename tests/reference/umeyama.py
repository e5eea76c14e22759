"""Slow twin of ``geometry/align.py``: Horn's closed form by quaternions, no singular values; one point at a time."""

import numpy as np


def best_rotation(covariance):
    """Rotation R with the largest trace of R^T covariance: the eigenvector of Horn's 4x4 matrix."""
    s = np.asarray(covariance, dtype=np.float64).T  # Horn's M_ij = sum of source_i target_j
    n = np.zeros((4, 4))
    n[0, 0] = s[0, 0] + s[1, 1] + s[2, 2]
    n[0, 1:] = n[1:, 0] = s[1, 2] - s[2, 1], s[2, 0] - s[0, 2], s[0, 1] - s[1, 0]
    for i in range(3):
        for j in range(3):
            n[1 + i, 1 + j] = s[i, j] + s[j, i]
        n[1 + i, 1 + i] = 2 * s[i, i] - n[0, 0]
    w, x, y, z = np.linalg.eigh(n)[1][:, -1]
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def similarity(source, target, weights=None):
    """Return (scale, rotation, translation) of points (n 3)."""
    weights = np.ones(len(source)) if weights is None else weights
    total = sum(weights)
    from_mean = sum(w * p for w, p in zip(weights, source, strict=True)) / total
    to_mean = sum(w * p for w, p in zip(weights, target, strict=True)) / total
    covariance, variance = np.zeros((3, 3)), 0.0
    for w, a, b in zip(weights, source - from_mean, target - to_mean, strict=True):
        covariance += w * np.outer(b, a)
        variance += w * (a @ a)
    if variance == 0:
        return 0.0, np.eye(3), to_mean
    rotation = best_rotation(covariance)
    scale = np.trace(rotation.T @ covariance) / variance
    return scale, rotation, to_mean - scale * rotation @ from_mean
