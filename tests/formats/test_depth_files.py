"""Depth files of every program, at the size of a video that is twice as large."""

import numpy as np
import pytest
import torch

from mvt4g.formats.foreign.depth_files import read_joint_depth, read_view_depth
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import InputError
from tests.formats.layouts.reconstructions import (
    COUNT,
    DEPTH,
    HEIGHT,
    PATH,
    WIDTH,
    write_depth_anything,
    write_megasam,
    write_streaming,
    write_vipe,
)

SIZE = (2 * HEIGHT, 2 * WIDTH)
WRITERS = {"npz": write_depth_anything, "streaming": write_streaming, "vipe": write_vipe, "megasam": write_megasam}


@pytest.mark.parametrize("program", WRITERS)
def test_every_program(tmp_path, program):
    found = read_view_depth(WRITERS[program](tmp_path), SIZE, COUNT)
    assert found.depth.shape == (COUNT, *SIZE)
    # The new centre (5.5, 2.5) is the old (2.75, 1.25), a quarter of a pixel from that of column 2, row 1.
    rows, columns = np.array([[0.25], [0.75]]), np.array([0.75, 0.25])
    want = 1 / (rows * columns / DEPTH[4, 0:2, 2:4]).sum()
    assert found.depth[4, 2, 5] == pytest.approx(want, rel=1e-5)
    torch.testing.assert_close(found.cameras.cam_from_world, invert_pose(PATH).float(), atol=1e-5, rtol=0)
    assert found.cameras.intrinsics[0].tolist() == [[20, 0, 8], [0, 22, 6], [0, 0, 1]]
    assert found.is_metric == (program == "vipe")
    assert (found.confidence is not None) == (program == "npz")


def test_frames_without_a_pose_have_the_nearest_ones_and_no_depth(tmp_path):
    found = read_view_depth(write_vipe(tmp_path, frames=(0, 1, 3)), SIZE, COUNT)
    assert (found.depth > 0).flatten(1).any(dim=1).tolist() == [True, True, False, True, False]
    poses = invert_pose(PATH).float()
    torch.testing.assert_close(found.cameras.cam_from_world[2], poses[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.cameras.cam_from_world[4], poses[3], atol=1e-5, rtol=0)


def test_a_file_of_both_videos_is_taken_apart(tmp_path):
    depth = np.arange(1, 5, dtype=np.float32)[:, None, None] * np.ones((4, 6, 8), np.float32)
    np.savez(tmp_path / "both.npz", depth=depth)
    first, second = read_joint_depth(tmp_path / "both.npz", ((6, 8), (12, 16)), 2)
    assert first.depth[:, 0, 0].tolist() == [1, 2]
    assert second.depth.shape == (2, 12, 16)
    assert second.depth[:, 0, 0].tolist() == [3, 4]
    assert (first.cameras, first.confidence) == (None, None)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"depth": np.ones((2, 6, 8)), "confidence": np.ones((2, 6, 7))}, "confidence: got shape"),
        ({"depth": np.ones((2, 6, 8, 1))}, r"want floating-point numbers of shape \(2, h, w\)"),
        ({"depth": np.ones((2, 8, 8))}, "want the shape of the video, 8x6"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, arrays, said):
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(InputError, match=f"d.npz: .*{said}"):
        read_view_depth(tmp_path / "d.npz", (6, 8), 2)


def test_a_folder_that_is_no_streaming_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"camera_poses\.txt"):
        read_view_depth(tmp_path, (6, 8), 2)
