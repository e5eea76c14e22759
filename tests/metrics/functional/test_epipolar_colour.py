"""Colours along epipolar lines: by hand on walls, what it sees, and what it is blind to."""

import math

import pytest
import torch

from mvt4g.geometry.pose import invert_pose, pose_from, rotation_from_axis_angle
from mvt4g.metrics.functional.epipolar_colour import epipolar_colour
from mvt4g.types import Cameras, InputError

FRAMES, SIDE, FOCAL, DEPTH = 2, 32, 32.0, 4.0
SHIFT = 6
"""Columns by which the target sees the wall moved to the left."""


def wall(first: int, scale: int = 1) -> torch.Tensor:
    """Return a textured wall from a column on."""
    coarse = torch.rand(FRAMES, 3, 8, 16, generator=torch.Generator().manual_seed(0))
    whole = torch.nn.functional.interpolate(coarse, (scale * SIDE, scale * 2 * SIDE), mode="bilinear")
    return whole[..., scale * first : scale * (first + SIDE)]


def cameras(shift: float = SHIFT, scale: int = 1) -> Cameras:
    """Return a reference, and a target to the right of it that sees a wall at ``DEPTH`` moved by ``shift`` columns."""
    pose = torch.eye(4).repeat(2, FRAMES, 1, 1)
    pose[1, :, 0, 3] = -shift * DEPTH / FOCAL
    lens = torch.tensor([[FOCAL, 0.0, SIDE / 2], [0.0, FOCAL, SIDE / 2], [0.0, 0.0, 1.0 / scale]]) * scale
    return Cameras(pose, lens.expand(2, FRAMES, 3, 3))


def score(video: torch.Tensor, reference: torch.Tensor, asked: Cameras) -> float:
    return float(epipolar_colour(video, reference, asked))


def test_a_true_view_has_its_colours_on_the_lines_and_others_have_not():
    reference = wall(0)
    true = score(wall(SHIFT), reference, cameras())
    # The six columns that the target does not see are off by about 0.2 wherever they are looked for.
    assert true < 0.2 * SHIFT / SIDE
    beside = wall(SHIFT).roll(5, dims=2)
    assert score(beside, reference, cameras()) > 3 * true, "five rows beside the lines"
    assert score(wall(0).flip(-1), reference, cameras()) > 3 * true
    assert score(torch.rand(FRAMES, 3, SIDE, SIDE), reference, cameras()) > 3 * true


def test_the_wrong_way_along_the_line_is_behind_the_cameras():
    """A wall that moved to the right is at no depth; far away, which is the nearest, it did not move."""
    assert score(wall(0), wall(SHIFT), cameras()) > 3 * score(wall(SHIFT), wall(0), cameras())


@pytest.mark.parametrize("shift", [0.0, SHIFT])
def test_even_colours_differ_by_what_they_differ(shift):
    grey = torch.full((FRAMES, 3, SIDE, SIDE), 0.5)
    assert score(grey + 0.25, grey, cameras(shift)) == pytest.approx(0.25, abs=1e-5)


def test_one_centre_tries_no_depth():
    """With the same camera the best place is the only place, and a window's mean is the mean where all errors agree."""
    assert score(wall(0), wall(0), cameras(0.0)) == pytest.approx(0.0, abs=1e-6)
    turned = cameras(0.0)
    pose = turned.cam_from_world.clone()
    pose[1, :] = invert_pose(pose_from(rotation_from_axis_angle(torch.tensor([0.0, 0.3, 0.0])), torch.zeros(3)))
    assert score(wall(0), wall(0), Cameras(pose, turned.intrinsics)) > 0.05, "a copy under a turned camera"


def test_nothing_in_common_is_nan_and_so_are_no_frames():
    pose = cameras().cam_from_world.clone()
    pose[1, :] = pose_from(rotation_from_axis_angle(torch.tensor([0.0, math.pi, 0.0])), torch.zeros(3))
    assert math.isnan(score(wall(0), wall(0), Cameras(pose, cameras().intrinsics)))
    assert math.isnan(score(wall(0)[:0], wall(0)[:0], cameras()[:, :0]))


@pytest.mark.parametrize("unit", [0.01, 1000.0])
def test_the_unit_of_the_scene_changes_nothing(unit):
    pose = cameras().cam_from_world.clone()
    pose[..., :3, 3] *= unit
    one = score(wall(SHIFT), wall(0), cameras())
    assert score(wall(SHIFT), wall(0), Cameras(pose, cameras().intrinsics)) == pytest.approx(one, rel=1e-3)


def test_large_videos_are_reduced():
    """Four times the width is scored at 64 columns, and comes out alike."""
    large = score(wall(SHIFT, 4), wall(0, 4), cameras(scale=4))
    assert large < 0.2 * SHIFT / SIDE
    spoilt = score(wall(SHIFT, 4).roll(20, dims=2), wall(0, 4), cameras(scale=4))
    assert spoilt == pytest.approx(score(wall(SHIFT).roll(5, dims=2), wall(0), cameras()), rel=0.3)


def test_what_it_is_blind_to():
    """The values that docs/geometry.md lists: a copy where cameras hardly differ, a still scene, no texture."""
    still = wall(0)[:1].expand(FRAMES, -1, -1, -1)
    assert score(still, still, cameras(0.0)) == pytest.approx(0.0, abs=1e-6), "a still video and a still camera"
    assert score(wall(0), wall(0), cameras(0.2)) < 0.01, "a copy where the cameras asked for hardly differ"
    bare = torch.full((FRAMES, 3, SIDE, SIDE), 0.3)
    assert score(bare, bare, cameras()) == pytest.approx(0.0, abs=1e-6), "a scene without texture"
    assert score(wall(0), wall(0), cameras()) < 0.03, "a copy of what may be infinitely far away"


@pytest.mark.usefixtures("without_shape_hook")
def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(InputError, match="reference: got shape"):
        epipolar_colour(wall(0), wall(0)[:1], cameras())
    with pytest.raises(InputError, match=r"cameras\.cam_from_world: got shape"):
        epipolar_colour(wall(0), wall(0), cameras()[:1])
