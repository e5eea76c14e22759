"""The figures are of 20,000 draws by a copy of Kubric's own rules."""

import numpy as np
import pytest
import torch

from mvt4g.geometry.camera import project_points
from mvt4g.geometry.pose import check_poses
from mvt4g.synthetic.camera_specs import LinearCameras
from mvt4g.synthetic.cameras import camera_centres, draw_cameras
from mvt4g.synthetic.linear_cameras import draw_path, in_half_shell
from mvt4g.types import InputError

SPEC = LinearCameras()


def draw(seed, views=2, frames=24, spec=SPEC):
    return draw_cameras(np.random.default_rng(seed), spec, views, frames, (256, 384))


def test_starts_follow_kubric_s_shell():
    rng = np.random.default_rng(0)
    starts = np.stack([in_half_shell(rng, SPEC.radius, SPEC.lowest) for _ in range(4000)])
    radius = np.linalg.norm(starts, axis=-1)
    assert radius.mean() == pytest.approx(10.26, abs=0.06)
    np.testing.assert_allclose(np.percentile(radius, [5, 95]), [8.31, 11.86], atol=0.08)
    elevation = np.rad2deg(np.arcsin(starts[:, 2] / radius))
    np.testing.assert_allclose(np.percentile(elevation, [5, 50, 95]), [6.9, 32.6, 72.3], atol=1.6)
    assert starts[:, 2].min() > 0.1


def test_paths_stay_in_the_shell_and_sweep_as_kubric_s():
    paths = np.array([draw_path(np.random.default_rng(seed), SPEC) for seed in range(3000)])
    distance = np.linalg.norm(paths, axis=-1)
    assert 8 <= distance.min() <= distance.max() <= 12
    assert paths[..., 2].min() > 0.1
    length = np.linalg.norm(paths[:, 1] - paths[:, 0], axis=-1)
    assert 0 < length.min() < 0.1
    assert 3.9 < length.max() <= 4
    assert length.mean() == pytest.approx(2, abs=0.06)
    sweep = np.rad2deg(np.arccos((paths[:, 0] * paths[:, 1]).sum(-1) / distance.prod(-1)))
    assert sweep.mean() == pytest.approx(9.7, abs=0.3)
    assert np.percentile(sweep, 95) == pytest.approx(20.8, abs=0.8)


def test_frames_cover_23_of_26_parts_of_a_straight_path():
    cameras = draw(3)
    check_poses(cameras.cam_from_world, "cameras")
    centres = camera_centres(cameras).double()
    steps = centres.diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=1e-5, rtol=0)
    start, end = draw_path(np.random.default_rng(3).spawn(2)[0], SPEC)
    np.testing.assert_allclose(centres[0, 0], start + (end - start) / 26, atol=1e-5)
    np.testing.assert_allclose(centres[0, -1], start + (end - start) * 24 / 26, atol=1e-5)


def test_the_lens_is_35_mm_on_32_and_the_origin_in_the_middle():
    cameras = draw(0)
    assert float(cameras.intrinsics[0, 0, 0, 0]) == 1.09375 * 384
    assert float(cameras.intrinsics[0, 0, 1, 1]) == 1.09375 * 384
    pixels, in_front = project_points(torch.zeros(3), cameras.cam_from_world, cameras.intrinsics)
    assert bool(in_front.all())
    torch.testing.assert_close(pixels, torch.tensor([192.0, 128.0]).expand_as(pixels), atol=1e-3, rtol=0)


def test_more_views_leave_the_first_as_they_are():
    two, five = draw(7, views=2), draw(7, views=5)
    assert torch.equal(five.cam_from_world[:2], two.cam_from_world)
    assert not torch.equal(two.cam_from_world[0], two.cam_from_world[1])


def test_one_frame_will_do_and_an_impossible_path_is_named():
    assert draw(0, views=1, frames=1).cam_from_world.shape == (1, 1, 4, 4)
    with pytest.raises(InputError, match=r"cameras\.travel: got \(30.0, 30.0\)"):
        draw(0, spec=LinearCameras(travel=(30.0, 30.0)))
