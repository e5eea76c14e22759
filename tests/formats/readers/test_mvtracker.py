"""MVTracker's scenes: written by hand and by our export, read back; wrong conventions and broken files are refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mvt4g.formats.exports.mvtracker import write_mvtracker_scene
from mvt4g.formats.readers.mvtracker import count, is_there, list_clips, read
from mvt4g.formats.readers.selection import Selection
from mvt4g.types import InputError
from tests.formats.layouts.agreement import assert_agrees, depth_error, disagreement, projection_px
from tests.formats.layouts.blender import SENSOR_WIDTH, spoil_json
from tests.formats.layouts.mvtracker import write_mvtracker


@pytest.fixture(scope="module")
def scene(tmp_path_factory, clip):
    folder = tmp_path_factory.mktemp("kubric-multiview") / "train" / "12"
    write_mvtracker(folder, clip)
    return folder


@pytest.fixture
def spoilt(tmp_path: Path, scene: Path) -> Path:
    return Path(shutil.copytree(scene, tmp_path / "12"))


def test_what_was_written_is_read(scene: Path, clip) -> None:
    found = read(scene)
    assert_agrees(found, clip)
    torch.testing.assert_close(found.points_world, clip.points_world)
    assert found.fps == clip.fps
    assert found.name == "12"
    assert bool(found.point_valid.all())
    # Views number instances anew, by what they see most of; read, one instance has one id.
    assert torch.equal(found.instances, clip.instances)
    assert torch.equal(found.point_instance, clip.point_instance)
    seen = found.dynamic & (clip.instances > 0)
    assert torch.equal(seen, clip.dynamic)
    assert 0 < float(seen.double().mean()) < 1


def test_scenes_are_found_by_their_layout(scene: Path, clip) -> None:
    assert list_clips(scene.parents[1]) == [scene]
    assert is_there(scene)
    assert is_there(scene.parents[1])
    assert not is_there(scene / "view_0")
    assert count(scene) == tuple(clip.video.shape[:2])


def test_version_2_says_its_views_elsewhere(tmp_path: Path, clip) -> None:
    write_mvtracker(tmp_path / "0", clip, version=2)
    assert_agrees(read(tmp_path / "0"), clip)


def test_views_and_frames_are_chosen(scene: Path, clip) -> None:
    whole, part = read(scene), read(scene, Selection(views=(2, 0), frames=(0, 2)))
    assert torch.equal(part.video, whole.video[[2, 0]][:, [0, 2]])
    assert torch.equal(part.visible, whole.visible[[2, 0]][:, [0, 2]])
    assert torch.equal(part.cameras.cam_from_world, whole.cameras.cam_from_world[[2, 0]][:, [0, 2]])
    assert torch.equal(part.points_world, whole.points_world[[0, 2]])
    for bad in (Selection(views=(3,)), Selection(frames=(2, 0)), Selection(frames=())):
        with pytest.raises(InputError, match=r"12: (views|frames): got"):
            read(scene, bad)


def test_our_export_is_read(tmp_path: Path, clip) -> None:
    write_mvtracker_scene(tmp_path / "0", clip)
    found = read(tmp_path / "0")
    assert_agrees(found, clip)
    assert torch.equal(found.instances, clip.instances)
    assert torch.equal(found.point_instance, clip.point_instance)


def test_the_check_sees_depth_that_is_no_distance(tmp_path: Path, clip) -> None:
    write_mvtracker(tmp_path / "0", clip, depth_as="z")
    clip_z = read(tmp_path / "0")
    assert depth_error(clip_z, clip) > 0.05  # a corner's ray is 1.1 times longer than its z


def test_the_check_sees_visibility_that_is_not_inverted(tmp_path: Path, clip) -> None:
    write_mvtracker(tmp_path / "0", clip, hidden="visible")
    found = disagreement(read(tmp_path / "0"), clip)["visible"]
    assert found > 0.9  # all of it, but points outside the picture, which stay unseen


@pytest.mark.parametrize(("option", "value"), [("order", "xyzw"), ("shift", 0.5)])
def test_cameras_and_tracks_that_do_not_fit_are_refused(tmp_path: Path, clip, option: str, value) -> None:
    write_mvtracker(tmp_path / "0", clip, **{option: value})
    with pytest.raises(InputError, match=r"view_0/tracks_2d.npz: tracks_2d: got point 0 of frame 0 .* px from where"):
        read(tmp_path / "0")


def test_millimetres_are_not_pixels(tmp_path: Path, clip) -> None:
    write_mvtracker(tmp_path / "0", clip)
    found = read(tmp_path / "0")
    found.cameras.intrinsics[..., [0, 1], [0, 1]] *= SENSOR_WIDTH / 48  # what the file says: mm of a sensor, not pixels
    assert projection_px(found, clip) > 1


def test_without_names_there_are_no_ids(spoilt: Path) -> None:
    (spoilt / "tracked_objects.json").unlink()
    found = read(spoilt)
    assert found.instances is None
    assert found.point_instance is None
    assert found.dynamic is not None


def test_a_name_of_two_assets_tells_of_neither(spoilt: Path, clip) -> None:
    path = spoilt / "tracked_objects.json"
    names = json.loads(path.read_text())["names"]
    first, *others = [name for name in names if name != "dome"]
    spoil_json(path, "names", value=[first if name == others[0] else name for name in names])
    found = read(spoilt)
    assert found.instances is None
    assert torch.equal(found.point_instance, clip.point_instance)  # numbers, not names, say what points lie on


def test_without_segmentation_or_boxes_they_are_none(spoilt: Path, clip) -> None:
    spoil_json(spoilt / "view_1/metadata.json", "instances", value=[{} for _ in range(9)])
    assert read(spoilt).dynamic is None
    for path in spoilt.glob("view_*/segmentation_*"):
        path.unlink()
    found = read(spoilt)
    assert found.instances is None
    assert_agrees(found, clip)


def test_without_depth_it_is_none(spoilt: Path, clip) -> None:
    for path in spoilt.glob("view_*/depth_*"):
        path.unlink()
    assert_agrees(read(spoilt), clip, depth=False)


def _save_depth(change):
    def spoil(scene: Path) -> None:
        path = scene / "view_1/depth_00001.tiff"
        values = np.array(Image.open(path))
        Image.fromarray(change(values)).save(path)

    return spoil


def _save_array(name: str, field: str, change):
    def spoil(scene: Path) -> None:
        arrays = dict(np.load(scene / name))
        arrays[field] = change(arrays[field])
        np.savez(scene / name, **arrays)

    return spoil


def _negative(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[3, 3] = -1
    return values


def _nan(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    values.flat[7] = np.nan
    return values


def _cut(name: str):
    def spoil(scene: Path) -> None:
        path = scene / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return spoil


def _swap(one: str, other: str):
    def spoil(scene: Path) -> None:
        kept = (scene / one).read_bytes()
        (scene / one).write_bytes((scene / other).read_bytes())
        (scene / other).write_bytes(kept)

    return spoil


def _json(name: str, *keys, value):
    return lambda scene: spoil_json(scene / name, *keys, value=value)


META = "view_1/metadata.json"
FAULTS = {
    "a view is missing": (lambda s: shutil.rmtree(s / "view_1"), r"12: got views \[0, 2\], want view_0 to view_2"),
    "the last view is missing": (lambda s: shutil.rmtree(s / "view_2"), r"got views \[0, 1\], want view_0 to view_2"),
    "a picture is missing": (lambda s: (s / "view_1/rgba_00001.png").unlink(), r"rgba_00002.png: got this file after"),
    "the last picture is missing": (lambda s: (s / "view_1/rgba_00002.png").unlink(), r"rgba_\*: got 2 files, want 3"),
    "a depth is missing": (lambda s: (s / "view_1/depth_00002.tiff").unlink(), r"depth_\*: got 2 files, want 3"),
    "a picture is cut short": (_cut("view_1/rgba_00001.png"), "rgba_00001.png: cannot be read as an image"),
    "a depth is cut short": (_cut("view_1/depth_00001.tiff"), "depth_00001.tiff: cannot be read as an image"),
    "tracks are cut short": (_cut("tracks_3d.npz"), "tracks_3d.npz: cannot be read"),
    "metadata are cut short": (_cut(META), "metadata.json: cannot be read as JSON"),
    "pictures and depth are swapped": (
        _swap("view_1/rgba_00001.png", "view_1/depth_00001.tiff"),
        "rgba_00001.png: got pixels of mode F",
    ),
    "depth is a picture": (
        lambda s: shutil.copy(s / "view_1/rgba_00001.png", s / "view_1/depth_00001.tiff"),
        "depth_00001.tiff: got an image of mode RGBA",
    ),
    "tracks of two views are swapped": (
        _swap("view_0/tracks_2d.npz", "view_1/tracks_2d.npz"),
        r"view_0/tracks_2d.npz: tracks_2d: got point \d+ of frame \d+ .* px from where the camera sees it",
    ),
    "metadata of two views are swapped": (_swap("view_0/metadata.json", META), "view_0/tracks_2d.npz: tracks_2d: got"),
    "depth is negative": (_save_depth(_negative), "depth_00001.tiff: got distance -1, want distances from 0"),
    "depth has another size": (_save_depth(lambda v: v[:-1].copy()), r"depth_00001.tiff: .* want one float32 .* 48x36"),
    "points are NaN": (_save_array("tracks_3d.npz", "tracks_3d", _nan), r"tracks_3d.npz: tracks_3d: got nan at \[0, 2"),
    "points lack an axis": (_save_array("tracks_3d.npz", "tracks_3d", lambda a: a[..., 0]), r"want \(t n 3\)"),
    "tracks are fewer": (
        _save_array("view_1/tracks_2d.npz", "tracks_2d", lambda a: a[:, 1:]),
        r"view_1/tracks_2d.npz: tracks_2d: got shape \(3, 127, 2\), want \(t n 2\) with t=3, n=128",
    ),
    "occlusion is no bool": (
        _save_array("view_1/tracks_2d.npz", "occlusion", lambda a: a.astype(float)),
        "occlusion: got entries of type float64, want bool",
    ),
    "occlusion is missing": (
        lambda s: np.savez(s / "view_1/tracks_2d.npz", tracks_2d=np.load(s / "view_1/tracks_2d.npz")["tracks_2d"]),
        "view_1/tracks_2d.npz: occlusion: missing",
    ),
    "a camera is NaN": (_json(META, "camera", "positions", value=[[0, 0, float("nan")]] * 3), "positions: got nan at"),
    "a quaternion is no rotation": (_json(META, "camera", "quaternions", value=[[1, 1, 0, 0]] * 3), "want 1"),
    "poses are fewer": (_json(META, "camera", "positions", value=[[0, 0, 1]]), r"camera.positions: got shape \(1, 3\)"),
    "no camera": (_json(META, "camera", value=...), "metadata.json: camera: missing"),
    "the camera is a word": (_json(META, "camera", value="pinhole"), "camera: got a str, want named fields"),
    "K is in OpenCV's form": (
        _json(META, "camera", "K", value=[[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]),
        r"camera.K: got",
    ),
    "another resolution": (_json(META, "metadata", "resolution", value=[36, 48]), r"resolution: got \[36, 48\], but"),
    "the general part is null": (_json(META, "metadata", value=None), "metadata.json: metadata: got a NoneType, want"),
    "the general part is a word": (
        _json(META, "metadata", value="resolution"),
        "json: metadata: got a str, want named",
    ),
    "metadata are a list": (lambda s: (s / META).write_text("[]"), "metadata.json: got a JSON list, want an object"),
    "ids without an asset": (
        _save_array("tracks_segmentation_ids.npz", "tracks_segmentation_ids", lambda a: a + 50),
        "tracks_segmentation_ids: got .* want ids of tracked_objects.json",
    ),
    "a segmentation beyond the instances": (_json(META, "instances", value=[]), r"instances: got 0 entries, but id"),
    "a frame rate of 0": (_json(META, "metadata", "frame_rate", value=0), r"frame_rate: got 0.0, want a rate over 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_scenes_are_refused_by_file_and_field(spoilt: Path, fault: str) -> None:
    spoil, message = FAULTS[fault]
    spoil(spoilt)
    with pytest.raises(InputError, match=message) as caught:
        read(spoilt)
    assert str(spoilt) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got no clip there, want MVTracker scenes"):
        list_clips(tmp_path)


def test_a_point_without_a_position_is_padding(spoilt: Path, clip) -> None:
    path = spoilt / "view_1/tracks_2d.npz"
    arrays = dict(np.load(path))
    hidden = int(np.argmin(clip.visible[1, 0].numpy()))
    arrays["tracks_2d"][0, hidden] = np.nan
    np.savez(path, **arrays)
    found = read(spoilt)
    assert found.point_valid.tolist() == [point != hidden for point in range(128)]
    assert bool(found.tracks.isfinite().all())
    assert not bool(found.visible[:, :, hidden].any())
    arrays["tracks_2d"][0, int(np.argmax(clip.visible[1, 0].numpy()))] = np.nan
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"got no finite position for point .* in view 1, frame 0, where seen"):
        read(spoilt)
