import torch
from torch.autograd import gradcheck

from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.plucker import plucker_at, plucker_rays
from mvt4g.geometry.pose import invert_pose, look_at


def cameras():
    positions = torch.tensor([[3.0, 0.0, 1.0], [0.0, -4.0, 2.0]], dtype=torch.float64)
    cam_from_world = invert_pose(look_at(positions, torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)))
    return positions, cam_from_world, intrinsics_from_fov(0.9, 6, 8).double().expand(2, 3, 3)


def test_by_hand():
    """A camera at x = 2 that looks along z: its principal ray has moment (2, 0, 0) x (0, 0, 1) = (0, -2, 0)."""
    cam_from_world = torch.eye(4)
    cam_from_world[0, 3] = -2.0
    ray = plucker_at(torch.tensor([4.0, 3.0]), cam_from_world, intrinsics_from_fov(0.9, 6, 8))
    assert ray.tolist() == [0.0, -2.0, 0.0, 0.0, 0.0, 1.0]


def test_rays_are_unit_perpendicular_to_their_moment_and_meet_at_the_camera():
    positions, cam_from_world, intrinsics = cameras()
    moment, direction = plucker_rays(cam_from_world, intrinsics, 6, 8).split(3, dim=1)
    ones = torch.ones(2, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(direction.norm(dim=1), ones)
    torch.testing.assert_close((moment * direction).sum(dim=1), 0 * ones)
    torch.testing.assert_close(
        torch.linalg.cross(positions[:, :, None, None].expand_as(direction), direction, dim=1), moment
    )


def test_the_moment_does_not_depend_on_which_point_of_the_ray_is_the_origin():
    _, cam_from_world, intrinsics = cameras()
    rays = plucker_rays(cam_from_world, intrinsics, 6, 8)
    pixels = pixel_centres(6, 8).double()
    forward = cam_from_world.clone()
    forward[:, 2, 3] -= 0.7  # a camera 0.7 further ahead shares the principal ray only
    at_centre = torch.tensor([4.0, 3.0], dtype=torch.float64)
    same = plucker_at(at_centre, forward, intrinsics), plucker_at(at_centre, cam_from_world, intrinsics)
    torch.testing.assert_close(*same)
    assert not torch.allclose(plucker_at(pixels[0, 0], forward, intrinsics), rays[:, :, 0, 0])


def test_whole_image_equals_pixel_by_pixel():
    _, cam_from_world, intrinsics = cameras()
    rays = plucker_rays(cam_from_world[None], intrinsics[None], 6, 8)
    assert rays.shape == (1, 2, 6, 6, 8)
    torch.testing.assert_close(
        rays[0, 1, :, 2, 5], plucker_at(torch.tensor([5.5, 2.5], dtype=torch.float64), cam_from_world[1], intrinsics[1])
    )


def test_gradient_reaches_pixels_and_cameras():
    _, cam_from_world, intrinsics = (x.clone().requires_grad_() for x in cameras())
    pixels = torch.tensor([[1.2, 3.4], [7.0, 0.1]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(plucker_at, (pixels, cam_from_world, intrinsics))
