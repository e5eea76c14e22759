from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from mvt4g.synthetic.bitmaps import unpack
from mvt4g.synthetic.look_spec import PatternKind
from mvt4g.synthetic.patterns import draw_bitmap, draw_pattern, draw_ramp, octaves

KINDS = get_args(PatternKind)


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_repeat_and_are_shares(kind):
    """Across the seam a pattern steps no more than between any other neighbours."""
    for seed in range(4):
        pattern = draw_pattern(np.random.default_rng(seed), kind, 128)
        assert 0 <= pattern.min() < 0.1
        assert 0.9 < pattern.max() <= 1
        for axis in (0, 1):
            steps = np.abs(np.diff(pattern, axis=axis)).mean(axis=1 - axis)
            seam = np.abs(pattern.take(0, axis) - pattern.take(-1, axis)).mean()
            assert seam <= 1.5 * steps.max() + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_bitmaps_have_detail_at_every_scale_and_differ(kind):
    images = [unpack(draw_bitmap(np.random.default_rng(seed), kind, 128)) for seed in range(6)]
    for image in images:
        assert image.std(axis=(1, 2)).max() > 0.02
        levels = [image]
        while levels[-1].shape[-1] > 4:
            levels.append(levels[-1].reshape(3, -1, 2, levels[-1].shape[-1] // 2, 2).mean(axis=(2, 4)))
        detail = [np.abs(fine - np.kron(coarse, np.ones((1, 2, 2)))).mean() for fine, coarse in pairwise(levels)]
        assert min(detail) > 5e-4
    assert all(np.abs(first - second).mean() > 0.03 for first, second in pairwise(images))


def test_octaves_fall_as_asked_and_coarse_ones_come_first():
    rough, smooth = (octaves(np.random.default_rng(0), 128, persistence) for persistence in (0.9, 0.3))
    assert np.abs(np.diff(rough)).mean() > 4 * np.abs(np.diff(smooth)).mean()
    small = octaves(np.random.default_rng(0), 64, 0.3)
    halved = smooth.reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), halved.ravel())[0, 1] > 0.99
    other = octaves(np.random.default_rng(1), 64, 0.3)
    assert np.corrcoef(small.ravel(), other.ravel())[0, 1] < 0.5


def test_the_ground_is_finer_and_less_vivid():
    def vivid(image):
        return float((image.max(axis=0) - image.min(axis=0)).mean())

    def step(image):
        return float(np.abs(np.diff(image)).mean())

    pairs = [
        tuple(unpack(draw_bitmap(np.random.default_rng(seed), "spots", 64, ground)) for ground in (False, True))
        for seed in range(100)
    ]
    assert np.mean([vivid(ground) for _, ground in pairs]) < 0.8 * np.mean([vivid(own) for own, _ in pairs])
    assert np.mean([step(ground) for _, ground in pairs]) > np.mean([step(own) for own, _ in pairs])


def test_ramps_go_from_dark_to_light():
    for seed in range(20):
        ramp = draw_ramp(np.random.default_rng(seed))
        assert 0 < ramp.min() <= ramp.max() < 1
        assert (np.diff(ramp.mean(axis=1)) > 0).mean() > 0.8
    grey = draw_ramp(np.random.default_rng(0), vivid=0)
    np.testing.assert_allclose(grey, grey[:, :1].repeat(3, axis=1))


@pytest.mark.parametrize("texels", [4, 8])
def test_the_smallest_bitmaps(texels):
    for kind in KINDS:
        assert draw_bitmap(np.random.default_rng(0), kind, texels).shape == (texels, texels)
