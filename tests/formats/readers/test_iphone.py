"""DyCheck's iPhone scenes: real cameras, frames that all of them have, depth of one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.readers.iphone import count, is_there, list_clips, read, read_camera
from mvt4g.formats.readers.selection import Selection
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import InputError
from tests.formats.layouts.agreement import assert_agrees, depth_error, projection_px
from tests.formats.layouts.blender import spoil_json
from tests.formats.layouts.iphone import write_iphone
from tests.formats.layouts.spoiling import cut

CAMERAS = Path(__file__).parents[4] / "shared/data/iphone/paper-windmill/camera"


@pytest.mark.parametrize("size", ["1x", "2x"])
def test_what_was_written_is_read(tmp_path: Path, clip, size: str) -> None:
    write_iphone(tmp_path / "apple", clip, size)
    found = read(tmp_path / "apple")
    assert_agrees(read(tmp_path / "apple", Selection(views=[0])), clip.select_views([0]), tracks=False)
    assert projection_px(found, clip) < 1e-3
    assert float(found.depth[1:].abs().max()) == 0  # only the first camera measures it
    assert (found.tracks, found.points_world, found.instances, found.dynamic) == (None,) * 4
    assert found.fps == clip.fps
    assert read(tmp_path / "apple", Selection(views=[1, 2])).depth is None


def test_frames_are_those_that_all_cameras_have(tmp_path: Path, clip) -> None:
    write_iphone(tmp_path / "apple", clip, drop=("1_00001",))
    assert is_there(tmp_path)
    assert list_clips(tmp_path) == [tmp_path / "apple"]
    assert count(tmp_path / "apple") == (3, 2)
    found = read(tmp_path / "apple")
    assert torch.equal(found.video, clip.video[:, [0, 2]])
    torch.testing.assert_close(found.cameras.intrinsics, clip.cameras.intrinsics[:, [0, 2]])


def test_the_checks_see_other_conventions(tmp_path: Path, clip) -> None:
    write_iphone(tmp_path / "apple", clip, world_from_cam=True)
    assert projection_px(read(tmp_path / "apple"), clip) > 10
    write_iphone(tmp_path / "spin", clip)
    path = tmp_path / "spin/depth/2x/0_00001.npy"
    np.save(path, np.load(path) / 1000)  # millimetres
    assert depth_error(read(tmp_path / "spin", Selection(views=[0])), clip.select_views([0])) > 0.9


CAMERA = "camera/1_00001.json"
FAULTS = {
    "a camera is missing": (lambda s: (s / CAMERA).unlink(), "1_00001.json: no such file"),
    "a camera is cut short": (cut(CAMERA), "1_00001.json: cannot be read as JSON"),
    "a picture is cut short": (cut("rgb/2x/1_00001.png"), "1_00001.png: cannot be read as an image"),
    "depth is cut short": (cut("depth/2x/0_00001.npy"), "0_00001.npy: cannot be read"),
    "depth is negative": (
        lambda s: np.save(s / "depth/2x/0_00001.npy", np.full((36, 48, 1), -1.0)),
        "0_00001.npy: depth: got -1",
    ),
    "a NaN position": (
        lambda s: spoil_json(s / CAMERA, "position", value=[float("nan")] * 3),
        "1_00001.json: position: got nan",
    ),
    "no rotation": (
        lambda s: spoil_json(s / CAMERA, "orientation", value=[[1.0] * 3] * 3),
        "orientation: got a 3x3 part",
    ),
    "no focal length": (lambda s: spoil_json(s / CAMERA, "focal_length", value=...), "focal_length: missing"),
    "a focal length of 0": (lambda s: spoil_json(s / CAMERA, "focal_length", value=0), "focal_length, .*: got 0.0"),
    "no image size": (lambda s: spoil_json(s / CAMERA, "image_size", value=...), "1_00001.json: image_size: got"),
    "a fisheye": (
        lambda s: spoil_json(s / CAMERA, "radial_distortion", value=[0.1, 0, 0]),
        "1_00001.json: radial_distortion: got .* want none: a pinhole camera",
    ),
    "no common time": (
        lambda s: (
            [path.unlink() for path in s.glob("rgb/2x/1_*.png") if path.stem != "1_00001"]
            + [path.unlink() for path in s.glob("rgb/2x/2_00001.png")]
        ),
        r"rgb: got pictures of cameras \['0', '1', '2'\], want a time that all have",
    ),
    "no rate": (lambda s: spoil_json(s / "extra.json", "fps", value=0), "extra.json: fps: got 0.0, want a rate over 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_scenes_are_refused_by_file_and_field(tmp_path: Path, clip, fault: str) -> None:
    spoil, message = FAULTS[fault]
    write_iphone(tmp_path / "apple", clip)
    spoil(tmp_path / "apple")
    with pytest.raises(InputError, match=message):
        read(tmp_path / "apple")


@pytest.mark.skipif(not CAMERAS.is_dir(), reason=f"no real data at {CAMERAS}")
def test_real_cameras() -> None:
    """The path of paper-windmill's phone is 1.09 m long, its standing phones stand, K is that of the 1x pictures."""
    paths = sorted(CAMERAS.glob("0_*.json"))
    assert len(paths) == 277
    moving = torch.stack([invert_pose(read_camera(path, (960, 720)).cam_from_world) for path in paths])
    steps = torch.linalg.vector_norm(moving[1:, :3, 3] - moving[:-1, :3, 3], dim=-1)
    assert float(steps.sum()) == pytest.approx(1.09, abs=0.01)
    for camera in (1, 2):
        standing = [read_camera(path, (960, 720)).cam_from_world for path in sorted(CAMERAS.glob(f"{camera}_*.json"))]
        torch.testing.assert_close(standing[-1], standing[0])
    whole, half = (read_camera(paths[0], size).intrinsics for size in ((960, 720), (480, 360)))
    assert float(whole[0, 0]) == pytest.approx(719.947, abs=1e-3)
    torch.testing.assert_close(half, whole * torch.tensor([[0.5], [0.5], [1.0]]))
