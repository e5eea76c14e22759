"""Depth and normals in 16 bits, with a stated error."""

import math

import numpy as np
from jaxtyping import Float, Int16, UInt16
from numpy import ndarray

from mvt4g.types import InputError

MAX_DEPTH_ERROR = 1e-4
"""Largest relative error that quantised depth may have."""
_LEVELS = 65534
"""Steps between the nearest and the farthest depth; level 0 is no depth."""
_NORMAL_SCALE = 32767


def depth_range(depth: Float[ndarray, "*b"]) -> tuple[float, float]:
    """Return the nearest and the farthest depth there is, both 1 where there is none.

    Raises:
        InputError: If a depth is negative, or the range is too wide to quantise within MAX_DEPTH_ERROR.
    """
    if (depth < 0).any():
        raise InputError(f"depth: got {depth.min():g} to quantise, want 0 (none) or more")
    known = depth[np.isfinite(depth) & (depth > 0)]
    if not known.size:
        return 1.0, 1.0
    near = float(known.min())
    far = float(known.max())
    if relative_error(near, far) > MAX_DEPTH_ERROR:
        want = "a narrower range or exact float32"
        raise InputError(f"depth: got {near:g} to {far:g} to quantise, want {want}")
    return near, far


def relative_error(near: float, far: float) -> float:
    """Return the largest relative error of quantised depth, float32 rounding included."""
    return math.expm1(0.5 * math.log(far / near) / _LEVELS) + 2**-22


def quantise_depth(depth: Float[ndarray, "*b"], near: float, far: float) -> UInt16[ndarray, "*b"]:
    """Return levels evenly spaced in log depth: ``depth = near * (far / near) ** ((level - 1) / 65534)``, 0 = none."""
    is_known = np.isfinite(depth) & (depth > 0)
    # The span of a single depth is 0.
    span = max(math.log(far / near), 1e-12)
    exact = np.where(is_known, depth, near).astype(np.float64)
    share = np.log(exact / near) / span
    return np.where(is_known, 1 + np.round(share * _LEVELS), 0).astype(np.uint16)


def dequantise_depth(levels: UInt16[ndarray, "*b"], near: float, far: float) -> Float[ndarray, "*b"]:
    """Return float32 depth, 0 where there is none."""
    share = (np.arange(_LEVELS + 2) - 1) / _LEVELS
    table = near * np.exp(share * math.log(far / near))
    table[0] = 0.0  # level 0 is no depth
    return table.astype(np.float32)[levels]


def quantise_normals(normals: Float[ndarray, "*b"]) -> Int16[ndarray, "*b"]:
    """Return components in [-1, 1] times 32767, rounded."""
    return np.round(normals * _NORMAL_SCALE).astype(np.int16)


def dequantise_normals(levels: Int16[ndarray, "*b"]) -> Float[ndarray, "*b"]:
    """Return components off by at most 1 / 65534."""
    return levels.astype(np.float32) / np.float32(_NORMAL_SCALE)
