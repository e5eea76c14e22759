"""Depth and normals in 16 bits: off by no more than is stated, and by nearly that somewhere."""

import numpy as np
import pytest

from mvt4g.formats.quantised import (
    depth_range,
    dequantise_depth,
    dequantise_normals,
    quantise_depth,
    quantise_normals,
    relative_error,
)


@pytest.mark.parametrize("span", [1.0001, 3.0, 700.0, 4e5])
def test_depth_is_within_the_stated_error(span: float) -> None:
    depth = np.exp(np.random.default_rng(0).uniform(0, np.log(span), 20_000)).astype(np.float32) * 2
    near, far = depth_range(depth)
    back = dequantise_depth(quantise_depth(depth, near, far), near, far)
    error = np.abs(back.astype(np.float64) / depth - 1).max()
    assert error <= relative_error(near, far) <= 1e-4
    assert error > 0.5 * relative_error(near, far) or span < 2
    assert {back.min(), back.max()} <= {np.float32(near), np.float32(far)}


def test_no_depth_stays_none_and_one_depth_stays_itself() -> None:
    depth = np.array([0.0, np.inf, np.nan, 7.0], np.float32)
    assert dequantise_depth(quantise_depth(depth, 7.0, 7.0), 7.0, 7.0).tolist() == [0.0, 0.0, 0.0, 7.0]
    assert depth_range(depth) == (7.0, 7.0)
    assert depth_range(depth[:3]) == (1.0, 1.0)


def test_normals_are_within_the_stated_error() -> None:
    normals = np.random.default_rng(0).uniform(-1, 1, 10_000).astype(np.float32)
    error = np.abs(dequantise_normals(quantise_normals(normals)) - normals).max()
    assert 0.9 / 65534 < error <= 1 / 65534 + 1e-7
    corners = np.array([-1.0, 0.0, 1.0], np.float32)
    assert dequantise_normals(quantise_normals(corners)).tolist() == [-1.0, 0.0, 1.0]
