import math

import pytest
import torch
from torch.autograd import gradcheck

from mvt4g.geometry.pose import (
    axis_angle_from_rotation,
    check_poses,
    compose,
    invert_pose,
    look_at,
    pose_from,
    relative_to,
    rotate,
    rotation_angle,
    rotation_from_axis_angle,
    rotation_from_quaternion,
    transform_points,
)
from mvt4g.types import InputError


def random_poses(*batch, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    turn = torch.randn(*batch, 3, generator=generator, dtype=dtype)
    return pose_from(rotation_from_axis_angle(turn), torch.randn(*batch, 3, generator=generator, dtype=dtype))


def test_rotate_and_transform_by_hand():
    quarter_about_z = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert rotate(quarter_about_z, torch.tensor([1.0, 2.0, 3.0])).tolist() == [-2.0, 1.0, 3.0]
    a_from_b = pose_from(quarter_about_z, torch.tensor([10.0, 0.0, 0.0]))
    assert a_from_b[3].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert transform_points(a_from_b, torch.tensor([1.0, 2.0, 3.0])).tolist() == [8.0, 1.0, 3.0]


def test_compose_and_transform_equal_matmul_and_broadcast():
    a_from_b, b_from_c = random_poses(3, 1, seed=1), random_poses(5, seed=2)
    a_from_c = compose(a_from_b, b_from_c)
    assert a_from_c.shape == (3, 5, 4, 4)
    torch.testing.assert_close(a_from_c, a_from_b @ b_from_c)
    points = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    chained = transform_points(a_from_b, transform_points(b_from_c, points))
    torch.testing.assert_close(transform_points(a_from_c, points), chained)


def test_results_are_the_same_under_autocast():
    a_from_b, points = random_poses(4, dtype=torch.float32), torch.randn(4, 3) * 800
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = compose(a_from_b, a_from_b), transform_points(a_from_b, points), invert_pose(a_from_b)
    for got, want in zip(
        low, (compose(a_from_b, a_from_b), transform_points(a_from_b, points), invert_pose(a_from_b)), strict=True
    ):
        assert got.dtype == torch.float32
        assert torch.equal(got, want)


def test_invert_pose_is_the_matrix_inverse():
    a_from_b = random_poses(2, 3)
    torch.testing.assert_close(invert_pose(a_from_b), torch.linalg.inv(a_from_b))
    torch.testing.assert_close(invert_pose(invert_pose(a_from_b)), a_from_b)


def test_relative_to_makes_the_origin_the_identity_and_forgets_the_world():
    world_from_cam = random_poses(2, 5)
    origin_from_cam = relative_to(world_from_cam, world_from_cam[:, 0])
    torch.testing.assert_close(origin_from_cam[:, 0], torch.eye(4, dtype=torch.float64).expand(2, 4, 4))
    other_from_world = random_poses(2, seed=7)
    moved = compose(other_from_world[:, None], world_from_cam)
    torch.testing.assert_close(relative_to(moved, moved[:, 0]), origin_from_cam)


def test_look_at_by_hand():
    world_from_cam = look_at(torch.tensor([5.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.0]))
    right, down, forward = world_from_cam[:3, :3].unbind(dim=-1)
    assert forward.tolist() == [-1.0, 0.0, 0.0]
    assert right.tolist() == [0.0, 1.0, 0.0]
    assert down.tolist() == [0.0, 0.0, -1.0]
    assert world_from_cam[:3, 3].tolist() == [5.0, 0.0, 0.0]


def test_look_at_is_a_rotation_and_puts_the_target_ahead():
    generator = torch.Generator().manual_seed(0)
    position, target = torch.randn(2, 20, 3, generator=generator, dtype=torch.float64)
    world_from_cam = look_at(position, target, up=(0.3, -2.0, 0.5))
    check_poses(world_from_cam, "world_from_cam", tolerance=1e-12)
    ahead = transform_points(invert_pose(world_from_cam), target)
    want = torch.zeros_like(ahead)
    want[:, 2] = (target - position).norm(dim=-1)
    torch.testing.assert_close(ahead, want)
    up_cam = rotate(world_from_cam[:, :3, :3].mT, torch.tensor([0.3, -2.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(up_cam[:, 0], torch.zeros(20, dtype=torch.float64))
    assert (up_cam[:, 1] < 0).all()  # y points down


@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 1.0)])
@pytest.mark.parametrize("along", [1.0, -1.0, 0.0])
def test_look_at_along_up_or_at_itself_is_still_a_rotation(up, along):
    position = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    world_from_cam = look_at(position, position.detach() + along * torch.tensor(up), up=up)
    check_poses(world_from_cam.detach(), "world_from_cam", tolerance=1e-6)
    world_from_cam.sum().backward()
    assert position.grad.isfinite().all()


def test_look_at_refuses_an_up_without_direction():
    with pytest.raises(InputError, match="up: got"):
        look_at(torch.zeros(3), torch.ones(3), up=(0.0, 0.0, 0.0))


def test_axis_angle_by_hand_and_at_zero():
    quarter_about_y = rotation_from_axis_angle(torch.tensor([0.0, math.pi / 2, 0.0]))
    torch.testing.assert_close(rotate(quarter_about_y, torch.tensor([0.0, 0.0, 1.0])), torch.tensor([1.0, 0.0, 0.0]))
    assert torch.equal(rotation_from_axis_angle(torch.zeros(3)), torch.eye(3))
    tiny = rotation_from_axis_angle(torch.tensor([0.0, 0.0, 1e-6]))
    assert tiny[1, 0].item() == pytest.approx(1e-6, rel=1e-6)


def test_axis_angle_equals_the_matrix_exponential():
    generator = torch.Generator().manual_seed(0)
    x, y, z = vectors = torch.randn(3, 10, generator=generator, dtype=torch.float64)
    zero = torch.zeros_like(x)
    skew = torch.stack([torch.stack([zero, -z, y]), torch.stack([z, zero, -x]), torch.stack([-y, x, zero])])
    want = torch.linalg.matrix_exp(skew.permute(2, 0, 1))
    torch.testing.assert_close(rotation_from_axis_angle(vectors.T), want)


def test_quaternion_agrees_with_axis_angle_and_ignores_length():
    axis_angle = torch.randn(10, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    angle = axis_angle.norm(dim=-1, keepdim=True)
    quaternion = torch.cat([(angle / 2).cos(), axis_angle / angle * (angle / 2).sin()], dim=-1)
    torch.testing.assert_close(rotation_from_quaternion(-3.0 * quaternion), rotation_from_axis_angle(axis_angle))
    assert torch.equal(rotation_from_quaternion(torch.zeros(4)), torch.eye(3))


@pytest.mark.parametrize("angle", [0.0, 1e-7, 1e-4, 0.5, 3.0, math.pi - 1e-4, math.pi])
def test_rotation_angle_in_single_precision(angle):
    axis = torch.tensor([2.0, -1.0, 2.0]) / 3.0
    got = rotation_angle(rotation_from_axis_angle(axis * angle)).item()
    assert got == pytest.approx(angle, rel=1e-5, abs=2e-7 if angle < 3.0 else 1e-6)


def test_gradients():
    poses = random_poses(2).requires_grad_()
    vectors = torch.randn(2, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    assert gradcheck(lambda a, b: compose(invert_pose(a), a * 2) + pose_from(a[..., :3, :3], b), (poses, vectors))
    assert gradcheck(rotation_from_axis_angle, vectors)
    assert gradcheck(rotation_from_axis_angle, torch.zeros(3, dtype=torch.float64, requires_grad=True))
    assert gradcheck(lambda v: rotation_angle(rotation_from_axis_angle(v)), vectors)
    assert gradcheck(lambda v: look_at(v, target), vectors)
    quaternion = torch.tensor([0.5, -1.0, 0.2, 0.7], dtype=torch.float64, requires_grad=True)
    assert gradcheck(rotation_from_quaternion, quaternion)


def test_check_poses_accepts_rigid_transforms_and_names_the_first_bad_one():
    good = random_poses(2, 3, dtype=torch.float32)
    check_poses(good, "poses")
    check_poses(good[0, 0], "pose")
    nan, last_row, scaled, mirrored = good.clone(), good.clone(), good.clone(), good.clone()
    nan[1, 2, 0, 3] = math.nan
    last_row[1, 2, 3, 0] = 0.1
    scaled[1, 2, :3, :3] *= 1.01
    mirrored[1, 2, :3, 0] *= -1
    for bad, word in ((nan, "NaN"), (last_row, "last row"), (scaled, "orthonormal"), (mirrored, "reflection")):
        with pytest.raises(InputError, match=rf"^trajectory.json\[1, 2\]: got .*{word}.*, want "):
            check_poses(bad, "trajectory.json")
    with pytest.raises(InputError, match=r"^pose: got"):
        check_poses(mirrored[1, 2], "pose")


def test_axis_angle_comes_back_from_its_rotation():
    axis_angle = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    axis_angle = axis_angle / axis_angle.norm(dim=-1, keepdim=True) * torch.linspace(0, 3.14, 200)[:, None]
    found = axis_angle_from_rotation(rotation_from_axis_angle(axis_angle))
    torch.testing.assert_close(found, axis_angle, atol=1e-9, rtol=0)
    tiny = torch.tensor([[1e-9, 0.0, -2e-9]], dtype=torch.float64)
    torch.testing.assert_close(axis_angle_from_rotation(rotation_from_axis_angle(tiny)), tiny, atol=1e-15, rtol=1e-6)
