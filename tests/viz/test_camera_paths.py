"""Pictures of camera paths: where start, end, source and subject are drawn."""

import math

import pytest
import torch

from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.types import Cameras
from mvt4g.viz.camera_paths import CameraScene, draw_camera_paths


def cameras(*offsets):
    poses = torch.eye(4).repeat(len(offsets), 1, 1)
    poses[:, :3, 3] = torch.tensor(offsets).float()
    return Cameras(invert_pose(poses), intrinsics_from_fov(1.0, 60, 80).expand(len(offsets), 3, 3))


def marks(scene, panel):
    """Return the named marks of a panel: their first and last points."""
    axes = draw_camera_paths(scene, "a line").axes[panel]
    lines = {line.get_label(): line.get_xydata() for line in axes.lines if not line.get_label().startswith("_")}
    return {name: (points[0].tolist(), points[-1].tolist()) for name, points in lines.items()}, axes


@pytest.mark.parametrize(
    ("end", "above", "side"),
    [((3, 0, 0), [3, 0], [0, 0]), ((0, 0, 3), [0, 3], [3, 0]), ((0, -3, 0), [0, 0], [0, -3])],
)
def test_above_shows_x_and_z_and_the_side_z_and_y_with_up_upwards(end, above, side):
    scene = CameraScene(cameras((0, 0, 0), end), (60, 80))
    for panel, want in enumerate((above, side)):
        named, axes = marks(scene, panel)
        assert named["start"][0] == [0, 0]
        assert named["end"][0] == pytest.approx(want)
        assert (axes.get_ylim()[0] > axes.get_ylim()[1]) == (panel == 1)
        assert axes.get_aspect() == 1
        assert set(named) == {"start", "end"}


def test_both_panels_have_one_scale_and_show_every_frustum():
    _, above = marks(CameraScene(cameras((0, 0, 0), (3, 1, 0)), (60, 80)), 0)
    _, side = marks(CameraScene(cameras((0, 0, 0), (3, 1, 0)), (60, 80)), 1)
    widths = [abs(end - start) for axes in (above, side) for start, end in (axes.get_xlim(), axes.get_ylim())]
    assert widths == pytest.approx([widths[0]] * 4)
    for axes in (above, side):
        for line in axes.lines:
            for points, limits in zip(line.get_xydata().T, (axes.get_xlim(), axes.get_ylim()), strict=True):
                assert min(limits) <= points.min() <= points.max() <= max(limits)


def test_a_frustum_is_what_the_lens_sees():
    """At depth 1, a picture of 60 x 80 with a view of 1 rad across is 2 tan(0.5) wide."""
    scene = CameraScene(cameras((0, 0, 0)), (60, 80))
    _, above = marks(scene, 0)
    drawn = [line.get_xydata() for line in above.lines if len(line.get_xydata()) > 2]
    width, height = (drawn[0].max(axis=0) - drawn[0].min(axis=0)).tolist()
    assert width == pytest.approx(2 * math.tan(0.5))
    assert height == pytest.approx(1)


def test_source_and_subject_are_drawn_where_there_is_one():
    subject = torch.tensor([[0.5, 0.0, 4.0], [0.5, 1.0, 4.0]])
    named, _ = marks(CameraScene(cameras((0, 0, 0), (1, 0, 0)), (60, 80), cameras((0, 0, 0), (-1, 0, 0)), subject), 0)
    assert named["source"] == ([0, 0], [-1, 0])
    assert named["subject"] == ([0.5, 4], [0.5, 4])


@pytest.mark.parametrize("count", [1, 2, 81])
def test_cameras_that_stand_still_or_turn_alone_are_drawn(count):
    poses, lens = preset_trajectory("pan_left", count), intrinsics_from_fov(1.0, 8, 8)
    named, _ = marks(CameraScene(Cameras(invert_pose(poses), lens.expand(count, 3, 3)), (8, 8)), 0)
    assert named["start"] == named["end"] == ([0, 0], [0, 0])
