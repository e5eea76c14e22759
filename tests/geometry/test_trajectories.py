import json
import math
import re
from pathlib import Path

import pytest
import torch

from mvt4g.geometry.pose import check_poses, relative_to, rotation_angle
from mvt4g.geometry.trajectories import BENCHMARK_CAMERAS, PRESETS, benchmark_trajectory, preset_trajectory
from mvt4g.types import InputError
from tests.reference import redirector_cameras

EXTRINSICS = Path(__file__).parents[3] / "shared" / "data" / "recammaster" / "camera_extrinsics.json"


def angles_deg(world_from_cam):
    """Turn to the right and upwards of the viewing direction."""
    forward = world_from_cam[..., :3, 2]
    yaw = torch.atan2(forward[..., 0], forward[..., 2])
    pitch = torch.atan2(-forward[..., 1], torch.hypot(forward[..., 0], forward[..., 2]))
    return torch.rad2deg(yaw), torch.rad2deg(pitch)


TABLE = [
    ("pan_right", 19.88, 0.0, (0.0, 0.0, 0.0)),
    ("pan_left", -19.88, 0.0, (0.0, 0.0, 0.0)),
    ("tilt_up", 0.0, 9.94, (0.0, 0.0, 0.0)),
    ("tilt_down", 0.0, -9.94, (0.0, 0.0, 0.0)),
    ("zoom_in", 0.0, 0.0, (0.0, 0.0, 1.988)),
    ("zoom_out", 0.0, 0.0, (0.0, 0.0, -1.988)),
    ("translate_up", 0.0, -13.95, (0.0, -0.994, 0.0)),
    ("translate_down", 0.0, 13.95, (0.0, 0.994, 0.0)),
    ("arc_left", 29.82, 0.0, (-1.988, 0.0, 0.533)),
    ("arc_right", -29.82, 0.0, (1.988, 0.0, 0.533)),
]
"""Preset, yaw and pitch in degrees, position in metres. Source: the table of ReCamMaster's presets, to its digits."""


@pytest.mark.parametrize(("name", "yaw", "pitch", "position"), TABLE)
def test_total_motion_whatever_the_number_of_frames(name, yaw, pitch, position):
    for num_frames in (2, 5, 81):
        path = preset_trajectory(name, num_frames)
        assert path.shape == (num_frames, 4, 4)
        check_poses(path, name, tolerance=1e-6)
        torch.testing.assert_close(path[0], torch.eye(4), atol=1e-7, rtol=0)
        assert [angle.item() for angle in angles_deg(path[-1])] == pytest.approx([yaw, pitch], abs=0.005)
        assert path[-1, :3, 3].tolist() == pytest.approx(position, abs=0.0005)


def read_recammaster():
    """World-from-camera (10 t 4 4) of the file: Unreal rows to OpenCV columns, centimetres to metres."""
    frames = json.loads(EXTRINSICS.read_text())
    rows = [
        [[float(x) for x in re.findall(r"[-+.\deE]+", frames[f"frame{i}"][f"cam{c:02d}"])] for i in range(len(frames))]
        for c in range(1, 11)
    ]
    columns = torch.tensor(rows, dtype=torch.float64).unflatten(-1, (4, 4)).mT
    world_from_cam = columns[..., [1, 2, 0, 3]].clone()
    world_from_cam[..., 1] *= -1
    world_from_cam[..., :3, 3] /= 100
    return world_from_cam


@pytest.mark.skipif(not EXTRINSICS.exists(), reason=f"real data absent: {EXTRINSICS}")
def test_presets_are_recammasters_frame_by_frame():
    """The file keeps six significant digits: rotations to 5e-7, positions (up to 34 m from its origin) to 5e-5 m."""
    world_from_cam = read_recammaster()
    ours = torch.stack([preset_trajectory(name, 81) for name in PRESETS]).double()
    first_from_cam = relative_to(world_from_cam, world_from_cam[:, 0])
    assert (ours - first_from_cam)[..., :3, :3].abs().max() < 6e-7
    assert (ours - first_from_cam)[..., :3, 3].abs().max() < 5.1e-5


@pytest.mark.parametrize("name", PRESETS)
def test_motion_is_uniform_and_pivots_stay_in_the_centre(name):
    path = preset_trajectory(name, 21).double()
    steps = path[1:, :3, 3] - path[:-1, :3, 3]
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), atol=1e-6, rtol=0)
    if PRESETS[name].pivot_m is None:
        turns = rotation_angle(path[:-1, :3, :3].mT @ path[1:, :3, :3])
        torch.testing.assert_close(turns, turns[:1].expand_as(turns), atol=1e-6, rtol=0)
    else:
        to_pivot = torch.tensor([0.0, 0.0, PRESETS[name].pivot_m], dtype=torch.float64) - path[:, :3, 3]
        torch.testing.assert_close(torch.nn.functional.normalize(to_pivot, dim=-1), path[:, :3, 2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [name for name in PRESETS if "zoom" not in name])
def test_left_is_the_mirror_of_right_and_up_of_down(name):
    opposite = {"left": "right", "right": "left", "up": "down", "down": "up"}
    direction = name.split("_")[1]
    axis = 0 if direction in ("left", "right") else 1
    mirror = torch.eye(4)
    mirror[axis, axis] = -1
    other = preset_trajectory(name.replace(direction, opposite[direction]), 9)
    torch.testing.assert_close(mirror @ other @ mirror, preset_trajectory(name, 9))


def test_frames_are_resampled_in_time():
    dense = preset_trajectory("arc_left", 81)
    torch.testing.assert_close(preset_trajectory("arc_left", 21), dense[::4])


def test_strength_scales_motion_and_scale_scales_metres():
    half, _ = angles_deg(preset_trajectory("pan_right", 81, strength=0.5)[-1])
    assert half.item() == pytest.approx(0.5 * 20 * 80 / 80.5, abs=1e-4)
    torch.testing.assert_close(
        preset_trajectory("zoom_in", 9, strength=2)[:, :3, 3], 2 * preset_trajectory("zoom_in", 9)[:, :3, 3]
    )
    torch.testing.assert_close(preset_trajectory("arc_right", 5, strength=0), torch.eye(4).expand(5, 4, 4))
    plain, scaled = preset_trajectory("arc_right", 9), preset_trajectory("arc_right", 9, scale=100)
    assert torch.equal(scaled[:, :3, :3], plain[:, :3, :3])
    torch.testing.assert_close(scaled[:, :3, 3], 100 * plain[:, :3, 3])


def test_one_frame_is_the_identity():
    for name in PRESETS:
        torch.testing.assert_close(preset_trajectory(name, 1)[0], torch.eye(4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pan_up", 5), "trajectory preset: got 'pan_up', want cam01 to cam10, or one of pan_right, .*arc_right"),
        (("pan_left", 0), "num_frames: got 0"),
        (("pan_left", 5, -1.0), "strength: got -1.0"),
        (("pan_left", 5, math.nan), "strength: got nan"),
        (("pan_left", 5, 1.0, 0.0), "scale: got 0.0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        preset_trajectory(*arguments)


@pytest.mark.parametrize(("camera", "row"), list(enumerate(TABLE, start=1)))
def test_benchmark_cameras_are_the_table_at_81_frames(camera, row):
    name, yaw, pitch, position = row
    path = benchmark_trajectory(f"cam{camera:02d}", 81)
    assert BENCHMARK_CAMERAS[f"cam{camera:02d}"] == name
    assert path.shape == (81, 4, 4)
    check_poses(path, name, tolerance=1e-6)
    torch.testing.assert_close(path[0], torch.eye(4), atol=1e-7, rtol=0)
    assert path[-1, :3, 3].tolist() == pytest.approx(position, abs=1e-3)
    assert torch.deg2rad(torch.stack(angles_deg(path[-1]))).tolist() == pytest.approx(
        [math.radians(yaw), math.radians(pitch)], abs=1e-3
    )
    per_frame = benchmark_trajectory(f"cam{camera:02d}", 81, "per_frame")
    torch.testing.assert_close(per_frame[..., :3, :3], path[..., :3, :3], atol=2e-3, rtol=0)
    assert (per_frame - path)[..., :3, 3].norm(dim=-1).max() < 0.0135, "ReDirector's own distance from the file"


@pytest.mark.parametrize("camera", BENCHMARK_CAMERAS)
@pytest.mark.parametrize("num_frames", [2, 37, 81, 101])
def test_motion_a_frame_is_redirectors_rule(camera, num_frames):
    source = preset_trajectory(BENCHMARK_CAMERAS[camera], 81).double().numpy()
    want = torch.from_numpy(redirector_cameras.camera_path(source, num_frames, 0.5))
    path = benchmark_trajectory(camera, num_frames, "per_frame", strength=0.5)
    torch.testing.assert_close(path.double(), want, atol=2e-5, rtol=0)
    metres = benchmark_trajectory(camera, num_frames, "per_frame", strength=0.5, scale=3.0)
    torch.testing.assert_close(metres[:, :3, 3], 3 * path[:, :3, 3])


@pytest.mark.skipif(not EXTRINSICS.exists(), reason=f"real data absent: {EXTRINSICS}")
@pytest.mark.parametrize("num_frames", [37, 101])
def test_motion_a_frame_is_redirectors_rule_on_the_real_file(num_frames):
    """The file's positions are rounded to 1e-4 m, and so is every one of the steps that are added up."""
    world_from_cam = read_recammaster()
    first_from_cam = relative_to(world_from_cam, world_from_cam[:, 0]).numpy()
    for camera, source in zip(BENCHMARK_CAMERAS, first_from_cam, strict=True):
        want = torch.from_numpy(redirector_cameras.camera_path(source, num_frames))
        assert (benchmark_trajectory(camera, num_frames, "per_frame") - want).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("camera", "num_frames", "degrees", "metres"),
    [("cam01", 37, 8.94, 0.0), ("cam05", 37, 0.0, 0.895), ("cam09", 37, 13.4, 0.92), ("cam01", 101, 24.85, 0.0),
     ("cam06", 101, 0.0, 2.485), ("cam10", 101, 37.3, 2.55), ("cam09", 49, 17.9, 1.22), ("cam01", 1, 0.0, 0.0)],
)  # fmt: skip
def test_motion_grows_with_the_frames_under_per_frame_alone(camera, num_frames, degrees, metres):
    """By hand: (frames - 1) / 80 of the file's turn and way; of an arc the way bends with the turn."""
    last = benchmark_trajectory(camera, num_frames, "per_frame")[-1]
    assert math.degrees(rotation_angle(last[:3, :3])) == pytest.approx(degrees, abs=0.06)
    assert last[:3, 3].norm().item() == pytest.approx(metres, abs=0.03)
    if num_frames > 1:
        total = benchmark_trajectory(camera, num_frames)[-1]
        torch.testing.assert_close(total, benchmark_trajectory(camera, 81)[-1], atol=1e-5, rtol=0)


def test_what_no_benchmark_has_is_named():
    with pytest.raises(InputError, match="got 'cam11', want cam01 to cam10, or one of pan_right"):
        benchmark_trajectory("cam11", 5)
    with pytest.raises(InputError, match="speed: got 'fast', want one of total, per_frame"):
        benchmark_trajectory("cam01", 5, "fast")
    with pytest.raises(InputError, match="num_frames: got 0"):
        benchmark_trajectory("cam01", 0, "per_frame")
