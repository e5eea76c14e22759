"""MultiCamVideo: videos and cameras of one world, nothing else."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.readers.focal_folders import SENSOR_MM
from mvt4g.formats.readers.multicamvideo import count, is_there, list_clips, read
from mvt4g.formats.readers.selection import Selection
from mvt4g.formats.trajectory_json import read_recammaster_world, read_trajectory
from mvt4g.formats.video import write_video
from mvt4g.geometry.pose import relative_to
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.types import InputError
from tests.formats.layouts.agreement import projection_px
from tests.formats.layouts.multicamvideo import write_multicamvideo

FOCAL_MM = 24.0
DATA = Path(__file__).parents[4] / "shared/data/recammaster/camera_extrinsics.json"


@pytest.fixture(scope="module")
def square_clip():
    """A clip whose K is that of a lens of 24 mm."""
    scene = SceneSpec.nano()
    fov = 2 * math.degrees(math.atan(SENSOR_MM / 2 / FOCAL_MM))
    return generate_clip(replace(scene, cameras=replace(scene.cameras, fov=(fov, fov))), 0, 1)


@pytest.fixture
def scene(tmp_path: Path, square_clip) -> Path:
    folder = tmp_path / "train/f24_aperture5/scene1"
    write_multicamvideo(folder, square_clip)
    return folder


def test_what_was_written_is_read(scene: Path, square_clip) -> None:
    found = read(scene)
    assert projection_px(found, square_clip) < 1e-3
    torch.testing.assert_close(found.cameras.cam_from_world, square_clip.cameras.cam_from_world, atol=1e-5, rtol=0)
    assert found.fps == 15
    assert found.video.shape == square_clip.video.shape
    assert float((found.video - square_clip.video).abs().mean()) < 0.03  # 4:2:0 keeps a quarter of the colours
    absent = ("tracks", "visible", "points_world", "point_instance", "point_valid", "depth", "instances", "dynamic")
    assert all(getattr(found, name) is None for name in absent)


def test_scenes_are_found_counted_and_read_in_part(scene: Path) -> None:
    assert is_there(scene.parents[2])
    assert list_clips(scene.parents[2]) == [scene]
    assert count(scene) == (3, 3)
    whole, part = read(scene), read(scene, Selection(views=[2, 0], frames=[1, 2]))
    assert torch.equal(part.video, whole.video[[2, 0], 1:])
    assert torch.equal(part.cameras.cam_from_world, whole.cameras.cam_from_world[[2, 0], 1:])
    assert read(scene, Selection(frames=[0, 2])).fps == 15, "the rate of all frames, which samples divide by their step"


def test_the_check_sees_centimetres_taken_for_metres(scene: Path, square_clip) -> None:
    for path in (scene / "cameras").iterdir():
        path.unlink()
    (scene / "cameras").rmdir()
    for path in (scene / "videos").iterdir():
        path.unlink()
    (scene / "videos").rmdir()
    write_multicamvideo(scene, square_clip, centimetres=1.0)
    assert projection_px(read(scene), square_clip) > 5


def test_a_focal_length_of_one_decimal_and_none(tmp_path: Path, square_clip) -> None:
    write_multicamvideo(tmp_path / "f50.5_aperture2.4/scene7", square_clip)
    k = read(tmp_path / "f50.5_aperture2.4/scene7").cameras.intrinsics[0, 0]
    assert float(k[0, 0]) == pytest.approx(50.5 / SENSOR_MM * 48)
    write_multicamvideo(tmp_path / "val/10basic_trajectories", square_clip)
    found = read(tmp_path / "val/10basic_trajectories")
    assert bool(found.cameras.intrinsics.isnan().all())
    torch.testing.assert_close(found.cameras.cam_from_world, square_clip.cameras.cam_from_world, atol=1e-5, rtol=0)


def _edit(change):
    def spoil(scene: Path) -> None:
        path = scene / "cameras/camera_extrinsics.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return spoil


FAULTS = {
    "a video is shorter": (
        lambda s: write_video(s / "videos/cam02.mp4", torch.zeros(2, 3, 48, 48), 15),
        "cam02.mp4: got 2 frames, want a camera with 3 frames of camera_extrinsics.json",
    ),
    "a video is of another size": (
        lambda s: write_video(s / "videos/cam02.mp4", torch.zeros(3, 3, 32, 32), 15),
        "scene1: videos: got views of shapes",
    ),
    "videos are wide": (
        lambda s: [write_video(s / f"videos/cam0{i}.mp4", torch.zeros(3, 3, 32, 48), 15) for i in (1, 2, 3)],
        "videos: got videos of 48x32, want square ones",
    ),
    "a video is text": (lambda s: (s / "videos/cam01.mp4").write_text("text"), "cam01.mp4: cannot be read as a video"),
    "no videos": (lambda s: [p.unlink() for p in (s / "videos").iterdir()], "videos: got no .mp4"),
    "a video without a camera": (
        lambda s: (s / "videos/cam03.mp4").rename(s / "videos/cam09.mp4"),
        "cam09.mp4: got no camera cam09",
    ),
    "a frame is missing": (_edit(lambda c: c.pop("frame1")), "camera_extrinsics.json: frame1: missing"),
    "a camera is NaN": (_edit(lambda c: c["frame1"].update(cam02="[nan] " * 16)), "cam02 frame .*got NaN or infinity"),
    "a matrix of 15": (_edit(lambda c: c["frame1"].update(cam02="[1] " * 15)), "frame1 cam02: got no 4x4 matrix"),
    "no frames": (lambda s: (s / "cameras/camera_extrinsics.json").write_text("{}"), "frame0: got NoneType"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_scenes_are_refused_by_file_and_field(scene: Path, fault: str) -> None:
    spoil, message = FAULTS[fault]
    spoil(scene)
    with pytest.raises(InputError, match=message):
        read(scene)


@pytest.mark.skipif(not DATA.is_file(), reason=f"no real data at {DATA}")
def test_real_cameras_share_one_world() -> None:
    """All ten start at one place; each path is the one that is read alone."""
    cameras = read_recammaster_world(DATA)
    assert sorted(cameras) == [f"cam{number:02d}" for number in range(1, 11)]
    starts = torch.stack([path[0] for path in cameras.values()])
    torch.testing.assert_close(starts, starts[:1].expand_as(starts))
    for name, path in cameras.items():
        assert np.linalg.det(path[:, :3, :3].numpy()) == pytest.approx(np.ones(81), abs=1e-4)
        alone = read_trajectory(DATA, camera=name).world_from_cam
        torch.testing.assert_close(relative_to(path, path[0]), alone, atol=1e-4, rtol=0)
