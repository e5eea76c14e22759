"""Pictures of camera paths: where start, end, source and subject are drawn."""

import pytest
import torch

from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.types import Cameras
from mvt4g.viz.camera_paths import END, REFERENCE, START, SUBJECT, CameraScene, draw_camera_paths

PANEL_FROM, LEGEND_FROM = 38, 430
"""Rows of the panels, without titles, scale bar and legend."""


def cameras(*offsets):
    poses = torch.eye(4).repeat(len(offsets), 1, 1)
    poses[:, :3, 3] = torch.tensor(offsets).float()
    return Cameras(invert_pose(poses), intrinsics_from_fov(1.0, 60, 80).expand(len(offsets), 3, 3))


def marks(picture, colour, panel):
    """Return the middle (x, y) of the pixels of a colour in a panel, None where there is none."""
    half = picture.shape[-1] // 2
    part = picture[:, PANEL_FROM:LEGEND_FROM, panel * half : (panel + 1) * half]
    is_it = ((part - torch.tensor(colour)[:, None, None] / 255).abs() < 0.02).all(dim=0)
    rows, columns = is_it.nonzero(as_tuple=True)
    return None if not len(rows) else (columns.float().mean().item(), rows.float().mean().item())


@pytest.mark.parametrize(
    ("end", "above", "side"),
    [((3, 0, 0), (1, 0), (0, 0)), ((0, 0, 3), (0, -1), (1, 0)), ((0, -3, 0), (0, 0), (0, -1))],
)
def test_right_is_right_ahead_is_up_or_right_and_up_is_up(end, above, side):
    picture = draw_camera_paths(CameraScene(cameras((0, 0, 0), end), (60, 80)))
    for panel, way in enumerate((above, side)):
        start, stop = marks(picture, START, panel), marks(picture, END, panel)
        if stop is None:
            assert way == (0, 0)  # the start lies on it
            continue
        moved = [(b - a) / 300 for a, b in zip(start, stop, strict=True)]
        assert [round(value) for value in moved] == list(way)


def test_source_and_subject_are_drawn_where_there_is_one():
    target = cameras((0, 0, 0), (1, 0, 0))
    plain = draw_camera_paths(CameraScene(target, (60, 80)))
    assert marks(plain, REFERENCE, 0) is None
    assert marks(plain, SUBJECT, 0) is None
    subject = torch.tensor([[0.5, 0.0, 4.0]]).expand(2, 3)
    full = draw_camera_paths(CameraScene(target, (60, 80), cameras((0, 0, 0), (-1, 0, 0)), subject))
    assert marks(full, REFERENCE, 0)[0] < marks(full, SUBJECT, 0)[0]
    assert marks(full, SUBJECT, 0)[1] < marks(full, START, 0)[1]  # ahead
    assert marks(full, SUBJECT, 1)[0] > marks(full, START, 1)[0]


@pytest.mark.parametrize("count", [1, 2, 81])
def test_cameras_that_stand_still_or_turn_alone_are_drawn(count):
    path = Cameras(
        invert_pose(preset_trajectory("pan_left", count)), intrinsics_from_fov(1.0, 8, 8).expand(count, 3, 3)
    )
    picture = draw_camera_paths(CameraScene(path, (8, 8)), ["a line"])
    assert bool(picture.isfinite().all())
    assert marks(picture, START, 0) is not None
