"""Depth Anything 3's files, laid out as the program does it, read back; and each kind of bad file named."""

import numpy as np
import pytest
import torch

from mvt4g.formats.foreign.depth_anything_3 import read_depth_anything
from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pose import invert_pose, relative_to
from mvt4g.types import InputError
from tests.formats.layouts.reconstructions import (
    COUNT,
    DEPTH,
    HEIGHT,
    PATH,
    WIDTH,
    K,
    write_depth_anything,
    write_streaming,
)


def check_cameras(found):
    torch.testing.assert_close(found.world_from_cam, PATH.float(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.intrinsics, torch.tensor(K).float().expand(COUNT, 3, 3))
    assert found.registered.all()
    assert found.image_size == (HEIGHT, WIDTH)
    assert found.scale == "unknown"


@pytest.mark.parametrize("kind", ["npz", "mini_npz"])
@pytest.mark.parametrize("rows", [3, 4])
def test_both_kinds_of_results(tmp_path, kind, rows):
    path = write_depth_anything(tmp_path, kind, rows)
    found = read_depth_anything(path, COUNT, maps=True)
    check_cameras(found)
    np.testing.assert_allclose(found.depth, DEPTH, atol=1e-6)
    assert found.confidence.eq(1).all()
    poses_alone = read_depth_anything(path)
    check_cameras(poses_alone)
    assert (poses_alone.depth, poses_alone.confidence) == (None, None)


def test_the_streaming_folder(tmp_path):
    """Its poses are world_from_cam, those of the main program cam_from_world: both give one path."""
    found = read_depth_anything(write_streaming(tmp_path), COUNT, maps=True)
    check_cameras(found)
    np.testing.assert_allclose(found.depth, DEPTH)
    some = read_depth_anything(write_streaming(tmp_path / "some", frames=(1, 4)), maps=True)
    assert (some.depth > 0).flatten(1).any(dim=1).tolist() == [False, True, False, False, True]
    bare = read_depth_anything(write_streaming(tmp_path / "bare", frames=()), maps=True)
    assert bare.depth is None
    assert bare.image_size is None
    (tmp_path / "bare" / "intrinsic.txt").write_text("10 11 4 3\n")
    torch.testing.assert_close(read_depth_anything(tmp_path / "bare").intrinsics, found.intrinsics)
    (tmp_path / "bare" / "intrinsic.txt").unlink()
    assert read_depth_anything(tmp_path / "bare").intrinsics is None


def test_frame_0_becomes_the_world_on_demand(tmp_path):
    elsewhere = torch.eye(4, dtype=torch.float64)
    elsewhere[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    moved = invert_pose(elsewhere @ PATH).numpy()[:, :3]
    found = read_depth_anything(write_depth_anything(tmp_path, extrinsics=moved))
    assert not torch.allclose(found.world_from_cam[0], torch.eye(4))
    want = relative_to(PATH, PATH[0]).float()
    torch.testing.assert_close(found.from_first_camera().world_from_cam, want, atol=1e-6, rtol=0)


def test_back_to_the_size_of_the_video(tmp_path):
    """The same pixel of the scene is lifted to the same point at either size."""
    found = read_depth_anything(write_depth_anything(tmp_path), maps=True)
    large = found.at_size((3 * HEIGHT, 2 * WIDTH))
    assert large.intrinsics[0].tolist() == [[20, 0, 8], [0, 33, 9], [0, 0, 1]]
    assert large.depth.shape == (COUNT, 3 * HEIGHT, 2 * WIDTH)
    assert large.depth[0, 3 * 2 + 1, 2 * 5] == large.depth[0, 3 * 2, 2 * 5 + 1] == found.depth[0, 2, 5]
    small_px, large_px = torch.tensor([5.5, 2.5]), torch.tensor([11.0, 7.5])
    pose, depth = invert_pose(found.world_from_cam[0]), found.depth[0, 2, 5]
    torch.testing.assert_close(
        unproject_pixels(large_px, depth, pose, large.intrinsics[0]),
        unproject_pixels(small_px, depth, pose, found.intrinsics[0]),
    )
    assert found.at_size((HEIGHT, WIDTH)) is found


@pytest.mark.parametrize(
    ("focal", "warned"),
    [(4.0, False), (2.4, False), (2.2, True), (22.0, False), (23.0, True)],
)
def test_fields_of_view_beyond_20_to_120_degrees_are_told_of(tmp_path, focal, warned):
    """8 pixels wide: 120 degrees at 2.309 px, 20 degrees at 22.69 px."""
    lens = K.copy()
    lens[0, 0] = focal
    found = read_depth_anything(write_depth_anything(tmp_path, intrinsics=lens[None].repeat(COUNT, 0)))
    assert any("the field of view is" in note and "usual are 20 to 120" in note for note in found.notes) == warned


def test_depth_that_is_none(tmp_path):
    depth = DEPTH.copy()
    depth[0, 0, :4] = [np.nan, np.inf, -1, 0]
    found = read_depth_anything(write_depth_anything(tmp_path, depth=depth), maps=True)
    assert found.depth[0, 0, :5].tolist() == [0, 0, 0, 0, depth[0, 0, 4]]


@pytest.mark.parametrize(
    ("changes", "field", "want"),
    [
        ({"extrinsics": None}, "extrinsics", "missing"),
        ({"extrinsics": np.zeros((5, 2, 4))}, "extrinsics", r"want \(t, 3, 4\)"),
        ({"extrinsics": np.zeros((0, 3, 4))}, "extrinsics", r"want \(t, 3, 4\)"),
        ({"extrinsics": np.zeros((4, 3, 4))}, "extrinsics", "got 4 poses, want 5"),
        ({"extrinsics": np.zeros((5, 3, 4))}, r"extrinsics frame \[0\]", "orthonormal"),
        ({"intrinsics": np.zeros((5, 4))}, "intrinsics", r"want \(5, 3, 3\)"),
        ({"intrinsics": np.zeros((5, 3, 3))}, "intrinsics", "focal lengths down to 0"),
        ({"depth": np.zeros((4, 6, 8))}, "depth", r"want \(5, h, w\)"),
        ({"depth": np.zeros((5, 0, 8))}, "depth", r"want \(5, h, w\)"),
        ({"depth": np.zeros((5, 6, 8), int)}, "depth", "want floating-point numbers"),
    ],
)
def test_a_bad_file_is_refused_by_file_and_array(tmp_path, changes, field, want):
    with pytest.raises(InputError, match=rf"npz/results.npz: {field}: .*{want}"):
        read_depth_anything(write_depth_anything(tmp_path, **changes), COUNT, maps=True)


def test_a_missing_file_and_one_cut_short_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing.npz: no such file"):
        read_depth_anything(tmp_path / "nothing.npz")
    path = write_depth_anything(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"results.npz: cannot be read"):
        read_depth_anything(path)


def lines_of(path, change):
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


@pytest.mark.parametrize(
    ("file", "change", "fault"),
    [
        ("camera_poses.txt", lambda lines: [], "camera_poses.txt: got an empty file"),
        ("camera_poses.txt", lambda lines: lines[:4], "camera_poses.txt: got 4 poses, want 5"),
        ("camera_poses.txt", lambda lines: [lines[0] + " 1", *lines[1:]], "line 1: got 17 numbers, want 16"),
        ("camera_poses.txt", lambda lines: ["nan " * 16, *lines[1:]], "line 1: got 'nan', want a finite number"),
        ("camera_poses.txt", lambda lines: ["0 " * 16, *lines[1:]], r"camera_poses.txt frame \[0\]: got another last"),
        ("intrinsic.txt", lambda lines: lines[:3], "intrinsic.txt: got 3 lines, want 1 or 5"),
        ("intrinsic.txt", lambda lines: ["0 1 2 3"] * 5, "intrinsic.txt: got focal lengths down to 0"),
    ],
)
def test_bad_lines_of_streaming_are_named(tmp_path, file, change, fault):
    lines_of(write_streaming(tmp_path) / file, change)
    with pytest.raises(InputError, match=fault):
        read_depth_anything(tmp_path, COUNT, maps=True)


@pytest.mark.parametrize(
    ("name", "arrays", "fault"),
    [
        ("frame_9", {"depth": DEPTH[0]}, r"frame_9.npz: got frame 'frame_9', want frame_0 to frame_4"),
        ("frame_x", {"depth": DEPTH[0]}, r"frame_x.npz: got frame 'frame_x'"),
        ("frame_01", {"depth": DEPTH[0]}, r"frame_1.npz: got frame 'frame_1'"),
        ("frame_3", {"depth": DEPTH[0, :2]}, r"frame_3.npz: depth: got \[2, 8\], want \[6, 8\]"),
        ("frame_3", {"conf": DEPTH[0]}, r"frame_3.npz: depth: got arrays \['conf'\]"),
        ("frame_3", {"depth": DEPTH[:2]}, r"frame_3.npz: depth: got float32 of shape \(2, 6, 8\), want .*\(1, h, w\)"),
    ],
)
def test_bad_maps_of_streaming_are_named(tmp_path, name, arrays, fault):
    np.savez(write_streaming(tmp_path) / "results_output" / f"{name}.npz", **arrays)
    with pytest.raises(InputError, match=fault):
        read_depth_anything(tmp_path, COUNT, maps=True)
