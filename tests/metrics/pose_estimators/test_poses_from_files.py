"""Poses of outside programs through the estimators' protocol."""

import numpy as np
import pytest
import torch

from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.metrics.pose_estimators.poses import PoseEvidence
from mvt4g.metrics.pose_estimators.poses_from_files import PosesFromFiles
from mvt4g.types import Cameras, InputError

PATH = preset_trajectory("arc_left", 3)


def test_every_layout_gives_the_same_poses(tmp_path):
    cam_from_world = invert_pose(PATH)
    np.savez(tmp_path / "vipe_a.npz", data=PATH.numpy(), inds=np.arange(3))
    np.savez(tmp_path / "da3_a.npz", extrinsics=cam_from_world.numpy()[:, :3], depth=np.ones((3, 4, 4)))
    intrinsics = intrinsics_from_fov(1.0, 64, 64).expand(3, 3, 3)
    write_trajectory(tmp_path / "a.json", Cameras(cam_from_world, intrinsics), (64, 64))
    for layout, name in (("vipe", "vipe_{name}.npz"), ("depth_anything_3", "da3_{name}.npz"), ("json", "{name}.json")):
        estimate = PosesFromFiles(str(tmp_path / name), layout)(PoseEvidence(3, name="a"))
        torch.testing.assert_close(estimate.world_from_cam, PATH)
        assert estimate.registered.all()
        assert estimate.reason is None
        assert not estimate.scale_known


def test_missing_frames_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", data=PATH.numpy()[:1], inds=np.array([1]))
    estimate = PosesFromFiles(f"{tmp_path}/{{name}}.npz", "vipe")(PoseEvidence(3, name="a"))
    assert estimate.registered.tolist() == [False, True, False]
    assert estimate.reason.endswith("a.npz: no pose of frames 0, 2")


def test_a_missing_file_is_an_error_or_a_failure_as_asked(tmp_path):
    path = f"{tmp_path}/{{name}}.npz"
    with pytest.raises(InputError, match=r"b.npz: no such file"):
        PosesFromFiles(path, "vipe")(PoseEvidence(3, name="b"))
    estimate = PosesFromFiles(path, "vipe", missing_is_failure=True)(PoseEvidence(3, name="b"))
    assert not estimate.registered.any()
    assert estimate.world_from_cam.isnan().all()
    assert estimate.reason.endswith("b.npz: not there")


def test_a_path_for_all_videos_and_a_video_without_a_name_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"path: got .*want \{name\} in it"):
        PosesFromFiles(str(tmp_path / "a.npz"), "vipe")
    with pytest.raises(InputError, match=r"evidence.name: got none"):
        PosesFromFiles(f"{tmp_path}/{{name}}.npz", "vipe")(PoseEvidence(3))
