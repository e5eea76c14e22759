"""Cameras and depth of Vista4D and CogNVS read back; bad files named."""

import numpy as np
import pytest
import torch

from mvt4g.formats.foreign.cognvs import read_cognvs
from mvt4g.formats.foreign.vista4d import read_vista4d
from mvt4g.types import InputError
from tests.formats.layouts.reconstructions import (
    COUNT,
    DEPTH,
    HEIGHT,
    IDS,
    LENS,
    PATH,
    WIDTH,
    K,
    write_cognvs,
    write_vista4d,
)


def test_vista4ds_reconstruction(tmp_path):
    found = read_vista4d(write_vista4d(tmp_path), COUNT, maps=True)
    torch.testing.assert_close(found.world_from_cam, PATH.float())
    torch.testing.assert_close(found.intrinsics, torch.tensor(K).float().expand(COUNT, 3, 3))
    np.testing.assert_array_equal(found.depth, DEPTH)
    np.testing.assert_array_equal(found.dynamic, IDS == 1)
    assert (found.image_size, found.scale) == ((HEIGHT, WIDTH), "unknown")


def test_a_target_of_vista4d_has_no_maps_and_the_size_of_its_principal_point(tmp_path):
    found = read_vista4d(write_vista4d(tmp_path, maps=False), maps=True)
    assert (found.depth, found.dynamic, found.image_size) == (None, None, (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"cam_c2w": None}, "cam_c2w: missing, got arrays"),
        ({"intrinsics": None}, "intrinsics: missing, got arrays"),
        ({"intrinsics": LENS[:3]}, r"intrinsics: got shape \(3, 4\), want \(5, 4\)"),
        ({"intrinsics": -LENS}, "intrinsics: got focal lengths down to -11"),
        ({"cam_c2w": PATH.numpy()[:2]}, "cam_c2w: got 2 poses, want 5"),
    ],
)
def test_bad_cameras_of_vista4d(tmp_path, changes, fault):
    with pytest.raises(InputError, match=f"cameras.npz: {fault}"):
        read_vista4d(write_vista4d(tmp_path, **changes), COUNT, maps=True)


def test_a_frame_of_vista4d_without_depth(tmp_path):
    path = write_vista4d(tmp_path)
    (path.parent / "depths" / "00003.exr").unlink()
    with pytest.raises(InputError, match=r"depths: got 4 files .exr, want 5, one a pose"):
        read_vista4d(path, maps=True)
    assert read_vista4d(path).depth is None


def test_cognvs(tmp_path):
    found = read_cognvs(write_cognvs(tmp_path), COUNT, maps=True)
    torch.testing.assert_close(found.world_from_cam, PATH.float())
    torch.testing.assert_close(found.intrinsics, torch.tensor(K).float().expand(COUNT, 3, 3))
    np.testing.assert_array_equal(found.depth, DEPTH)
    assert (found.image_size, found.scale) == ((HEIGHT, WIDTH), "unknown")


def test_cognvs_without_intrinsics_and_depth(tmp_path):
    found = read_cognvs(write_cognvs(tmp_path, megasam_intrinsics=None, megasam_depth=None), maps=True)
    assert (found.intrinsics, found.depth, found.image_size) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"megasam_c2ws": None}, "megasam_c2ws.npy: "),
        ({"megasam_c2ws": np.array({"a": 1})}, "megasam_c2ws.npy: got a pickled dict"),
        ({"megasam_intrinsics": K[None]}, r"megasam_intrinsics.npy: got shape \(1, 3, 3\)"),
        ({"megasam_depth": DEPTH[:4]}, "megasam_depth.npy: got float32 of shape"),
    ],
)
def test_bad_files_of_cognvs(tmp_path, changes, fault):
    with pytest.raises(InputError, match=fault):
        read_cognvs(write_cognvs(tmp_path, **changes), COUNT, maps=True)
