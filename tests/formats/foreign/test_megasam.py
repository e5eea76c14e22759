"""MegaSaM's arrays read back; bad ones named; and every layout by its name."""

import numpy as np
import pytest
import torch

from mvt4g.formats.foreign.layouts import LAYOUTS, read_reconstruction
from mvt4g.formats.foreign.megasam import read_megasam
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import Cameras, InputError
from tests.formats.foreign.test_colmap import _text as write_colmap
from tests.formats.layouts.reconstructions import (
    COUNT,
    DEPTH,
    HEIGHT,
    PATH,
    WIDTH,
    K,
    write_cognvs,
    write_depth_anything,
    write_megasam,
    write_streaming,
    write_vipe,
    write_vista4d,
)


@pytest.mark.parametrize("lenses", [K, K[None].repeat(COUNT, 0)])
def test_cameras_and_depth(tmp_path, lenses):
    found = read_megasam(write_megasam(tmp_path, intrinsic=lenses), COUNT, maps=True)
    torch.testing.assert_close(found.world_from_cam, PATH.float())
    torch.testing.assert_close(found.intrinsics, torch.tensor(K).float().expand(COUNT, 3, 3))
    np.testing.assert_array_equal(found.depth, DEPTH)
    assert found.image_size == (HEIGHT, WIDTH)
    assert found.scale == "unknown"


def test_poses_alone(tmp_path):
    found = read_megasam(write_megasam(tmp_path, images=None, depths=None, intrinsic=None), maps=True)
    assert (found.depth, found.intrinsics, found.image_size) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"cam_c2w": None}, "cam_c2w: missing, got arrays"),
        ({"cam_c2w": np.zeros((5, 4))}, r"cam_c2w: got shape \(5, 4\)"),
        ({"cam_c2w": np.zeros((5, 4, 4))}, r"cam_c2w frame \[0\]: got another last row"),
        ({"intrinsic": np.zeros((4, 3, 3))}, r"intrinsic: got shape \(4, 3, 3\), want \(3, 3\) or \(5, 3, 3\)"),
        ({"intrinsic": -K}, "intrinsic: got focal lengths down to -11"),
        ({"depths": DEPTH[:4]}, r"depths: got shape \(4, 6, 8\), want \(5, h, w\)"),
        ({"depths": DEPTH.astype(complex)}, "depths: got complex128"),
    ],
)
def test_a_bad_file_is_refused_by_file_and_array(tmp_path, changes, fault):
    with pytest.raises(InputError, match=rf"clip_sgd_cvd_hr.npz: {fault}"):
        read_megasam(write_megasam(tmp_path, **changes), COUNT, maps=True)


def test_another_number_of_frames_is_refused(tmp_path):
    with pytest.raises(InputError, match="cam_c2w: got 5 poses, want 6, one per frame"):
        read_megasam(write_megasam(tmp_path), 6)


def _write_json(folder):
    lenses = torch.tensor(K).float().expand(COUNT, 3, 3)
    write_trajectory(folder / "a.json", Cameras(invert_pose(PATH.float()), lenses), (HEIGHT, WIDTH))
    return folder / "a.json"


WRITERS = {
    "json": _write_json,
    "vipe": write_vipe,
    "depth_anything_3": write_depth_anything,
    "megasam": write_megasam,
    "vista4d": write_vista4d,
    "cognvs": write_cognvs,
}


def test_every_layout_has_a_writer_here():
    assert {*WRITERS, "colmap"} == set(LAYOUTS)


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_gives_one_path(tmp_path, layout):
    found = read_reconstruction(layout, WRITERS[layout](tmp_path), COUNT, maps=True)
    torch.testing.assert_close(found.world_from_cam, PATH.float(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.intrinsics[:, :2], torch.tensor(K[:2]).float().expand(COUNT, 2, 3))
    assert found.image_size == (HEIGHT, WIDTH)
    assert (found.depth is None) == (layout == "json")


def test_streaming_and_colmap_go_by_name_too(tmp_path):
    streamed = read_reconstruction("depth_anything_3", write_streaming(tmp_path / "stream"))
    torch.testing.assert_close(streamed.world_from_cam, PATH.float(), atol=1e-6, rtol=0)
    (tmp_path / "colmap").mkdir()
    assert len(read_reconstruction("colmap", write_colmap(tmp_path / "colmap"), 3)) == 3


def test_a_layout_that_is_not_known_is_named(tmp_path):
    with pytest.raises(InputError, match="layout: got 'dust3r', want one of json, vipe"):
        read_reconstruction("dust3r", tmp_path)
