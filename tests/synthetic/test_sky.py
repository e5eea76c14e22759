import numpy as np
import pytest

from mvt4g.synthetic.bitmaps import Atlas
from mvt4g.synthetic.look_spec import TexturedSpec
from mvt4g.synthetic.sky import draw_lighting, draw_sky_bitmap, draw_sun, sky_coordinates


def direction(azimuth_deg, elevation_deg):
    azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    return np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], dtype=np.float32
    )


def look(bitmap, towards):
    u, v = sky_coordinates(np.atleast_2d(towards).T)
    return Atlas.of([bitmap]).light(0, u, v, np.full(len(u), 1e-4, dtype=np.float32)).mean(axis=0)


def test_directions_have_their_place():
    u, v = sky_coordinates(np.stack([direction(0, 0), direction(90, 45), direction(180, 90)]).T)
    np.testing.assert_allclose(u[:2], [0, 0.25], atol=1e-6)
    np.testing.assert_allclose(v, [0, 0.5, 1], atol=5e-3)


@pytest.mark.parametrize("azimuth", [0, 130, 250])
def test_the_sun_is_where_the_light_comes_from(azimuth):
    spec = TexturedSpec(clouds=(0.0, 0.0))
    sun = direction(azimuth, 50).astype(np.float64)
    bitmap, horizon = draw_sky_bitmap(np.random.default_rng(0), spec, sun)
    towards = look(bitmap, direction(azimuth, 50))[0]
    assert towards == look(bitmap, np.stack([direction(a, 50) for a in range(0, 360, 10)])).max()
    assert towards > 1.3 * look(bitmap, direction(azimuth + 180, 50))[0]
    assert horizon.shape == (3,)


def test_clouds_cover_the_share_asked_for():
    def changed(cover):
        sun = np.array([0.0, 0.6, 0.8])
        specs = [TexturedSpec(clouds=(share, share)) for share in (0.0, cover)]
        clear, cloudy = (draw_sky_bitmap(np.random.default_rng(3), spec, sun)[0] for spec in specs)
        return float((clear != cloudy).mean())

    assert changed(0.0) == 0
    assert 0.05 < changed(0.3) < changed(0.8) < 1


def test_the_sun_s_height_and_the_exposure():
    spec = TexturedSpec(sun_elevation=(30.0, 40.0), sun_share=(0.6, 0.6), sun_radius=(2.0, 2.0))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        sun, radius = draw_sun(rng, spec)
        assert np.sin(np.deg2rad(30)) <= sun[2] <= np.sin(np.deg2rad(40))
        assert np.linalg.norm(sun) == pytest.approx(1)
        assert np.rad2deg(radius) == pytest.approx(2)
        grey = np.full(3, 0.5)
        lighting = draw_lighting(rng, spec, (sun, radius), grey, grey, grey)
        floor = sun[2] * lighting.sun_light + lighting.sky_light
        assert floor.mean() == pytest.approx(1)
        np.testing.assert_allclose(lighting.ground_light, 0.5 * floor)
        assert lighting.sun_light.mean() / (lighting.sun_light + lighting.sky_light).mean() == pytest.approx(0.6)
