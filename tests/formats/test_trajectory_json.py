"""Trajectory files: round trips, ReCamMaster's presets, and every kind of bad file named."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mvt4g.formats.trajectory_json import read_trajectory, read_views, write_trajectory
from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import PRESETS, preset_trajectory
from mvt4g.types import Cameras, InputError

RECAMMASTER = Path(__file__).parents[3] / "shared/data/recammaster/camera_extrinsics.json"


def _cameras(name: str = "arc_left", frames: int = 5) -> Cameras:
    intrinsics = intrinsics_from_fov(1.0, 64, 96).expand(frames, 3, 3)
    return Cameras(invert_pose(preset_trajectory(name, frames)), intrinsics)


def _write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def _poses(frames: int = 3) -> list[Any]:
    return preset_trajectory("zoom_in", frames).tolist()


def test_one_path_round_trips(tmp_path: Path) -> None:
    cameras = _cameras()
    write_trajectory(tmp_path / "new" / "a.json", cameras, (64, 96))
    read = read_trajectory(tmp_path / "new" / "a.json", num_frames=5)
    torch.testing.assert_close(invert_pose(read.world_from_cam), cameras.cam_from_world, atol=1e-6, rtol=0)
    torch.testing.assert_close(read.intrinsics, cameras.intrinsics)
    assert read.image_size == (64, 96)


def test_reference_and_target_round_trip(tmp_path: Path) -> None:
    pair = [_cameras("pan_left"), _cameras("tilt_up")]
    both = Cameras(torch.stack([one.cam_from_world for one in pair]), torch.stack([one.intrinsics for one in pair]))
    write_trajectory(tmp_path / "a.json", both, (64, 96))
    views = read_views(tmp_path / "a.json")
    for name, camera in zip(("reference", "target"), pair, strict=True):
        torch.testing.assert_close(invert_pose(views[name].world_from_cam), camera.cam_from_world, atol=1e-6, rtol=0)
    assert json.loads((tmp_path / "a.json").read_text())["convention"] == "opencv world_from_cam"


def test_poses_alone_are_enough_and_one_matrix_of_intrinsics_serves_all_frames(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.json", {"world_from_cam": _poses()})
    assert read_trajectory(path).intrinsics is None
    content = {"world_from_cam": _poses(), "intrinsics": intrinsics_from_fov(1.0, 8, 8).tolist(), "image_size": [8, 8]}
    intrinsics = read_trajectory(_write(path, content)).intrinsics
    assert intrinsics is not None
    torch.testing.assert_close(intrinsics, intrinsics_from_fov(1.0, 8, 8).expand(3, 3, 3))


def _with_entry(row: int, column: int, value: float, frame: int = 1) -> dict[str, Any]:
    poses = _poses()
    poses[frame][row][column] = value
    return {"world_from_cam": poses}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_with_entry(0, 3, float("nan")), r"world_from_cam frame \[1\]: got NaN or infinity"),
        (_with_entry(0, 0, 1.5, frame=2), r"world_from_cam frame \[2\]: got .*want a rotation"),
        (_with_entry(0, 0, -1.0), r"world_from_cam frame \[1\]: got a reflection"),
        (_with_entry(3, 0, 1.0), r"world_from_cam frame \[1\]: got another last row"),
        ({"world_from_cam": _poses(4)}, "got 4 poses, want 3, one per frame"),
        ({"world_from_cam": []}, "world_from_cam: got shape"),
        ({"world_from_cam": [[1, 2, 3]]}, r"world_from_cam: got shape \(1, 1, 3\)"),
        ({"world_from_cam": [[1, 2], [3]]}, "world_from_cam: got no table of numbers"),
        ({"world_from_cam": None}, "world_from_cam: got no table of numbers"),
        ({"poses": _poses()}, r"world_from_cam: missing, got \['poses'\]"),
        ([1, 2], "got a JSON list, want an object"),
        ("{not json", "cannot be read as JSON"),
        (
            {"convention": "opengl", "world_from_cam": _poses()},
            "convention: got 'opengl', want 'opencv world_from_cam'",
        ),
        ({"views": {"left": {}}}, r"got views \['left'\], want 'target'"),
        ({"views": {"target": {}}}, "target.world_from_cam: missing"),
        (
            {"views": {"target": {"world_from_cam": _poses()}, "reference": {"world_from_cam": _poses(2)}}},
            "different numbers of poses",
        ),
        ({"world_from_cam": _poses(), "intrinsics": torch.eye(3).tolist()}, "image_size: missing"),
        (
            {"world_from_cam": _poses(), "intrinsics": torch.zeros(3, 3).tolist(), "image_size": [4, 4]},
            "intrinsics: got a NaN, infinity or focal length <= 0",
        ),
        ({"world_from_cam": _poses(), "image_size": [4]}, r"image_size: got \[4\]"),
        ({"world_from_cam": _poses(), "times_s": [0, 1]}, r"times_s: got \[0, 1\], want 3 finite, increasing numbers"),
        ({"world_from_cam": _poses(), "times_s": [0, 2, 1]}, "times_s: got .*want 3 finite, increasing numbers"),
        ({"world_from_cam": _poses(), "times_s": [0, float("nan"), 1]}, "times_s: got .*want 3 finite"),
        ({"world_from_cam": _poses(), "times_s": [0, 1, float("inf")]}, "times_s: got .*want 3 finite"),
        ({"world_from_cam": _poses(), "times_s": [0, True, 2]}, "times_s: got .*want 3 finite"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: Any, message: str) -> None:
    path = _write(tmp_path / "path.json", content)
    with pytest.raises(InputError, match=rf"path\.json: .*{message}|path\.json: {message}"):
        read_trajectory(path, num_frames=3)


def test_a_missing_file_is_named_and_a_bad_path_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        read_trajectory(tmp_path / "none.json")
    cameras = _cameras()
    broken = Cameras(cameras.cam_from_world * torch.nan, cameras.intrinsics)
    with pytest.raises(InputError, match=r"a\.json: cam_from_world to write\[0\]: got NaN"):
        write_trajectory(tmp_path / "a.json", broken, (64, 96))
    batch = Cameras(cameras.cam_from_world.expand(3, 5, 4, 4), cameras.intrinsics.expand(3, 5, 3, 3))
    with pytest.raises(InputError, match=r"want \(t 4 4\) or \(2 t 4 4\)"):
        write_trajectory(tmp_path / "a.json", batch, (64, 96))
    assert not list(tmp_path.iterdir())


def _unreal(x: float, y: float, z: float) -> str:
    return f"[1 0 0 0] [-0 1 0 0] [0 -0 1 0] [{x} {y} {z} 1] "


def test_recammaster_moves_forward_right_and_up_in_metres(tmp_path: Path) -> None:
    """Unreal's x is forward, y right, z up, in centimetres: here 1 m forward, 2 m right, 3 m up of the start."""
    content = {"frame0": {"cam01": _unreal(10, 20, 30)}, "frame1": {"cam01": _unreal(110, 220, 330)}}
    read = read_trajectory(_write(tmp_path / "a.json", content), camera="cam01")
    want = torch.eye(4).repeat(2, 1, 1)
    want[1, :3, 3] = torch.tensor([2.0, -3.0, 1.0])
    torch.testing.assert_close(read.world_from_cam, want)


@pytest.mark.parametrize(
    ("content", "camera", "message"),
    [
        ({"frame0": {"cam01": _unreal(0, 0, 0)}}, "cam11", "got camera 'cam11', want one of cam01"),
        ({"frame0": {"cam01": _unreal(0, 0, 0)}}, None, "got camera None, want one of cam01"),
        ({"frame0": {"cam01": "[1 0 0]"}}, "cam01", "frame0 cam01: got no 4x4 matrix"),
        ({"frame0": {"cam01": _unreal(0, 0, 0)}, "frame2": {}}, "cam01", "frame1: missing, want frame0 to frame1"),
        ({"world_from_cam": _poses()}, "cam01", "got camera 'cam01' for a file that has no named cameras"),
    ],
)
def test_bad_recammaster_files_are_named(tmp_path: Path, content: Any, camera: str | None, message: str) -> None:
    with pytest.raises(InputError, match=rf"a\.json: {message}"):
        read_trajectory(_write(tmp_path / "a.json", content), camera=camera)


@pytest.mark.skipif(not RECAMMASTER.is_file(), reason=f"no real data at {RECAMMASTER}")
@pytest.mark.parametrize(("index", "name"), list(enumerate(PRESETS)))
def test_the_real_file_holds_the_presets(index: int, name: str) -> None:
    read = read_trajectory(RECAMMASTER, 81, f"cam{index + 1:02d}")
    torch.testing.assert_close(read.world_from_cam, preset_trajectory(name, 81), atol=2e-3, rtol=0)
