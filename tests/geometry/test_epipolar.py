import math

import pytest
import torch

from mvt4g.geometry.camera import project_points
from mvt4g.geometry.epipolar import epipolar_distance, epipolar_distances
from mvt4g.geometry.pose import compose, invert_pose, pose_from, rotation_from_axis_angle
from tests.reference import synchronisation as twin

K_A = torch.tensor([[50.0, 0.0, 32.0], [0.0, 55.0, 24.0], [0.0, 0.0, 1.0]])
K_B = torch.tensor([[70.0, 0.0, 40.0], [0.0, 60.0, 30.0], [0.0, 0.0, 1.0]])


def cameras(seed: int, baseline: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    poses = []
    for scale in (0.0, baseline):
        axis_angle = 0.2 * torch.randn(3, generator=generator)
        poses.append(pose_from(rotation_from_axis_angle(axis_angle), scale * torch.randn(3, generator=generator)))
    return poses[0], poses[1]


def views(seed: int, baseline: float):
    """Pixels of the same points in two views, and the pose between these."""
    cam_a, cam_b = cameras(seed, baseline)
    generator = torch.Generator().manual_seed(seed + 100)
    points = torch.rand(9, 3, generator=generator) + torch.tensor([-0.5, -0.5, 3.0])
    pixels = [project_points(points, cam, k)[0] for cam, k in ((cam_a, K_A), (cam_b, K_B))]
    return *pixels, compose(cam_b, invert_pose(cam_a))


@pytest.mark.parametrize("baseline", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_pixels_of_one_point_are_at_0_and_others_are_not(seed, baseline):
    a, b, b_from_a = views(seed, baseline)
    assert epipolar_distance(a, b, K_A, K_B, b_from_a).max() < 1e-3
    assert epipolar_distance(a, b.roll(1, dims=0), K_A, K_B, b_from_a).max() > 1


@pytest.mark.parametrize("seed", range(3))
def test_it_is_sampsons_distance(seed):
    a, b, b_from_a = views(seed, 0.5)
    b = b + 5 * torch.randn(b.shape, generator=torch.Generator().manual_seed(seed))
    found = epipolar_distance(a, b, K_A, K_B, b_from_a)
    for n in range(len(a)):
        wanted = twin.sampson(*(value.double().numpy() for value in (a[n], b[n], K_A, K_B, b_from_a)))
        assert float(found[n]) == pytest.approx(wanted, rel=1e-6)


def test_across_a_line_each_pixel_carries_half_of_the_way():
    """Cameras side by side have rows for lines: a gap of 4 px takes 4 / sqrt(2) of both pixels together."""
    b_from_a = torch.eye(4)
    b_from_a[0, 3] = -2.0
    a, b = torch.tensor([[10.0, 20.0], [10.0, 20.0]]), torch.tensor([[3.0, 24.0], [9.0, 20.0]])
    found = epipolar_distance(a, b, K_A, K_A, b_from_a)
    torch.testing.assert_close(found, torch.tensor([4 / math.sqrt(2), 0.0], dtype=torch.float64))


def test_without_a_baseline_it_is_the_distance_to_the_one_place():
    a = torch.tensor([[10.0, 20.0]])
    found = epipolar_distance(a, a + torch.tensor([3.0, 4.0]), K_A, K_A, torch.eye(4))
    assert found.tolist() == pytest.approx([5.0])
    behind = pose_from(rotation_from_axis_angle(torch.tensor([0.0, math.pi, 0.0])), torch.zeros(3))
    assert epipolar_distance(a, a, K_A, K_A, behind).isposinf().all()


def test_all_pairs_are_those_one_by_one():
    """Pixels of a by rows, of b by columns; cameras of several times at once."""
    generator = torch.Generator().manual_seed(0)
    a, b = 60 * torch.rand(3, 2, generator=generator), 60 * torch.rand(4, 2, generator=generator)
    b_from_a = torch.stack([compose(cam_b, invert_pose(cam_a)) for cam_a, cam_b in (cameras(s, 0.5) for s in (0, 1))])
    found = epipolar_distances(a, b, K_A.expand(2, 3, 3), K_B.expand(2, 3, 3), b_from_a)
    assert found.shape == (2, 3, 4)
    for time in range(2):
        for i in range(3):
            alone = epipolar_distance(a[i].expand(4, 2), b, K_A, K_B, b_from_a[time])
            torch.testing.assert_close(found[time, i], alone)
