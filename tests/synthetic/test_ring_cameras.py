import numpy as np
import pytest
import torch

from mvt4g.geometry.pose import check_poses
from mvt4g.synthetic.camera_specs import RingCameras
from mvt4g.synthetic.cameras import camera_centres, draw_cameras
from mvt4g.synthetic.ring_cameras import ring_places
from mvt4g.types import InputError

SPEC = RingCameras()


def draw(seed, views=16, frames=3):
    return draw_cameras(np.random.default_rng(seed), SPEC, views, frames, (384, 576))


def test_sixteen_places_as_in_kubric_4d():
    centres = (camera_centres(draw(0)).double() - torch.tensor([0.0, 0.0, 1.0]))[:, 0].numpy()
    np.testing.assert_allclose(np.linalg.norm(centres, axis=-1), 15, atol=1e-4)
    elevation = np.rad2deg(np.arcsin(centres[:, 2] / 15))
    np.testing.assert_allclose(elevation, [45] * 4 + [5] * 12, atol=1e-3)
    azimuth = np.rad2deg(np.arctan2(centres[:, 1], centres[:, 0])) % 360
    np.testing.assert_allclose(azimuth, [0, 90, 180, 270, *(30 * (np.arange(12) + 0.5))], atol=1e-3)


def test_cameras_stand_still_with_53_degrees():
    cameras = draw(1)
    check_poses(cameras.cam_from_world, "cameras")
    assert torch.equal(cameras.cam_from_world, cameras.cam_from_world[:, :1].expand(-1, 3, -1, -1))
    assert float(cameras.intrinsics[0, 0, 0, 0]) == 576
    assert np.rad2deg(2 * np.arctan(0.5 * 576 / 576)) == pytest.approx(53.13, abs=0.01)


def test_fewer_views_are_drawn_among_the_places():
    chosen = {tuple(np.round(place, 3)) for seed in range(40) for place in camera_centres(draw(seed, 2))[:, 0].tolist()}
    assert chosen == {tuple(np.round(place, 3)) for place in ring_places(SPEC).astype(np.float32).tolist()}
    for seed in range(10):
        assert len({tuple(place) for place in camera_centres(draw(seed, 8))[:, 0].tolist()}) == 8


def test_more_views_than_places_are_refused():
    with pytest.raises(InputError, match=r"scene\.num_views: got 17, want at most the 16"):
        draw(0, 17)
