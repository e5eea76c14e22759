import math

import pytest
import torch
from torch.autograd import gradcheck

from mvt4g.geometry.camera import (
    crop_intrinsics,
    intrinsics_from_fov,
    pixel_rays,
    points_depth,
    project_points,
    scale_intrinsics,
    unproject_pixels,
)
from mvt4g.geometry.pose import invert_pose, look_at, pose_from, rotation_from_axis_angle
from mvt4g.types import InputError

INTRINSICS = torch.tensor([[100.0, 0.0, 32.0], [0.0, 50.0, 24.0], [0.0, 0.0, 1.0]])


def random_setup(dtype=torch.float64):
    """Cameras (3), skewed intrinsics (3) and points (7) within sight of all."""
    generator = torch.Generator().manual_seed(0)
    turn = 0.2 * torch.randn(3, 3, generator=generator, dtype=dtype)
    cam_from_world = pose_from(rotation_from_axis_angle(turn), torch.randn(3, 3, generator=generator, dtype=dtype))
    intrinsics = INTRINSICS.to(dtype).repeat(3, 1, 1)
    intrinsics[:, 0, 1] = torch.tensor([0.0, 3.0, -5.0])
    points = torch.randn(7, 3, generator=generator, dtype=dtype) + torch.tensor([0.0, 0.0, 8.0], dtype=dtype)
    return cam_from_world[:, None], intrinsics[:, None], points


def test_projection_by_hand():
    cam_from_world = torch.eye(4)
    cam_from_world[2, 3] = 2.0  # the camera stands 2 behind the world's origin
    points = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 2.0], [-1.0, 0.5, 0.0]])
    pixels, in_front = project_points(points, cam_from_world, INTRINSICS)
    assert pixels.tolist() == [[32.0, 24.0], [57.0, 36.5], [-18.0, 36.5]]
    assert in_front.all()
    assert points_depth(points, cam_from_world).tolist() == [2.0, 4.0, 2.0]


def test_projection_equals_the_textbook_matrix_and_broadcasts():
    cam_from_world, intrinsics, points = random_setup()
    pixels, in_front = project_points(points, cam_from_world, intrinsics)
    assert pixels.shape == (3, 7, 2)
    assert in_front.all()
    homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], dim=-1)
    for i in range(3):
        image = homogeneous @ (intrinsics[i, 0] @ cam_from_world[i, 0, :3]).T
        torch.testing.assert_close(pixels[i], image[:, :2] / image[:, 2:])
        torch.testing.assert_close(points_depth(points, cam_from_world)[i], image[:, 2])


def test_points_behind_or_on_the_camera_are_flagged_and_finite():
    points = torch.tensor([[0.0, 0.0, -1.0], [1.0, 1.0, 0.0], [3.0, -2.0, 1e-5], [0.0, 0.0, 1e-4], [0.0, 0.0, 1.0]])
    points.requires_grad_()
    pixels, in_front = project_points(points, torch.eye(4), INTRINSICS)
    assert in_front.tolist() == [False, False, False, True, True]
    assert pixels.isfinite().all()
    pixels.sum().backward()
    assert points.grad.isfinite().all()
    assert project_points(points, torch.eye(4), INTRINSICS, min_depth=0.5)[1].tolist() == [False] * 4 + [True]


def test_one_point_many_cameras_flags_every_pair():
    cam_from_world, intrinsics, points = random_setup()
    pixels, in_front = project_points(points[0], cam_from_world[:, 0], intrinsics[0, 0])
    assert pixels.shape == (3, 2)
    assert in_front.shape == (3,)


def test_projection_is_the_same_under_autocast():
    cam_from_world, intrinsics, points = random_setup(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low, _ = project_points(points, cam_from_world, intrinsics)
    assert torch.equal(low, project_points(points, cam_from_world, intrinsics)[0])


def test_unprojection_by_hand_and_round_trip():
    point = unproject_pixels(torch.tensor([57.0, 36.5]), torch.tensor(4.0), torch.eye(4), INTRINSICS)
    assert point.tolist() == [1.0, 1.0, 4.0]
    cam_from_world, intrinsics, points = random_setup()
    pixels, _ = project_points(points, cam_from_world, intrinsics)
    lifted = unproject_pixels(pixels, points_depth(points, cam_from_world), cam_from_world, intrinsics)
    torch.testing.assert_close(lifted, points.expand(3, 7, 3))


def test_rays_start_at_the_camera_and_hit_the_points():
    cam_from_world, intrinsics, points = random_setup()
    pixels, _ = project_points(points, cam_from_world, intrinsics)
    origins, directions = pixel_rays(pixels, cam_from_world, intrinsics)
    centres = torch.linalg.inv(cam_from_world)[..., :3, 3]
    torch.testing.assert_close(origins, centres.expand(3, 7, 3))
    torch.testing.assert_close(directions, torch.nn.functional.normalize(points - centres, dim=-1))


def test_principal_ray_of_look_at():
    position = torch.tensor([3.0, -2.0, 1.0])
    intrinsics = intrinsics_from_fov(1.0, height=48, width=64)
    _, direction = pixel_rays(torch.tensor([32.0, 24.0]), invert_pose(look_at(position, torch.zeros(3))), intrinsics)
    torch.testing.assert_close(direction, -position / position.norm())


def test_fov_reaches_from_edge_to_edge():
    intrinsics = intrinsics_from_fov(math.pi / 2, height=48, width=64)
    torch.testing.assert_close(intrinsics, torch.tensor([[32.0, 0.0, 32.0], [0.0, 32.0, 24.0], [0.0, 0.0, 1.0]]))
    for bad in (0.0, math.pi, -1.0, math.nan):
        with pytest.raises(InputError, match="fov_x_rad: got"):
            intrinsics_from_fov(bad, 48, 64)


def test_resizing_and_cropping_move_projections_as_they_move_pixels():
    cam_from_world, intrinsics, points = random_setup()
    pixels, _ = project_points(points, cam_from_world, intrinsics)
    scaled, _ = project_points(points, cam_from_world, scale_intrinsics(intrinsics, 0.5, 3.0))
    torch.testing.assert_close(scaled, pixels * torch.tensor([0.5, 3.0], dtype=torch.float64))
    cropped, _ = project_points(points, cam_from_world, crop_intrinsics(intrinsics, left=10, top=-4))
    torch.testing.assert_close(cropped, pixels - torch.tensor([10.0, -4.0], dtype=torch.float64))
    torch.testing.assert_close(scale_intrinsics(scale_intrinsics(intrinsics, 2.0, 4.0), 0.5, 0.25), intrinsics)


def test_gradients():
    cam_from_world, intrinsics, points = random_setup()
    inputs = [x.clone().requires_grad_() for x in (points, cam_from_world, intrinsics)]
    assert gradcheck(lambda p, c, k: project_points(p, c, k)[0], inputs)
    assert gradcheck(points_depth, inputs[:2])
    pixels = project_points(points, cam_from_world, intrinsics)[0].detach()[:, :2].requires_grad_()
    depth = torch.full((2,), 3.0, dtype=torch.float64, requires_grad=True)
    assert gradcheck(unproject_pixels, (pixels, depth, *inputs[1:]))
    assert gradcheck(pixel_rays, (pixels, *inputs[1:]))
