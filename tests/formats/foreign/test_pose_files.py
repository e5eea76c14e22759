"""Poses of outside programs: each layout written as the program writes it, each kind of bad file named."""

import numpy as np
import pytest
import torch

from mvt4g.formats.foreign.pose_files import read_depth_anything_poses, read_vipe_poses
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.types import InputError

PATH = preset_trajectory("arc_left", 5).double()
LENS = np.array([[300.0, 310.0, 160.0, 120.0]]).repeat(5, 0)
K = torch.tensor([[300.0, 0.0, 160.0], [0.0, 310.0, 120.0], [0.0, 0.0, 1.0]])


def _vipe(folder, frames=(0, 1, 2, 3, 4), **changes):
    poses, lens = folder / "pose" / "clip.npz", folder / "intrinsics" / "clip.npz"
    for path in (poses, lens):
        path.parent.mkdir(exist_ok=True)
    inds = np.array(frames)
    data = {"data": PATH.numpy()[inds].astype(np.float32), "inds": inds} | changes
    np.savez(poses, **{name: array for name, array in data.items() if array is not None})
    np.savez(lens, data=LENS[inds].astype(np.float32), inds=inds)
    return poses, lens


def _depth_anything(folder, **changes):
    path = folder / "exports" / "npz" / "results.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "image": np.zeros((5, 6, 8, 3), np.uint8),
        "depth": np.ones((5, 6, 8), np.float32),
        "conf": np.ones((5, 6, 8), np.float32),
        "extrinsics": invert_pose(PATH).numpy()[:, :3].astype(np.float32),
        "intrinsics": K.numpy()[None].repeat(5, 0),
    } | changes
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_vipe_poses_are_world_from_cam(tmp_path):
    found = read_vipe_poses(*_vipe(tmp_path))
    torch.testing.assert_close(found.world_from_cam, PATH.float())
    assert found.registered.all()
    torch.testing.assert_close(found.intrinsics, K.expand(5, 3, 3))


def test_vipe_frames_without_a_pose_are_not_registered(tmp_path):
    found = read_vipe_poses(*_vipe(tmp_path, frames=(1, 3)), num_frames=5)
    assert found.registered.tolist() == [False, True, False, True, False]
    torch.testing.assert_close(found.world_from_cam[3], PATH[3].float())
    assert found.world_from_cam[[0, 2, 4]].isnan().all()
    assert found.intrinsics[0].isnan().all()


def test_a_nan_pose_is_a_frame_not_registered(tmp_path):
    poses = PATH.numpy().copy()
    poses[2, 0, 3] = np.nan
    found = read_vipe_poses(_vipe(tmp_path, data=poses)[0])
    assert found.registered.tolist() == [True, True, False, True, True]
    assert found.world_from_cam[2].isnan().all()


@pytest.mark.parametrize(
    ("changes", "field", "want"),
    [
        ({"data": None}, "data", "missing"),
        ({"inds": None}, "inds", "missing"),
        ({"data": PATH.numpy()[:, :3]}, "data", r"want \(k, 4, 4\)"),
        ({"data": np.zeros((0, 4, 4)), "inds": np.zeros(0, int)}, "data", "k >= 1"),
        ({"inds": np.arange(4)}, "inds", "want 5 whole numbers"),
        ({"inds": np.arange(5) / 2}, "inds", "want 5 whole numbers"),
        ({"inds": np.array([0, 1, 2, 3, 9])}, "inds", "0 to 4"),
        ({"inds": np.array([0, 1, 2, 3, 3])}, "inds", "each once"),
        ({"data": PATH.numpy() * 2}, r"data frame \[0\]", "last row"),
        ({"data": PATH.numpy() * np.array([-1, 1, 1, 1])}, r"data frame \[0\]", "reflection"),
        ({"data": PATH.numpy().astype(int)}, "data", "floating-point"),
    ],
)
def test_a_bad_vipe_file_is_refused_by_file_and_array(tmp_path, changes, field, want):
    path, _ = _vipe(tmp_path, **changes)
    with pytest.raises(InputError, match=rf"pose/clip.npz: {field}: .*{want}"):
        read_vipe_poses(path, num_frames=5)


def test_vipe_intrinsics_of_a_fisheye_or_without_focal_length_are_refused(tmp_path):
    path, lens = _vipe(tmp_path)
    np.savez(lens, data=np.ones((5, 5)), inds=np.arange(5))
    with pytest.raises(InputError, match=r"intrinsics/clip.npz: data: .*want \(k, 4\)"):
        read_vipe_poses(path, lens)
    np.savez(lens, data=np.zeros((5, 4)), inds=np.arange(5))
    with pytest.raises(InputError, match=r"intrinsics/clip.npz: data: got focal lengths"):
        read_vipe_poses(path, lens)


@pytest.mark.parametrize("rows", [3, 4])
def test_depth_anything_poses_are_turned_round(tmp_path, rows):
    path = _depth_anything(tmp_path, extrinsics=invert_pose(PATH).numpy()[:, :rows])
    found = read_depth_anything_poses(path, num_frames=5)
    torch.testing.assert_close(found.world_from_cam, PATH.float())
    torch.testing.assert_close(found.intrinsics, K.expand(5, 3, 3))
    assert found.image_size == (6, 8)


@pytest.mark.parametrize(
    ("changes", "field", "want"),
    [
        ({"extrinsics": None}, "extrinsics", "missing"),
        ({"extrinsics": np.zeros((5, 2, 4))}, "extrinsics", r"want \(t, 3, 4\)"),
        ({"extrinsics": np.zeros((4, 3, 4))}, "extrinsics", "got 4 poses, want 5"),
        ({"extrinsics": np.zeros((5, 3, 4))}, r"extrinsics frame \[0\]", "orthonormal"),
        ({"intrinsics": np.zeros((5, 4))}, "intrinsics", r"want \(5, 3, 3\)"),
    ],
)
def test_a_bad_depth_anything_file_is_refused_by_file_and_array(tmp_path, changes, field, want):
    with pytest.raises(InputError, match=rf"npz/results.npz: {field}: .*{want}"):
        read_depth_anything_poses(_depth_anything(tmp_path, **changes), num_frames=5)


def test_a_missing_file_and_one_cut_short_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing.npz: no such file"):
        read_vipe_poses(tmp_path / "nothing.npz")
    path = _depth_anything(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"results.npz: cannot be read"):
        read_depth_anything_poses(path)
