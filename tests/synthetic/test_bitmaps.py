import numpy as np
import pytest

from mvt4g.synthetic.bitmaps import Atlas, pack, unpack
from tests.reference.bitmaps import slow_light

RNG = np.random.default_rng(0)
LARGE, SMALL = (np.rint(RNG.random((side, side, 3)) * 255) / 255 for side in (32, 8))


def light(number, u, v, footprint, bitmaps=(LARGE, SMALL)):
    u, v, footprint = (np.atleast_1d(np.float32(value)) for value in (u, v, footprint))
    return Atlas.of([pack(bitmap) for bitmap in bitmaps]).light(number, u, v, footprint).T


def test_packing_keeps_eight_bits():
    np.testing.assert_allclose(unpack(pack(LARGE)), np.moveaxis(LARGE, -1, 0), atol=1e-6)


def test_texel_centres_have_the_texel_s_light():
    for row, column in ((0, 0), (3, 7), (31, 31)):
        got = light(0, (column + 0.5) / 32, (row + 0.5) / 32, 0.01)[0]
        np.testing.assert_allclose(got, LARGE[row, column] ** 2, atol=2e-6)


def test_light_agrees_with_the_slow_twin():
    u, v = RNG.uniform(-2, 2, (2, 300)).astype(np.float32)
    footprint = np.exp(RNG.uniform(np.log(0.005), np.log(2), 300)).astype(np.float32)
    for number, image in enumerate((LARGE, SMALL)):
        fast = light(number, u, v, footprint)
        slow = np.array([slow_light(image, *one) for one in zip(u, v, footprint, strict=True)])
        assert np.abs(fast - slow).max() < 0.03  # 1/64 of a texel, 8 bits a level
        assert np.abs(fast - slow).mean() < 4e-3
        shifted = np.array([slow_light(image, *one) for one in zip(u + 0.5 / len(image), v, footprint, strict=True)])
        assert np.abs(fast - shifted).mean() > 0.03  # negative control: half a texel off


def test_each_look_up_has_its_own_bitmap():
    numbers = np.array([0, 1, 1, 0])
    both = light(numbers, [0.3] * 4, [0.6] * 4, [0.01] * 4)
    np.testing.assert_array_equal(both[numbers == 0], np.repeat(light(0, 0.3, 0.6, 0.01), 2, axis=0))
    np.testing.assert_array_equal(both[numbers == 1], np.repeat(light(1, 0.3, 0.6, 0.01), 2, axis=0))


@pytest.mark.parametrize("footprint", [1.0, 50.0, np.inf])
def test_from_far_all_is_the_mean(footprint):
    atlas = Atlas.of([pack(LARGE)])
    np.testing.assert_allclose(light(0, 0.1, 0.9, footprint, [LARGE])[0], atlas.means[0], atol=1e-6)
    np.testing.assert_allclose(np.sqrt(atlas.means[0]), LARGE.mean(axis=(0, 1)), atol=0.01)


def test_one_texel_will_do():
    np.testing.assert_allclose(light(0, 0.7, 0.2, 0.1, [np.full((1, 1, 3), 0.6)]), [[0.36] * 3], atol=1e-6)
