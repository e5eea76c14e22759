"""Poses by COLMAP: a rendered arc found again, and a reason where there is nothing to reconstruct."""

import sys

import pytest
import torch

from mvt4g.formats.foreign.colmap import read_colmap_poses
from mvt4g.geometry.pose import compose, invert_pose, relative_to, rotation_angle
from mvt4g.metrics.pose_estimators.colmap import ColmapPoses
from mvt4g.metrics.pose_estimators.poses import PoseEvidence
from mvt4g.types import InputError
from tests.static_scenes import preset_clip

FRAMES = 6


@pytest.fixture(scope="module")
def pycolmap():
    return pytest.importorskip("pycolmap", reason="needs the extra mvt4g[colmap]")


@pytest.fixture(scope="module")
def arc():
    return preset_clip("arc_left", 256, FRAMES)


@pytest.fixture(scope="module")
def estimate(pycolmap, arc):
    return ColmapPoses()(_evidence(arc))


def _evidence(arc, video=None):
    return PoseEvidence(FRAMES, video=arc.video[0] if video is None else video, intrinsics=arc.cameras.intrinsics[0])


def test_the_arc_is_found_to_half_a_degree(estimate, arc):
    assert estimate.registered.all()
    assert estimate.reason is None
    assert not estimate.scale_known
    found = relative_to(estimate.world_from_cam, estimate.world_from_cam[0])
    path = invert_pose(arc.cameras.cam_from_world[0])
    path = relative_to(path, path[0])
    assert rotation_angle(compose(found, invert_pose(path))[:, :3, :3]).rad2deg().max() < 0.5
    shares = [poses[:, :3, 3] / poses[-1, :3, 3].norm() for poses in (found, path)]
    assert (shares[0] - shares[1]).norm(dim=-1).max() < 0.02


def test_the_same_seed_gives_the_same_poses_and_nothing_is_logged(estimate, arc, capfd):
    again = ColmapPoses()(_evidence(arc))
    assert torch.equal(again.world_from_cam, estimate.world_from_cam)
    assert capfd.readouterr() == ("", "")


def test_an_odd_frame_is_the_only_one_without_a_pose(pycolmap, arc):
    video = arc.video[0].clone()
    video[2] = torch.rand(3, 256, 256, generator=torch.Generator().manual_seed(0))
    estimate = ColmapPoses("sequential")(_evidence(arc, video))
    assert estimate.registered.tolist() == [True, True, False, True, True, True]
    assert estimate.reason == "frame 2: not among the 5 registered images"
    assert estimate.world_from_cam[2].isnan().all()


@pytest.mark.parametrize("kind", ["noise", "grey", "still"])
def test_noise_grey_and_a_still_camera_give_a_reason_and_no_pose(pycolmap, arc, kind):
    videos = {
        "noise": torch.rand(FRAMES, 3, 256, 256, generator=torch.Generator().manual_seed(0)),
        "grey": torch.full((FRAMES, 3, 256, 256), 0.5),
        "still": arc.video[0, :1].expand(FRAMES, 3, 256, 256),
    }
    estimate = ColmapPoses()(_evidence(arc, videos[kind]))
    assert not estimate.registered.any()
    assert estimate.world_from_cam.isnan().all()
    assert estimate.reason == "6 frames from 0 on: COLMAP found no reconstruction"


def test_without_pycolmap_the_extra_is_named(monkeypatch, arc):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    with pytest.raises(InputError, match=r"want the extra mvt4g\[colmap\]"):
        ColmapPoses()(_evidence(arc))


def test_what_is_missing_and_skew_are_refused(pycolmap, arc):
    with pytest.raises(InputError, match=r"evidence.video: got none"):
        ColmapPoses()(PoseEvidence(FRAMES))
    skewed = arc.cameras.intrinsics[0].clone()
    skewed[:, 0, 1] = 1.0
    with pytest.raises(InputError, match="skew"):
        ColmapPoses()(PoseEvidence(FRAMES, video=arc.video[0], intrinsics=skewed))


@pytest.mark.parametrize("form", ["text", "binary"])
def test_models_that_colmap_writes_are_read(pycolmap, tmp_path, form):
    """The reader of formats against COLMAP's own writer."""
    options = pycolmap.SyntheticDatasetOptions(num_rigs=1, num_cameras_per_rig=1, num_frames_per_rig=4, num_points3D=20)
    model = pycolmap.synthesize_dataset(options)
    (model.write_text if form == "text" else model.write_binary)(tmp_path)
    found = read_colmap_poses(tmp_path, num_frames=4)
    names = sorted((image.name, number) for number, image in model.images.items())
    for frame, (_, number) in enumerate(names):
        want = torch.from_numpy(model.images[number].cam_from_world().inverse().matrix()).float()
        torch.testing.assert_close(found.world_from_cam[frame, :3], want)
