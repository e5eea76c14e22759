"""Paths of another number of poses: by hand, against simple twins, and what no resampling may change."""

import math

import pytest
import torch

from mvt4g.geometry.path_resampling import resample_intrinsics, resample_path, resampling_places
from mvt4g.geometry.pose import axis_angle_from_rotation, check_poses, pose_from, rotation_angle
from mvt4g.geometry.pose import rotation_from_axis_angle as turn
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.types import InputError


def path_of(turns_deg, centres):
    axis_angle = torch.tensor([[0.0, math.radians(degrees), 0.0] for degrees in turns_deg])
    return pose_from(turn(axis_angle), torch.tensor(centres, dtype=torch.float32))


def test_time_by_hand():
    path = path_of([0, 10, 50], [[0, 0, 0], [1, 0, 0], [1, 0, 3]])
    found = resample_path(path, resampling_places(path, 5, "time"))
    torch.testing.assert_close(
        found[:, :3, 3], torch.tensor([[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 0, 1.5], [1, 0, 3]])
    )
    turned = torch.rad2deg(axis_angle_from_rotation(found[:, :3, :3]))[:, 1]
    torch.testing.assert_close(turned, torch.tensor([0.0, 5.0, 10.0, 30.0, 50.0]), atol=1e-4, rtol=0)


def test_arc_length_by_hand():
    path = path_of([0, 10, 10, 50], [[0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 3]])
    places = resampling_places(path, 5, "arc_length")
    torch.testing.assert_close(places, torch.tensor([0.0, 2.0, 2 + 1 / 3, 2 + 2 / 3, 3.0], dtype=torch.float64))
    found = resample_path(path, places)
    steps = torch.linalg.vector_norm(found[1:, :3, 3] - found[:-1, :3, 3], dim=-1)
    torch.testing.assert_close(steps, torch.ones(4))  # one speed, and no wait at the second pose


def test_a_camera_that_only_turns_is_resampled_by_its_angle():
    path = path_of([0, 30, 40, 40], [[2, 0, 0]] * 4)
    found = resample_path(path, resampling_places(path, 5, "arc_length"))
    turned = torch.rad2deg(axis_angle_from_rotation(found[:, :3, :3]))[:, 1]
    torch.testing.assert_close(turned, torch.tensor([0.0, 10.0, 20.0, 30.0, 40.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("centres", ["linear", "spline"])
@pytest.mark.parametrize("rule", ["time", "arc_length"])
@pytest.mark.parametrize("num_frames", [1, 2, 7, 81, 200])
def test_ends_stay_and_all_are_poses(rule, centres, num_frames):
    path = preset_trajectory("arc_left", 81)
    found = resample_path(path, resampling_places(path, num_frames, rule), centres)
    assert found.shape == (num_frames, 4, 4)
    check_poses(found, "found", tolerance=1e-5)
    torch.testing.assert_close(found[0], path[0], atol=1e-6, rtol=0)
    if num_frames > 1:
        torch.testing.assert_close(found[-1], path[-1], atol=1e-6, rtol=0)
        want = preset_trajectory("arc_left", num_frames)  # its motion is uniform, so that all rules agree
        torch.testing.assert_close(found, want, atol=2e-4, rtol=0)


@pytest.mark.parametrize("centres", ["linear", "spline"])
def test_as_many_frames_as_poses_is_the_path_itself(centres):
    generator = torch.Generator().manual_seed(0)
    path = pose_from(turn(torch.randn(9, 3, generator=generator)), torch.randn(9, 3, generator=generator))
    found = resample_path(path, resampling_places(path, 9, "time"), centres)
    torch.testing.assert_close(found, path, atol=1e-5, rtol=0)


def test_a_spline_has_no_corners_and_lines_have():
    """A quarter of a circle by 4 poses: the spline stays nearer to it, and its steps turn evenly."""
    angles = torch.linspace(0, math.pi / 2, 4)
    circle = torch.stack([angles.cos(), angles.sin(), torch.zeros(4)], dim=-1)
    path = pose_from(torch.eye(3).expand(4, 3, 3), circle)
    off, bend = {}, {}
    for centres in ("linear", "spline"):
        found = resample_path(path, resampling_places(path, 31, "time"), centres)[:, :3, 3]
        off[centres] = (found.norm(dim=-1) - 1)[10:21].abs().max().item()  # between the inner poses
        steps = torch.nn.functional.normalize(found[1:] - found[:-1], dim=-1)
        bend[centres] = torch.rad2deg(torch.linalg.vector_norm(steps[1:] - steps[:-1], dim=-1)).max().item()
    assert off["spline"] < 0.005
    assert off["linear"] > 0.03
    assert bend["linear"] > 25
    assert bend["spline"] < 15


def test_turns_go_the_short_way_by_even_angles():
    path = path_of([170, 190], [[0, 0, 0]] * 2)
    found = resample_path(path, resampling_places(path, 5, "time"))
    steps = rotation_angle(found[:-1, :3, :3].mT @ found[1:, :3, :3])
    torch.testing.assert_close(torch.rad2deg(steps), torch.full((4,), 5.0), atol=1e-3, rtol=0)


def test_intrinsics_follow():
    intrinsics = torch.eye(3).repeat(3, 1, 1)
    intrinsics[:, 0, 0] = torch.tensor([10.0, 20.0, 40.0])
    found = resample_intrinsics(intrinsics, torch.tensor([0.0, 0.5, 1.0, 1.75, 2.0], dtype=torch.float64))
    assert found[:, 0, 0].tolist() == [10.0, 15.0, 20.0, 35.0, 40.0]
    assert torch.equal(resample_intrinsics(intrinsics[:1], torch.zeros(4)), intrinsics[:1].expand(4, 3, 3))


def test_what_cannot_be_is_named():
    still = torch.eye(4).expand(3, 4, 4)
    with pytest.raises(InputError, match="got 'arc_length' for a path that stands still, want 'time'"):
        resampling_places(still, 5, "arc_length")
    with pytest.raises(InputError, match="resample: got 'length', want one of time, arc_length"):
        resampling_places(still, 5, "length")
    with pytest.raises(InputError, match="centres: got 'cubic', want one of linear, spline"):
        resample_path(still, resampling_places(still, 5, "time"), "cubic")
