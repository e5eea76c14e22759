import torch

from mvt4g.geometry.camera import intrinsics_from_fov, project_points
from mvt4g.geometry.pose import pose_from, rotation_from_axis_angle, transform_points
from mvt4g.geometry.twist import apply_twist, projection_jacobian, twist_deviation

F64 = torch.float64


def _camera():
    turn = torch.tensor([0.2, -0.3, 0.1], dtype=F64)
    intrinsics = intrinsics_from_fov(0.8, 48, 64).double()
    intrinsics[0, 1], intrinsics[1, 1] = 3.0, 90.0  # skew and oblong pixels
    return pose_from(rotation_from_axis_angle(turn), torch.tensor([0.1, 0.2, 3.0], dtype=F64)), intrinsics


def test_the_jacobian_is_that_of_finite_differences():
    cam_from_world, intrinsics = _camera()
    points = torch.rand(20, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    got = projection_jacobian(transform_points(cam_from_world, points), intrinsics)
    step = 1e-6
    for number in range(6):
        twist = torch.zeros(6, dtype=F64)
        twist[number] = step
        after, before = (
            project_points(points, apply_twist(cam_from_world, sign * twist), intrinsics)[0] for sign in (1, -1)
        )
        torch.testing.assert_close(got[..., number], (after - before) / (2 * step), rtol=1e-6, atol=1e-6)


def test_a_twist_moves_the_points_of_the_camera():
    cam_from_world, _ = _camera()
    points = torch.rand(5, 3, generator=torch.Generator().manual_seed(1), dtype=F64)
    twist = torch.tensor([0.0, 0.0, torch.pi / 2, 1.0, 2.0, 3.0], dtype=F64)
    x, y, z = transform_points(cam_from_world, points).unbind(dim=-1)
    want = torch.stack([1 - y, 2 + x, 3 + z], dim=-1)
    torch.testing.assert_close(transform_points(apply_twist(cam_from_world, twist), points), want)


def test_the_deviation_is_that_of_a_diagonal_problem_and_huge_where_undetermined():
    information = torch.diag(torch.tensor([4.0, 4.0, 4.0, 1.0, 1.0, 1.0], dtype=F64))
    rotation, position = twist_deviation(information, torch.tensor(9.0, dtype=F64), torch.tensor(2.0, dtype=F64))
    torch.testing.assert_close(rotation, torch.tensor(9.0 * 3 / 4, dtype=F64).sqrt())
    torch.testing.assert_close(position, torch.tensor(9.0 * 3 / 4, dtype=F64).sqrt())  # of a depth of 2
    information[0, 0] = 0.0
    rotation, _ = twist_deviation(information, torch.tensor(9.0, dtype=F64), torch.tensor(2.0, dtype=F64))
    assert rotation > 1e5
