import math

import pytest
import torch
from torch.autograd import gradcheck

from mvt4g.geometry.camera import intrinsics_from_fov, pixel_rays
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import invert_pose, look_at, rotate
from mvt4g.geometry.warp import warp_by_depth

HEIGHT, WIDTH = 24, 32
INTRINSICS = intrinsics_from_fov(1.0, HEIGHT, WIDTH).double()
IDENTITY = torch.eye(4, dtype=torch.float64)


def plane_view(cam_from_world):
    """Depth and texture of the plane z = 5 (texture linear in world x, y) seen by a camera, worked out ray by ray."""
    pixels = pixel_centres(HEIGHT, WIDTH).double()
    origins, directions = pixel_rays(pixels, cam_from_world, INTRINSICS)
    distance = (5.0 - origins[..., 2]) / directions[..., 2]
    points = origins + distance[..., None] * directions
    depth = rotate(cam_from_world[:3, :3], points)[..., 2] + cam_from_world[2, 3]
    return depth, (0.3 * points[..., 0] - 0.2 * points[..., 1])[None]


def test_the_same_camera_gives_the_image_back():
    depth, texture = plane_view(IDENTITY)
    warped, valid = warp_by_depth(texture, depth, depth, IDENTITY, INTRINSICS, IDENTITY, INTRINSICS)
    assert valid.all()
    torch.testing.assert_close(warped, texture)


def test_a_sideways_step_shifts_a_plane_by_the_disparity():
    """The view stands 1 to the right: at depth 5 its pixels show what lies focal / 5 further right in the source."""
    source = torch.arange(WIDTH, dtype=torch.float64).expand(1, HEIGHT, WIDTH)
    cam_from_world = IDENTITY.clone()
    cam_from_world[0, 3] = -1.0
    disparity = INTRINSICS[0, 0].item() / 5.0
    depth = torch.full((HEIGHT, WIDTH), 5.0, dtype=torch.float64)
    warped, valid = warp_by_depth(source, None, depth, cam_from_world, INTRINSICS, IDENTITY, INTRINSICS)
    columns = math.floor(WIDTH - disparity - 0.5) + 1  # centres whose match is still inside the source
    assert valid[:, :columns].all()
    assert not valid[:, columns:].any()
    assert (warped[:, ~valid] == 0).all()
    want = (torch.arange(WIDTH, dtype=torch.float64) + disparity).clamp(max=WIDTH - 1)
    torch.testing.assert_close(warped[0, :, :columns], want[:columns].expand(HEIGHT, columns))


def test_an_oblique_plane_is_warped_exactly_and_passes_the_depth_test():
    view = invert_pose(
        look_at(torch.tensor([1.5, 0.4, 0.3]).double(), torch.tensor([0.2, 0.0, 5.0]).double(), (0, -1, 0))
    )
    depth, texture = plane_view(view)
    source_depth, source = plane_view(IDENTITY)
    arguments = (depth, view, INTRINSICS, IDENTITY, INTRINSICS)
    warped, valid = warp_by_depth(source, source_depth, *arguments, occlusion_tolerance=1e-9)
    _, inside = warp_by_depth(source, None, *arguments)
    assert valid.float().mean() > 0.6
    seen_within_the_rim = inside[1:-1, 1:-1]
    assert torch.equal(valid[1:-1, 1:-1], seen_within_the_rim)
    error = (warped - texture)[0][valid]
    assert error.abs().median() < 1e-12
    assert error.abs().max() < 0.1 * texture.abs().max()  # the border's half pixel is held, not extrapolated


def test_occluded_points_are_not_valid():
    """A near block hides part of the plane from the source; the view's depth is the plane's everywhere."""
    depth = torch.full((HEIGHT, WIDTH), 5.0, dtype=torch.float64)
    source_depth = depth.clone()
    source_depth[8:16, 10:20] = 2.0
    source = torch.ones(2, HEIGHT, WIDTH, dtype=torch.float64)
    _, valid = warp_by_depth(source, source_depth, depth, IDENTITY, INTRINSICS, IDENTITY, INTRINSICS)
    assert torch.equal(valid, source_depth == 5.0)
    _, all_valid = warp_by_depth(source, None, depth, IDENTITY, INTRINSICS, IDENTITY, INTRINSICS)
    assert all_valid.all()
    near = 5.0 * (1 + torch.tensor([0.015, 0.025, -0.015, -0.025], dtype=torch.float64))
    for changed, want in zip(near, (True, False, True, False), strict=True):
        surface = torch.full_like(depth, changed.item())
        _, agrees = warp_by_depth(source, surface, depth, IDENTITY, INTRINSICS, IDENTITY, INTRINSICS)
        assert agrees.all() if want else not agrees.any()


def test_no_depth_and_behind_the_source_are_not_valid_and_finite():
    depth = torch.full((HEIGHT, WIDTH), 5.0, dtype=torch.float64)
    depth[0, 0], depth[0, 1], depth[0, 2], depth[0, 3] = 0.0, math.nan, math.inf, -1.0
    source = torch.ones(1, HEIGHT, WIDTH, dtype=torch.float64)
    warped, valid = warp_by_depth(source, None, depth, IDENTITY, INTRINSICS, IDENTITY, INTRINSICS)
    assert valid.sum() == HEIGHT * WIDTH - 4
    assert warped.isfinite().all()
    turned = look_at(torch.zeros(3).double(), torch.tensor([0.0, 0.0, -1.0]).double(), (0, -1, 0))
    warped, valid = warp_by_depth(source, None, depth, IDENTITY, INTRINSICS, invert_pose(turned), INTRINSICS)
    assert not valid.any()
    assert (warped == 0).all()


@pytest.mark.parametrize("none", [0.0, math.nan, math.inf])
def test_a_source_pixel_without_depth_agrees_with_nothing(none):
    depth = torch.ones(HEIGHT, WIDTH, dtype=torch.float64)
    holes = torch.where(torch.arange(WIDTH) < 5, none, 1.0).double().expand(HEIGHT, WIDTH)
    source = torch.ones(1, HEIGHT, WIDTH, dtype=torch.float64)
    _, valid = warp_by_depth(source, holes, depth, IDENTITY, INTRINSICS, IDENTITY, INTRINSICS)
    assert not valid[:, :5].any()
    assert valid[:, 5:].all()


def test_batches_and_sizes_may_differ():
    generator = torch.Generator().manual_seed(0)
    source = torch.rand(2, 3, 4, 12, 16, generator=generator)
    depth = 4 + torch.rand(2, 3, HEIGHT, WIDTH, generator=generator)
    cameras = torch.eye(4).expand(2, 3, 4, 4)
    half = INTRINSICS.float() * torch.tensor([[0.5], [0.5], [1.0]])
    intrinsics, source_intrinsics = INTRINSICS.float().expand(2, 3, 3, 3), half.expand(2, 3, 3, 3)
    warped, valid = warp_by_depth(source, None, depth, cameras, intrinsics, cameras, source_intrinsics)
    assert warped.shape == (2, 3, 4, HEIGHT, WIDTH)
    assert valid.all()
    want = torch.nn.functional.interpolate(source.flatten(0, 1), scale_factor=2, mode="bilinear").unflatten(0, (2, 3))
    torch.testing.assert_close(warped, want, atol=1e-5, rtol=1e-5)


def test_gradients():
    source = torch.rand(1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    depth = torch.full((2, 3), 3.0, dtype=torch.float64, requires_grad=True)
    source_camera = IDENTITY.clone()
    source_camera[:3, 3] = torch.tensor([0.3, 0.1, 0.2])
    small, source_intrinsics = (intrinsics_from_fov(0.5, h, w).double() for h, w in ((2, 3), (4, 5)))

    def warp(source, depth):
        return warp_by_depth(source, None, depth, IDENTITY, small, source_camera, source_intrinsics)[0]

    assert gradcheck(warp, (source, depth))
