import numpy as np

from mvt4g.synthetic.spec import LookSpec
from mvt4g.synthetic.textures import DARKEST, LIGHTEST, Texture, draw_ground, draw_object, draw_sky


def test_known_colours_of_one_wave():
    texture = Texture(np.full(3, 0.5), np.array([[np.pi, 0, 0]]), np.zeros(1), np.array([[0.1, 0, -0.1]]))
    half = (LIGHTEST - DARKEST) / 2
    step = half * np.tanh(0.1 / half)
    points = np.array([[0.0, 5, 5], [0.5, 0, 0], [1.5, 0, 0]], dtype=np.float32)
    expected = 0.5 + step * np.array([[0, 0, 0], [1, 0, -1], [-1, 0, 1]])
    np.testing.assert_allclose(texture.colour(points), expected, atol=1e-6)


def test_colours_stay_in_range_and_have_the_asked_contrast():
    spread = []
    points = np.random.default_rng(1).uniform(-20, 20, (4000, 3)).astype(np.float32)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        looks = LookSpec(ground_contrast=0.1, ground_waves=8)
        textures = [draw_ground(rng, looks), draw_object(rng, looks, 1.5, rng.uniform()), draw_sky(rng)]
        for texture in textures:
            colour = texture.colour(points)
            assert DARKEST <= colour.min() <= colour.max() <= LIGHTEST
        waves = np.sin(points @ textures[0].wave_vectors.T + textures[0].phases) @ textures[0].amplitudes
        spread.append(waves.std())
    assert 0.08 < np.mean(spread) < 0.12


def test_ground_is_flat_and_within_its_wavelengths():
    texture = draw_ground(np.random.default_rng(0), LookSpec(ground_wavelength=(2.0, 4.0), ground_waves=50))
    assert (texture.wave_vectors[:, 2] == 0).all()
    wavelengths = 2 * np.pi / np.linalg.norm(texture.wave_vectors, axis=-1)
    assert 2 <= wavelengths.min() <= wavelengths.max() <= 4


def test_hues_a_third_apart_give_the_three_primaries():
    looks = LookSpec(object_waves=0)
    for channel in range(3):
        base = draw_object(np.random.default_rng(0), looks, 1.0, channel / 3).base
        assert base.argmax() == channel
        assert base.max() - np.sort(base)[1] > 0.5
