"""Poses are refused by their index, conventions are converted, paths are made relative."""

import pytest
import torch

from mvt4g.geometry.align import nearest_rotation
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.metrics.functional.camera import PROTOCOLS, camera_errors
from mvt4g.metrics.functional.camera_paths import CONVENTIONS, camera_paths, opencv_world_from_cam
from mvt4g.types import InputError
from tests.metrics.made_up_paths import disturbed, path, straight

OPENGL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))


def in_convention(world_from_cam, convention):
    poses = world_from_cam @ OPENGL if convention.startswith("opengl") else world_from_cam
    return invert_pose(poses) if convention.endswith("cam_from_world") else poses


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_conventions_are_converted(convention):
    poses = path(3, 5)
    torch.testing.assert_close(opencv_world_from_cam(in_convention(poses, convention), convention), poses)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_errors_are_those_of_opencv_world_from_cam(protocol, convention):
    target = path(2, 5, seed=1)
    pred = disturbed(target, 2)
    wanted = camera_errors(pred, target, protocol)
    given = in_convention(pred, convention), in_convention(target, convention)
    for name, value in camera_errors(*given, protocol, convention=convention).items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-6, atol=1e-7, equal_nan=True)


@pytest.mark.parametrize("convention", CONVENTIONS[1:])
def test_a_silent_mix_scores_badly(convention):
    target = path(20, 9, seed=1)
    pred = disturbed(target, 2)
    right, mixed = camera_errors(pred, target), camera_errors(in_convention(pred, convention), target)
    assert (mixed["rotation_error"] > 5 * right["rotation_error"]).all()
    assert (mixed["cam_mc"] > 4 * right["cam_mc"]).all()
    named = camera_errors(opencv_world_from_cam(in_convention(pred, convention), convention), target)
    torch.testing.assert_close(named["cam_mc"], right["cam_mc"])


def test_an_unknown_convention_is_refused_with_the_choices():
    for unknown in ("c2w", "", "opencv", "world_from_cam_opencv"):
        with pytest.raises(InputError, match=r"convention: got .*want one of opencv_world_from_cam, opencv_cam"):
            camera_paths(path(1, 2), path(1, 2), convention=unknown)


def with_fault(fault):
    poses = path(2, 3, seed=1)
    if fault == "scaled":
        poses[1, 2, :3, :3] *= 1.002
    elif fault == "mirrored":
        poses[1, 2, :3, 0] *= -1
    elif fault == "last row":
        poses[1, 2, 3, 0] = 0.01
    elif fault == "transposed":
        poses[1, 2] = poses[1, 2].T.clone()
    else:
        poses[1, 2, 0, 3] = float(fault)
    return poses


FAULTS = {
    "scaled": "not orthonormal", "mirrored": r"reflection \(det -1\)", "last row": "last row 0 0 0 1",
    "transposed": "last row 0 0 0 1", "nan": "NaN or infinity", "inf": "NaN or infinity",
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_pose_is_refused_by_its_index(fault):
    with pytest.raises(InputError, match=rf"pred\[1, 2\]: got .*{FAULTS[fault]}"):
        camera_paths(with_fault(fault), path(2, 3))
    with pytest.raises(InputError, match=rf"target\[1, 2\]: got .*{FAULTS[fault]}"):
        camera_paths(path(2, 3), with_fault(fault))


@pytest.mark.parametrize("fault", ["mirrored", "last row", "nan"])
def test_orthonormalizing_does_not_excuse_the_rest(fault):
    with pytest.raises(InputError, match=rf"pred\[1, 2\]: got .*{FAULTS[fault]}"):
        camera_paths(with_fault(fault), path(2, 3), orthonormalize=True)


def test_orthonormalizing_takes_noise_off():
    noisy = path(2, 5, seed=1)
    noisy[..., :3, :3] += 0.01 * torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="not orthonormal"):
        camera_paths(noisy, path(2, 5))
    clean = noisy.clone()
    clean[..., :3, :3] = nearest_rotation(noisy[..., :3, :3])
    found = camera_paths(noisy, path(2, 5), orthonormalize=True)
    torch.testing.assert_close(found.pred_rotation, camera_paths(clean, path(2, 5)).pred_rotation)


def test_within_the_tolerance_nothing_is_refused():
    poses = path(2, 3)
    poses[..., :3, :3] *= 1.0004
    camera_paths(poses, path(2, 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_refused_unless_orthonormalized(dtype):
    rounded = path(2, 5, seed=3, dtype=dtype)
    if dtype == torch.bfloat16:
        with pytest.raises(InputError, match="not orthonormal"):
            camera_paths(rounded, path(2, 5))
    found = camera_paths(rounded, path(2, 5, seed=3), orthonormalize=True)
    assert found.pred_centre.dtype == torch.float64
    assert (found.pred_centre - found.target_centre).abs().max() < 0.1


def test_paths_start_at_the_identity_of_the_first_registered_frame():
    registered = torch.tensor([[False, True, True], [True, True, False]])
    pred, target = path(2, 3, seed=1), path(2, 3, seed=2)
    paths = camera_paths(pred, target, registered)
    for rotation, centre, poses in (
        (paths.pred_rotation, paths.pred_centre, pred),
        (paths.target_rotation, paths.target_centre, target),
    ):
        for video, frame, later in ((0, 1, 2), (1, 0, 1)):
            torch.testing.assert_close(rotation[video, frame], torch.eye(3, dtype=torch.float64))
            assert (centre[video, frame] == 0).all()
            wanted = compose(invert_pose(poses[video, frame]), poses[video, later])
            torch.testing.assert_close(rotation[video, later], wanted[:3, :3])
            torch.testing.assert_close(centre[video, later], wanted[:3, 3])
    assert paths.num_registered.tolist() == [2, 2]
    assert (paths.pred_centre[~registered] == 0).all()


def test_a_camera_that_stands_has_centres_of_exactly_0():
    poses = straight(*[[1 / 3, 1e6, -7.7]] * 4, turns_y_deg=[3, 50, 100, 170])[None]
    paths = camera_paths(poses, poses)
    assert (paths.target_centre == 0).all()
    assert paths.static.all()


@pytest.mark.parametrize(("reach", "static"), [(0.9e-6, True), (1.1e-6, False)])
def test_where_standing_still_ends(reach, static):
    poses = straight([0, 0, 0], [reach, 0, 0])[None]
    assert bool(camera_paths(poses, poses).static) is static
    assert bool(camera_paths(poses, poses, static_threshold=0).static) is False


def test_what_stands_still_is_said_of_scored_frames_only():
    poses = straight([0, 0, 0], [0, 0, 0], [5, 0, 0])[None]
    assert camera_paths(poses, poses, torch.tensor([[True, True, False]])).static.all()
    failed = camera_paths(poses, poses, torch.tensor([[True, False, False]]))
    assert failed.failed.all()
    assert not failed.static.any()


@pytest.mark.parametrize("threshold", [-1.0, float("nan"), float("inf")])
def test_a_threshold_that_is_none_is_refused(threshold):
    with pytest.raises(InputError, match="static_threshold: got"):
        camera_paths(path(1, 2), path(1, 2), static_threshold=threshold)


def test_registered_must_be_bools_of_the_frames(without_shape_hook):
    for registered in (torch.ones(2, 4, dtype=torch.bool), torch.ones(2, 3)):
        with pytest.raises(InputError, match=r"registered: got torch\.\w+ of shape .*want bool of shape \(2, 3\)"):
            camera_paths(path(2, 3), path(2, 3), registered)


def test_frames_that_differ_are_refused(without_shape_hook):
    with pytest.raises(InputError, match=r"target: got shape \(2, 4, 4, 4\), want that of pred, \(2, 3, 4, 4\)"):
        camera_paths(path(2, 3), path(2, 4))
    for shape in ((2, 3, 3, 4), (2, 0, 4, 4), (3, 4, 4)):
        with pytest.raises(InputError, match=r"pred: got shape .*at least one frame"):
            camera_paths(torch.zeros(shape), torch.zeros(shape))


def test_pieces_are_the_paths():
    paths = camera_paths(path(5, 3, seed=1), path(5, 3, seed=2), static_threshold=0.5)
    pieces = paths.split(2)
    assert [len(piece.registered) for piece in pieces] == [2, 2, 1]
    assert pieces[2].static_threshold == 0.5
    assert torch.equal(torch.cat([piece.pred_centre for piece in pieces]), paths.pred_centre)
