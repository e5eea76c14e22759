"""The score without truth: exact on exact geometry, what each part sees, and what none of them does."""

import math

import pytest
import torch

from mvt4g.geometry.camera import project_points
from mvt4g.geometry.pose import invert_pose, pose_from, rotation_from_axis_angle
from mvt4g.metrics.functional.geometry_score import geometry_score
from mvt4g.types import Cameras, InputError

FRAMES, POINTS, SIZE = 5, 60, (48, 64)
K = torch.tensor([[60.0, 0.0, 32.0], [0.0, 60.0, 24.0], [0.0, 0.0, 1.0]])
KEYS = {
    "epipolar_px", "epipolar_px_static", "epipolar_px_dynamic", "cycle_px", "survival", "confident", "depth_positive",
    "depth_jitter", "num_pairs",
}  # fmt: skip


def made_up(moving=20, apart=1.0):
    """Points before a still reference and a target that moves to the right and turns back; the first ones move."""
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(POINTS, 3, generator=generator) * torch.tensor([2.0, 1.6, 3.0]) + torch.tensor([-1.0, -0.8, 4.0])
    time = torch.arange(float(FRAMES))[:, None, None]
    drift = 0.1 * torch.randn(POINTS, 3, generator=generator) * (torch.arange(POINTS) < moving)[:, None]
    world = start + time * drift
    target = [
        invert_pose(
            pose_from(
                rotation_from_axis_angle(torch.tensor([0.0, -0.06 * i, 0.0])),
                apart * torch.tensor([0.3 * i, 0.05, 0.0]),
            )
        )
        for i in range(1, FRAMES + 1)
    ]
    pose = torch.stack([torch.eye(4).expand(FRAMES, 4, 4), torch.stack(target)])
    cameras = Cameras(pose, K.expand(2, FRAMES, 3, 3))
    tracks, _ = project_points(world, pose[:, :, None], K)
    visible = torch.ones(2, FRAMES, POINTS, dtype=torch.bool)
    return tracks.contiguous(), visible, cameras, torch.arange(POINTS) < moving


def test_true_tracks_lie_on_their_lines_before_both_cameras_and_do_not_shake():
    tracks, visible, cameras, dynamic = made_up()
    score = geometry_score(tracks, visible, cameras, SIZE, dynamic)
    assert set(score) == KEYS
    for name in ("epipolar_px", "epipolar_px_static", "epipolar_px_dynamic"):
        assert float(score[name]) < 1e-3, name
    assert float(score["depth_positive"]) == 1
    assert float(score["depth_jitter"]) < 1e-3, "uniform motion is no jitter"
    assert float(score["survival"]) == 1
    assert float(score["num_pairs"]) == FRAMES * POINTS
    assert math.isnan(score["cycle_px"])
    assert math.isnan(score["confident"])


@pytest.mark.parametrize("off", [1.0, 4.0])
def test_points_beside_their_lines_are_seen_in_pixels_of_512(off):
    """Moved across in the target alone, a point is off by about off / sqrt 2 to Sampson, of 64 px: times 8."""
    tracks, visible, cameras, dynamic = made_up()
    tracks[1, :, dynamic, 1] += off
    score = geometry_score(tracks, visible, cameras, SIZE, dynamic)
    assert float(score["epipolar_px_dynamic"]) == pytest.approx(8 * off / math.sqrt(2), rel=0.1)
    assert float(score["epipolar_px_static"]) < 1e-3


def test_a_median_forgives_a_few_and_not_many():
    tracks, visible, cameras, _ = made_up()
    for share, seen in ((0.2, False), (0.7, True)):
        spoilt = tracks.clone()
        spoilt[1, :, : int(share * POINTS), 1] += 5.0
        assert (float(geometry_score(spoilt, visible, cameras, SIZE)["epipolar_px"]) > 5) is seen


def test_wrong_depth_along_the_line_shows_in_depth_alone():
    """Rows are lines: a slide to the left puts points nearer, to the right behind the cameras."""
    pose = torch.eye(4).repeat(2, FRAMES, 1, 1)
    pose[1, :, 0, 3] = -0.5
    cameras = Cameras(pose, K.expand(2, FRAMES, 3, 3))
    generator = torch.Generator().manual_seed(0)
    world = torch.rand(FRAMES, POINTS, 3, generator=generator)[:1].expand(FRAMES, -1, -1) + torch.tensor(
        [-0.5, -0.5, 4.0]
    )
    tracks, _ = project_points(world, pose[:, :, None], K)
    visible = torch.ones(2, FRAMES, POINTS, dtype=torch.bool)
    assert float(geometry_score(tracks, visible, cameras, SIZE)["depth_positive"]) == 1
    behind = tracks.clone()
    behind[1, ..., 0] += 20.0
    shaking = tracks.clone()
    shaking[1, 1::2, :, 0] -= 2.0
    for spoilt, key, worst in ((behind, "depth_positive", 0.0), (shaking, "depth_jitter", None)):
        score = geometry_score(spoilt, visible, cameras, SIZE)
        assert float(score["epipolar_px"]) < 1e-3, "the slide is along the lines"
        if worst is None:
            assert float(score[key]) > 0.3
        else:
            assert float(score[key]) == worst


def test_survival_confidence_and_cycles_by_hand():
    tracks, visible, cameras, _ = made_up()
    visible[0, 0] = False  # four of five times are left in the reference
    visible[1, :, :30] = False
    confidence = torch.full((2, FRAMES, POINTS), 0.9)
    confidence[1, :, 30:40] = 0.6  # not over it
    confidence[0, :, :30] = 0.0  # no pairs, so they do not count
    cycle = torch.full((POINTS,), torch.nan)
    cycle[:3] = torch.tensor([1.0, 2.0, 30.0])
    score = geometry_score(tracks, visible, cameras, SIZE, confidence=confidence, cycle_px=cycle)
    assert float(score["num_pairs"]) == 4 * 30
    assert float(score["survival"]) == 0.5
    assert float(score["confident"]) == pytest.approx(20 / 30)
    assert float(score["cycle_px"]) == 16.0


def test_nothing_tracked_is_nan_and_counted():
    tracks, visible, cameras, dynamic = made_up()
    for name, hidden, placed in (("hidden", visible & False, tracks), ("nowhere", visible, tracks * torch.nan)):
        score = geometry_score(
            placed, hidden, cameras, SIZE, dynamic, torch.ones(visible.shape), torch.full((POINTS,), torch.nan)
        )
        assert float(score.pop("num_pairs")) == 0, name
        assert all(math.isnan(value) for value in score.values()), name
    empty = geometry_score(tracks[:, :, :0], visible[:, :, :0], cameras, SIZE)
    assert float(empty.pop("num_pairs")) == 0
    assert all(math.isnan(value) for value in empty.values())
    short = geometry_score(tracks[:, :2], visible[:, :2], cameras[:, :2], SIZE)
    assert math.isnan(short["depth_jitter"])
    assert float(short["epipolar_px"]) < 1e-3


def test_one_centre_has_a_place_for_every_point_and_no_depth():
    tracks, visible, cameras, _ = made_up(apart=0.0)
    pose = cameras.cam_from_world.clone()
    pose[1, :, :3, 3] = 0.0
    turned = Cameras(pose, cameras.intrinsics)
    world = torch.rand(POINTS, 3) + torch.tensor([-0.5, -0.5, 4.0])
    tracks, _ = project_points(world.expand(FRAMES, -1, -1), pose[:, :, None], K)
    score = geometry_score(tracks, visible, turned, SIZE)
    assert float(score["epipolar_px"]) < 1e-2
    assert math.isnan(score["depth_positive"])
    moved = tracks.clone()
    moved[1, ..., 0] += 1.0
    assert float(geometry_score(moved, visible, turned, SIZE)["epipolar_px"]) == pytest.approx(8.0, abs=0.01)


def test_a_median_of_places_behind_the_camera_is_infinite_and_not_nan():
    """A target that looks the other way from the same centre: every point has its place behind it."""
    tracks, visible, cameras, _ = made_up(apart=0.0)
    pose = cameras.cam_from_world.clone()
    pose[1] = pose_from(rotation_from_axis_angle(torch.tensor([0.0, math.pi, 0.0])), torch.zeros(3))
    assert float(geometry_score(tracks, visible, Cameras(pose, cameras.intrinsics), SIZE)["epipolar_px"]) == math.inf


def test_what_it_is_blind_to_and_what_not():
    """A copy of the reference scores well where the cameras asked for hardly differ, and badly where they do."""
    tracks, visible, cameras, _ = made_up()
    copied = torch.stack([tracks[0], tracks[0]])
    same = Cameras(cameras.cam_from_world[[0, 0]], cameras.intrinsics)
    assert float(geometry_score(copied, visible, same, SIZE)["epipolar_px"]) < 1e-6, "blind"
    assert float(geometry_score(copied, visible, cameras, SIZE)["epipolar_px"]) > 2, "seen"


@pytest.mark.parametrize("scale", [0.01, 1000.0])
def test_the_unit_and_the_world_change_nothing(scale):
    tracks, visible, cameras, dynamic = made_up()
    tracks = tracks + torch.randn(tracks.shape, generator=torch.Generator().manual_seed(1))
    world = pose_from(rotation_from_axis_angle(torch.tensor([0.4, -1.0, 0.3])), torch.tensor([3.0, -2.0, 1.0]))
    pose = cameras.cam_from_world.double() @ world.double()
    pose[..., :3, 3] *= scale
    one = geometry_score(tracks, visible, cameras, SIZE, dynamic)
    other = geometry_score(tracks, visible, Cameras(pose, cameras.intrinsics.double()), SIZE, dynamic)
    for key, value in one.items():
        assert float(other[key]) == pytest.approx(float(value), rel=1e-4, nan_ok=True), key


@pytest.mark.usefixtures("without_shape_hook")
def test_what_does_not_fit_is_refused_by_name():
    tracks, visible, cameras, dynamic = made_up()
    with pytest.raises(InputError, match="visible: got shape"):
        geometry_score(tracks, visible[:, 1:], cameras, SIZE)
    with pytest.raises(InputError, match=r"cameras\.cam_from_world: got shape"):
        geometry_score(tracks, visible, cameras[:1], SIZE)
    with pytest.raises(InputError, match="dynamic: got shape"):
        geometry_score(tracks, visible, cameras, SIZE, dynamic[1:])
    with pytest.raises(InputError, match="image_size: got"):
        geometry_score(tracks, visible, cameras, (48, 0))
