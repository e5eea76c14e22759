import numpy as np
import pytest
import torch

from mvt4g.geometry.camera import project_points
from mvt4g.geometry.pose import check_poses
from mvt4g.synthetic.cameras import CENTRE_HEIGHT, camera_centres, draw_cameras, separation_degrees
from mvt4g.synthetic.spec import CameraSpec
from mvt4g.types import InputError

SPEC = CameraSpec()
CENTRE = torch.tensor([0.0, 0, CENTRE_HEIGHT])


def draw(seed, views=3, frames=5, spec=SPEC):
    return draw_cameras(np.random.default_rng(seed), spec, views, frames, (64, 96))


def test_views_lie_apart_but_near_each_other_and_on_the_shell():
    azimuths = []
    for seed in range(30):
        cameras = draw(seed)
        check_poses(cameras.cam_from_world, "cameras")
        positions = camera_centres(cameras) - CENTRE
        angles = separation_degrees(positions.double().numpy())[~np.eye(3, dtype=bool)]
        assert SPEC.separation[0] - 1e-3 <= angles.min() <= angles.max() <= SPEC.separation[1] + 1e-3
        distance = positions[:, 2].norm(dim=-1)
        assert bool((distance >= SPEC.radius[0] - 1e-3).all())
        assert bool((distance <= SPEC.radius[1] + 1e-3).all())
        elevation = torch.rad2deg(torch.asin(positions[:, 2, 2] / distance))
        assert SPEC.elevation[0] - 11 < float(elevation.min()) <= float(elevation.max()) < SPEC.elevation[1] + 11
        azimuths.append(float(torch.atan2(positions[0, 0, 1], positions[0, 0, 0])))
    assert len(set(np.floor(np.array(azimuths) / (np.pi / 4)))) == 8  # every eighth of the circle


def test_paths_are_straight_uniform_and_of_the_asked_length():
    centres = camera_centres(draw(0))
    steps = centres.diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=1e-5, rtol=0)
    travel = steps.norm(dim=-1).sum(dim=1)
    assert bool(((travel >= SPEC.travel[0] - 1e-4) & (travel <= SPEC.travel[1] + 1e-4)).all())


def test_the_centre_is_near_the_middle_and_upright():
    cameras = draw(1)
    pixels, in_front = project_points(CENTRE, cameras.cam_from_world, cameras.intrinsics)
    assert bool(in_front.all())
    assert float((pixels - torch.tensor([48.0, 32.0])).norm(dim=-1).max()) < 8
    above, _ = project_points(CENTRE + torch.tensor([0, 0, 1.0]), cameras.cam_from_world, cameras.intrinsics)
    assert bool((above[..., 1] < pixels[..., 1]).all())


def test_pixels_are_square_and_the_field_of_view_in_range():
    cameras = draw(2)
    focal = cameras.intrinsics[..., 0, 0]
    torch.testing.assert_close(focal, cameras.intrinsics[..., 1, 1])
    fov = torch.rad2deg(2 * torch.atan(48 / focal))
    assert bool(((fov >= SPEC.fov[0] - 1e-3) & (fov <= SPEC.fov[1] + 1e-3)).all())


def test_one_view_and_one_frame_will_do():
    assert draw(0, views=1, frames=1).cam_from_world.shape == (1, 1, 4, 4)


def test_too_many_views_for_the_separation():
    with pytest.raises(InputError, match="separation"):
        draw(0, views=40)
