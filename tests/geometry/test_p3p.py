import pytest
import torch

from mvt4g.geometry.p3p import p3p
from mvt4g.geometry.pose import check_poses, invert_pose, pose_from, rotation_from_axis_angle, transform_points

F64 = torch.float64


def _problems(count=300, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rays = torch.randn(count, 3, 3, generator=generator, dtype=F64)
    rays[..., 2] = rays[..., 2].abs() + 0.5
    rays = rays / rays.norm(dim=-1, keepdim=True)
    turn, shift = torch.randn(2, count, 3, generator=generator, dtype=F64)
    truth = pose_from(rotation_from_axis_angle(turn), shift)
    points_cam = rays * (1 + 5 * torch.rand(count, 3, 1, generator=generator, dtype=F64))
    return rays, transform_points(invert_pose(truth)[:, None], points_cam), truth


def test_the_true_pose_is_among_the_solutions_and_every_solution_lies_on_the_rays():
    rays, points, truth = _problems()
    poses, real = p3p(rays, points)
    error = torch.where(real, (poses - truth[:, None]).abs().amax(dim=(-1, -2)), torch.inf)
    assert error.amin(dim=-1).max() < 1e-7
    assert real.sum(dim=-1).min() >= 1
    assert real.double().mean() < 0.9  # spurious roots are told from real ones
    check_poses(poses[real], "poses", tolerance=1e-9)
    seen = transform_points(poses[:, :, None], points[:, None])
    seen = seen / seen.norm(dim=-1, keepdim=True)
    assert ((seen - rays[:, None]).norm(dim=-1)[real]).max() < 1e-5


def test_the_size_of_the_scene_does_not_matter():
    rays, points, _ = _problems(50)
    poses, real = p3p(rays, points)
    tiny, real_tiny = p3p(rays, points * 1e-3)
    assert torch.equal(real, real_tiny)
    torch.testing.assert_close(tiny[real][:, :3, :3], poses[real][:, :3, :3], rtol=0, atol=1e-7)
    torch.testing.assert_close(tiny[real][:, :3, 3], poses[real][:, :3, 3] * 1e-3, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["on a line", "one point thrice", "two alike"])
def test_points_without_a_triangle_have_no_pose_and_no_nan(kind):
    rays, points, _ = _problems(10)
    if kind == "on a line":
        points[:, 2] = 2 * points[:, 1] - points[:, 0]
    else:
        points[:, 1 if kind == "two alike" else slice(1, None)] = (
            points[:, :1].squeeze(1) if kind == "two alike" else points[:, :1]
        )
    poses, real = p3p(rays, points)
    assert not real.any()
    assert poses.isfinite().all()


def test_points_that_no_camera_sees_along_these_rays_have_no_pose():
    _, points, _ = _problems(10)
    rays = torch.tensor([[0.0, 0.0, 1.0]], dtype=F64).expand(10, 3, 3)  # one direction for three points
    _, real = p3p(rays, points)
    assert not real.any()
