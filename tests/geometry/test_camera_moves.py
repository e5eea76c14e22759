"""Moves against values by hand; what no move may do; and a spline through key poses without a corner."""

import math

import pytest
import torch

from mvt4g.geometry.camera_motion import CameraMotion, Subject, TimedMove
from mvt4g.geometry.camera_moves import (
    EASES,
    SCALED_BY_SUBJECT,
    DollyZoom,
    Follow,
    KeyPoses,
    LookAt,
    Orbit,
    Preset,
    Slide,
    Turning,
    Zoom,
)
from mvt4g.geometry.path_resampling import resample_path, spline_poses
from mvt4g.geometry.pose import check_poses, compose, invert_pose, transform_points
from mvt4g.geometry.trajectories import BENCHMARK_CAMERAS, benchmark_trajectory, preset_trajectory
from mvt4g.types import InputError

STILL = torch.eye(4).expand(5, 4, 4)
RIGHT, DOWN, FORWARD = (torch.eye(4)[axis, :3] for axis in range(3))
AHEAD = Subject(distance=4.0)


def play(*moves, source=STILL, positions=None, scale=1.0, **options):
    timed = tuple(move if isinstance(move, TimedMove) else TimedMove(move) for move in moves)
    return CameraMotion(timed, **options).play(source, positions, scale)


def last_of(*moves, **options):
    return play(*moves, **options)[0][-1]


def close(found, want):
    torch.testing.assert_close(found, torch.as_tensor(want, dtype=torch.float32), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("direction", "centre"), [("right", [2, 0, 0]), ("up", [0, -2, 0]), ("forward", [0, 0, 2])])
def test_slides(direction, centre):
    path, zoom = play(Slide(direction, 2))
    close(path[-1, :3, 3], centre)
    close(path[1, :3, 3], torch.tensor(centre) / 4)
    close(path[:, :3, :3], torch.eye(3).expand(5, 3, 3))
    close(zoom, torch.ones(5))


@pytest.mark.parametrize(
    ("turn", "axis", "points"), [("pan", 2, RIGHT), ("tilt", 2, -DOWN), ("roll", 0, DOWN), ("roll", 2, FORWARD)]
)
def test_turns_by_a_right_angle(turn, axis, points):
    """Pan: the view to the right. Tilt: the view up. Roll: the camera's right side sinks, its view stays."""
    end = last_of(Turning(turn, 90))
    close(end[:3, axis], points)
    close(end[:3, 3], [0, 0, 0])


@pytest.mark.parametrize(
    ("orbit", "centre", "view"),
    [
        (Orbit(90), [4, 0, 4], -RIGHT),
        (Orbit(-90), [-4, 0, 4], RIGHT),
        (Orbit(180), [0, 0, 8], -FORWARD),
        (Orbit(0, 90), [0, -4, 4], DOWN),
        (Orbit(90, 30), [4 * math.cos(math.pi / 6), -2, 4], [-math.cos(math.pi / 6), 0.5, 0]),
    ],
)
def test_orbits_of_a_subject_four_ahead(orbit, centre, view):
    path, _ = play(orbit, subject=AHEAD)
    close(path[-1, :3, 3], centre)
    close(path[-1, :3, 2], view)
    in_camera = transform_points(invert_pose(path), torch.tensor([0.0, 0.0, 4.0]))
    close(in_camera, torch.tensor([0.0, 0.0, 4.0]).expand(5, 3))


def test_an_orbit_goes_on_over_the_pole():
    """At 90 degrees up and way to the subject are parallel; beyond, the camera comes down behind, upside down."""
    close(last_of(Orbit(0, 90), Orbit(0, 90), subject=AHEAD)[:3, 3], [0, 0, 8])
    close(last_of(Orbit(0, 180), subject=AHEAD)[:3, :3], torch.diag(torch.tensor([1.0, -1.0, -1.0])))


def test_each_move_acts_on_what_those_before_leave():
    close(last_of(Turning("pan", 90), Slide("forward", 2))[:3, 3], [2, 0, 0])
    close(last_of(Slide("forward", 2), Turning("pan", 90))[:3, 3], [0, 0, 2])
    close(last_of(Orbit(90), Slide("forward", 1), subject=AHEAD)[:3, 3], [3, 0, 4])


def test_up_is_what_the_motion_says():
    close(last_of(Slide("up", 1), up=(0.0, 0.0, 2.0))[:3, 3], [0, 0, 1])
    close(last_of(Turning("tilt", 90), Slide("up", 1))[:3, 3], [0, -1, 0])


def test_zooms_multiply():
    _, zoom = play(Zoom(4), Zoom(0.5))
    close(zoom, 2.0 ** torch.linspace(0, 1, 5))


@pytest.mark.parametrize("distance", [2, -4])
def test_a_dolly_zoom_keeps_the_subjects_size(distance):
    path, zoom = play(DollyZoom(distance), subject=AHEAD)
    depth = transform_points(invert_pose(path), torch.tensor([0.0, 0.0, 4.0]))[:, 2]
    close(zoom / depth, torch.full((5,), 1 / 4))
    close(zoom[-1], (4 - distance) / 4)


def test_a_dolly_zoom_through_the_subject_is_refused():
    with pytest.raises(InputError, match=r"^moves: frame 3: got the subject behind the camera, want it in front"):
        play(DollyZoom(6), subject=AHEAD)


def test_follow_and_look_at_a_subject_that_walks():
    positions = torch.tensor([[0.0, 0, 4], [1, 0, 4], [2, 1, 4], [3, 1, 5], [4, 1, 6]])
    subject = Subject(positions=positions)
    path, _ = play(TimedMove(Follow(), None), subject=subject, positions=positions)
    close(path[:, :3, 3], positions - positions[0])
    path, _ = play(TimedMove(LookAt(), None), subject=subject, positions=positions)
    in_camera = transform_points(invert_pose(path), positions)
    close(in_camera[:, :2], torch.zeros(5, 2))
    assert bool((in_camera[:, 2] > 0).all())
    close(path[:, :3, 3], torch.zeros(5, 3))
    close(path[:, 1, 0], torch.zeros(5))  # the horizon is level


def test_a_look_that_is_timed_turns_there():
    path, _ = play(LookAt(), subject=Subject(positions=RIGHT[None]), positions=RIGHT.expand(5, 3))
    angles = torch.atan2(path[:, 0, 2], path[:, 2, 2])
    close(angles, torch.linspace(0, math.pi / 2, 5))


@pytest.mark.parametrize(("move", "at"), [(Orbit(10), [0, 0, 0]), (LookAt(), [0, 0, 0]), (DollyZoom(1), [0, 0, 0])])
def test_a_subject_where_the_camera_is_is_refused(move, at):
    with pytest.raises(InputError, match="moves: frame 0: got the camera where the subject is, want it apart"):
        play(move, subject=Subject(positions=torch.zeros(1, 3)), positions=torch.tensor(at).float().expand(5, 3))


@pytest.mark.parametrize("name", [*BENCHMARK_CAMERAS, "arc_left"])
def test_presets_are_the_benchmarks(name):
    close(play(Preset(name), scale=2.0)[0], benchmark_trajectory(name, 5, scale=2.0))


def test_a_preset_scaled_by_the_subject_turns_about_it():
    path, _ = play(Preset("arc_right", SCALED_BY_SUBJECT), unit="subject_distance", subject=Subject(distance=10.0))
    close(path, preset_trajectory("arc_right", 5, scale=2.5))
    pivot = transform_points(invert_pose(path), torch.tensor([0.0, 0.0, 10.0]))
    close(pivot[:, :2], torch.zeros(5, 2))


@pytest.mark.parametrize("distance", [1.0, 7.0])
def test_distances_in_those_of_the_subject(distance):
    end = last_of(Slide("right", 0.5), unit="subject_distance", subject=Subject(distance=distance), scale=3.0)
    close(end[:3, 3], [distance / 2, 0, 0])


SOURCE = benchmark_trajectory("cam09", 5, scale=3.0)
ELSEWHERE = compose(benchmark_trajectory("cam02", 2)[1:], SOURCE)


@pytest.mark.parametrize("source", [SOURCE, ELSEWHERE])
def test_what_a_motion_is_relative_to(source):
    """The families of ``baselines.md`` 3.7: from source frame 0, from each source frame, in the source's world."""
    move = play(Slide("right", 2), Turning("roll", 10))[0]
    close(play(Slide("right", 2), Turning("roll", 10), source=source)[0], compose(source[:1], move))
    kept = play(Slide("right", 2), Turning("roll", 10), source=source, relative_to="source_frames")[0]
    close(kept, compose(source, move))
    close(play(Slide("right", 2), Turning("roll", 10), source=source, relative_to="world")[0], move)
    assert float((kept[-1] - compose(source[0], move[-1])).abs().max()) > 0.5  # the two differ


@pytest.mark.parametrize("relative_to", ["source_start", "source_frames", "world"])
def test_a_subject_in_the_world_is_looked_at_from_anywhere(relative_to):
    positions = torch.tensor([[0.3, -0.2, 5.0]]).expand(5, 3)
    look = TimedMove(LookAt(), None)
    path, _ = play(look, source=ELSEWHERE, positions=positions, subject=Subject(positions=positions[:1]), relative_to=relative_to)  # fmt: skip  # noqa: E501
    close(transform_points(invert_pose(path), positions)[:, :2], torch.zeros(5, 2))


def test_a_subject_at_a_distance_is_ahead_of_what_the_motion_is_relative_to():
    for relative_to, ahead_of in (("source_start", 0), ("source_frames", 4), ("world", 0)):
        look = TimedMove(LookAt(), None)
        end = last_of(look, source=ELSEWHERE, subject=AHEAD, relative_to=relative_to, start_position=(0.0, 0.3, 0.0))
        want = transform_points(ELSEWHERE[ahead_of], torch.tensor([0.0, 0.0, 4.0]))
        close(transform_points(invert_pose(end), want)[:2], [0, 0])


def test_a_start_away_from_the_reference():
    quarter = last_of(Turning("pan", 90))[:3, :3]
    end = last_of(Slide("forward", 1), start_position=(5.0, 0.0, 0.0), start_rotation=quarter, scale=2.0)
    close(end[:3, 3], [12, 0, 0])


@pytest.mark.parametrize(("frames", "shares"), [(None, [0, 0.25, 0.5, 0.75, 1]), (9, [0, 1 / 8, 2 / 8, 3 / 8, 4 / 8]), (3, [0, 0.5, 1, 1, 1])])  # fmt: skip  # noqa: E501
def test_a_motion_takes_the_clip_or_its_own_number_of_frames(frames, shares):
    close(play(Slide("right", 1), frames=frames)[0][:, 0, 3], shares)


@pytest.mark.parametrize("length", [1, 2, 81])
def test_any_length(length):
    path, zoom = play(Slide("right", 1), Zoom(2), source=torch.eye(4).expand(length, 4, 4))
    close(path[:, 0, 3], torch.linspace(0, 1, length))
    close(zoom, 2 ** torch.linspace(0, 1, length))


def test_moves_take_their_part_of_the_clip():
    path, _ = play(TimedMove(Slide("right", 1), (0.25, 0.75)))
    close(path[:, 0, 3], [0, 0, 0.5, 1, 1])


@pytest.mark.parametrize(
    ("ease", "quarter", "half", "first", "last"),
    [
        ("linear", 0.25, 0.5, 1, 1),
        ("in", 0.0625, 0.25, 0, 2),
        ("out", 0.4375, 0.75, 2, 0),
        ("in_out", 0.15625, 0.5, 0, 0),
    ],
)
def test_eases_by_hand_and_their_speeds_at_the_ends(ease, quarter, half, first, last):
    share = torch.tensor([0, 0.25, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    done = EASES[ease](share)
    close(done.detach().float(), [0, quarter, half, 1])
    (speed,) = torch.autograd.grad(done.sum(), share)
    close(speed[[0, -1]].float(), [first, last])


KEYS = benchmark_trajectory("cam09", 4, scale=2.0).double()
KEYS[2] = compose(KEYS[2], preset_trajectory("pan_right", 2, 3.0)[1].double())


def test_a_path_goes_through_its_key_poses():
    knots = torch.tensor([0, 0.25, 0.5, 1.0], dtype=torch.float64)
    path, _ = play(KeyPoses(KEYS, knots), scale=2.0)
    want = KEYS.float()
    want[:, :3, 3] *= 2
    close(path[[0, 1, 2, 4]], want)
    check_poses(path, "path")


def _corner(path, middle):
    """Return by how much the velocity (of the whole matrix) jumps at a pose."""
    before, after = path[middle] - path[middle - 1], path[middle + 1] - path[middle]
    return float((after - before).abs().max() / after.abs().max())


def test_the_spline_has_no_corner_where_straight_lines_have_one():
    knots = torch.tensor([0.0, 1.0, 3.0, 4.0], dtype=torch.float64)
    step = 1e-4
    at = torch.tensor([1 - step, 1, 1 + step], dtype=torch.float64)
    assert _corner(spline_poses(KEYS, knots, at), 1) < 0.01
    assert _corner(resample_path(KEYS, at), 1) > 0.1  # control


def test_the_spline_turns_the_short_way_whatever_the_signs_of_quaternions():
    turns = torch.stack([last_of(Turning("pan", angle)).double() for angle in (-170, -60, 60, 170)])
    knots = torch.arange(4, dtype=torch.float64)
    path = spline_poses(turns, knots, torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64))
    angles = torch.rad2deg(torch.atan2(path[:, 0, 2], path[:, 2, 2]))
    assert abs(float(angles[1])) < 1
    assert -170 < float(angles[0]) < -60
    assert 60 < float(angles[2]) < 170
