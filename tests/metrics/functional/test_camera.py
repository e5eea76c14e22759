"""Camera errors: goldens of metrics.md section 2, the twin, what each protocol does not see, degenerate paths."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mvt4g.geometry.pose import compose, rotation_angle, rotation_from_axis_angle
from mvt4g.geometry.trajectories import PRESETS, preset_trajectory
from mvt4g.metrics.functional.camera import (
    PROTOCOLS,
    camera_errors,
    camera_motion_consistency,
    rotation_error,
    scaled_centres,
    translation_error,
)
from mvt4g.metrics.functional.camera_paths import camera_paths
from mvt4g.types import InputError
from tests.metrics.made_up_paths import disturbed, path, straight
from tests.reference import camera_errors as twin

LINES = pytest.mark.filterwarnings("ignore:rotation unobservable:UserWarning")
NAMES = ("rotation_error", "translation_error", "cam_mc")
WORLD = path(seed=5)

GOLDEN_TARGET = straight([0, 0, 0], [1, 0, 0], [2, 0, 0])
GOLDEN_PRED = compose(WORLD, straight([0, 0, 0], [5, 0, 0], [0, 0, 10], turns_y_deg=[0, 0, 90]))


def errors(pred, target, protocol="mvtrack4gen", **options):
    found = camera_errors(pred, target, protocol, **options)
    assert tuple(found) == NAMES
    assert all(value.dtype == torch.float64 for value in found.values())
    return [float(found[name]) for name in NAMES]


def test_golden_sums_of_camI2V():  # noqa: N802
    found = errors(GOLDEN_PRED, GOLDEN_TARGET, "camI2V")
    assert found == pytest.approx([math.pi / 2, math.sqrt(2), math.sqrt(6)], abs=1e-8)


def test_golden_means_of_mvtrack4gen():
    found = errors(GOLDEN_PRED, GOLDEN_TARGET, "mvtrack4gen")
    assert found == pytest.approx([30.0, math.sqrt(2) / 3, math.sqrt(6) / 3], abs=1e-8)


@LINES
def test_golden_pairs_of_redirector():
    rotation, _, cam_mc = errors(GOLDEN_PRED, GOLDEN_TARGET, "redirector")
    assert rotation == pytest.approx(60.0)
    assert math.isnan(cam_mc), "the protocol has none"


@pytest.mark.parametrize("world", [torch.eye(4, dtype=torch.float64), WORLD])
def test_golden_sim3(world):
    target = straight([0, 0, 0], [1, 0, 0], [2, 0, 0])
    pred = compose(world, straight([0, 0, 0], [1, 0, 0], [1, 0, 0]))
    with pytest.warns(UserWarning, match="rotation unobservable: in 1 of 1 paths"):
        assert errors(pred, target, "redirector")[1] == pytest.approx(1 / 6, abs=1e-6)


@pytest.mark.parametrize("degrees", [0.0, 1e-5, 1.0, 45.0, 120.0, 180.0])
def test_cam_mc_of_a_pure_angle(degrees):
    target, pred = straight(*[[0, 0, 0]] * 2), straight(*[[0, 0, 0]] * 2, turns_y_deg=[0, degrees])
    rotation, translation, cam_mc = errors(pred, target)
    assert rotation * 2 == pytest.approx(degrees, rel=1e-9)
    assert cam_mc * 2 == pytest.approx(2 * math.sqrt(2) * math.sin(math.radians(degrees) / 2), rel=1e-9)
    assert math.isnan(translation)
    if degrees == 180:
        assert cam_mc * 2 == pytest.approx(2.828427, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_identical_path_has_exactly_no_error(protocol, dtype):
    target = path(3, 9, seed=1, dtype=dtype)
    found = camera_errors(target.clone(), target, protocol)
    assert (found["rotation_error"] == 0).all()
    if protocol == "redirector":
        assert (found["translation_error"] < 1e-14).all(), "a fit rounds"
    else:
        assert (found["translation_error"] == 0).all()
        assert (found["cam_mc"] == 0).all()


@pytest.mark.parametrize("radians", [1e-8, 1e-6, 1e-4, 1e-3])
def test_small_angles_are_seen_where_float32_arccos_sees_none(radians):
    turn = rotation_from_axis_angle(torch.tensor([[0.0, 0, 0], [0, 0, radians]], dtype=torch.float64))
    pred = straight([0, 0, 0], [1, 0, 0])
    pred[:, :3, :3] = turn
    for protocol, factor in (("camI2V", 1.0), ("redirector", math.degrees(1))):
        paths = camera_paths(pred[None], straight([0, 0, 0], [1, 0, 0])[None])
        found = rotation_error(paths, PROTOCOLS[protocol].rotation, PROTOCOLS[protocol].mode)
        assert float(found) == pytest.approx(radians * factor, rel=1e-7)
    upstream = torch.acos(((turn[1].float().trace() - 1) / 2).clamp(-1, 1)).item()
    if radians <= 1e-4:
        assert upstream == 0
    else:
        assert upstream == pytest.approx(0.000977, abs=1e-6)
    assert rotation_angle(turn[1]).item() == pytest.approx(radians, rel=1e-12)


@LINES
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", range(8))
def test_the_twin_agrees(protocol, seed):
    num_frames = (2, 3, 5, 12)[seed % 4]
    target = path(3, num_frames, seed=seed)
    pred = path(3, num_frames, seed=seed + 50) if seed % 2 else disturbed(target, seed)
    registered = torch.rand(3, num_frames, generator=torch.Generator().manual_seed(seed)) < 0.8
    registered[0] = True
    whole, partial = camera_errors(pred, target, protocol), camera_errors(pred, target, protocol, registered)
    for video in range(3):
        for found, frames in ((whole, None), (partial, registered[video].tolist())):
            wanted = twin.camera_errors(pred[video].numpy(), target[video].numpy(), protocol, frames)
            got = [float(found[name][video]) for name in NAMES]
            assert got == pytest.approx(wanted, rel=1e-9, abs=1e-9, nan_ok=True)
    assert float(whole["rotation_error"].min()) > 0.05, "parity at 0 would say nothing"


def test_the_twin_tells_protocols_apart():
    pred, target = path(9, seed=1).numpy(), path(9, seed=2).numpy()
    found = [twin.camera_errors(pred, target, protocol)[:2] for protocol in PROTOCOLS]
    for i in range(3):
        for j in range(i):
            assert abs(found[i][0] - found[j][0]) > 1
            assert abs(found[i][1] - found[j][1]) > 0.01


@pytest.mark.parametrize("align", ["gt_max", "scale_lsq", "none", "self_max", "sim3"])
def test_ways_to_align_by_their_definitions(align):
    target, pred = path(1, 7, seed=3), path(1, 7, seed=4)
    found = float(translation_error(camera_paths(pred, target), align))
    p, g = (twin.relative(poses[0].numpy(), range(7)) for poses in (pred, target))
    if align in ("sim3", "scale_lsq"):
        wanted = twin.fitted_translation(p, g, align)
    else:
        of_target = twin.largest_norm(g) if align != "none" else 1
        of_pred = twin.largest_norm(p) if align == "self_max" else of_target
        wanted = np.mean([np.linalg.norm(a[:3, 3] / of_pred - b[:3, 3] / of_target) for a, b in zip(p, g, strict=True)])
    assert found == pytest.approx(wanted, rel=1e-7)


def test_sums_are_means_times_their_number():
    paths = camera_paths(path(2, 5, seed=1), path(2, 5, seed=2))
    for mode, count in (("first", 5), ("pairwise", 20)):
        mean = torch.deg2rad(rotation_error(paths, "mean_deg", mode))
        torch.testing.assert_close(rotation_error(paths, "sum_rad", mode), count * mean)
    torch.testing.assert_close(camera_motion_consistency(paths, "sum"), 5 * camera_motion_consistency(paths))
    torch.testing.assert_close(translation_error(paths, "none", "sum"), 5 * translation_error(paths, "none"))


@LINES
@given(st.integers(0, 10**6), st.sampled_from(sorted(PROTOCOLS)), st.floats(0.1, 10))
def test_worlds_and_scale_do_not_matter(seed, protocol, scale):
    pred, target = path(2, 5, seed=seed), path(2, 5, seed=seed + 1)
    wanted = camera_errors(pred, target, protocol)
    other = compose(path(seed=seed + 2), pred)
    other[..., :3, 3] *= scale
    found = camera_errors(other, compose(path(seed=seed + 3), target), protocol)
    for name in NAMES:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-6, atol=1e-7, equal_nan=True)


@given(st.integers(0, 10**6))
def test_camera_axes_do_not_matter_to_angles_but_a_mix_does(seed):
    """Every pose of both paths turned alike on its own side: another choice of camera axes."""
    pred, target, axes = path(2, 5, seed=seed), path(2, 5, seed=seed + 1), path(seed=seed + 2)
    axes[:3, 3] = 0
    wanted = camera_errors(pred, target)
    found = camera_errors(compose(pred, axes), compose(target, axes))
    for name in ("rotation_error", "translation_error"):
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-9, atol=1e-9)
    mixed = camera_errors(compose(target, axes), target)
    assert (mixed["translation_error"] > 1e-6).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_errors_rise_with_the_disturbance(protocol):
    target = path(40, 9, seed=1)
    means = [
        [value.mean().item() for value in camera_errors(disturbed(target, 2, size, size), target, protocol).values()]
        for size in (0.01, 0.05, 0.2)
    ]
    for column in range(2 if protocol == "redirector" else 3):
        assert means[0][column] < means[1][column] < means[2][column]


def test_a_batch_is_its_videos_and_leading_axes_are_kept():
    pred, target = path(2, 3, 6, seed=1), path(2, 3, 6, seed=2)
    found = camera_errors(pred, target, "redirector")
    assert found["rotation_error"].shape == (2, 3)
    alone = errors(pred[1, 2], target[1, 2], "redirector")
    assert [float(found[name][1, 2]) for name in NAMES[:2]] == pytest.approx(alone[:2], rel=1e-12)


def test_many_pairs_are_worked_on_in_pieces(monkeypatch):
    pred, target = path(5, 6, seed=1), path(5, 6, seed=2)
    whole = camera_errors(pred, target, "redirector")
    monkeypatch.setattr("mvt4g.metrics.functional.camera.CHUNK", 40)
    pieces = camera_errors(pred, target, "redirector")
    for name in NAMES:
        torch.testing.assert_close(pieces[name], whole[name], equal_nan=True)


# ------------------------------------------------------------------------------------------------ blind spots


def forward_and_right(num_frames=21):
    steps = torch.linspace(0, 1, num_frames).tolist()
    return straight(*[[0, 0, s] for s in steps]), straight(*[[s, 0, 0] for s in steps])


def test_blind_spot_a_redirector_takes_moving_right_for_zooming_in():
    target, pred = forward_and_right()
    with pytest.warns(UserWarning, match="rotation unobservable"):
        assert errors(pred, target, "redirector")[:2] == pytest.approx([0, 0], abs=1e-12)
    assert errors(pred, target, "mvtrack4gen")[1] == pytest.approx(0.7071, abs=1e-4)
    assert twin.upstream_redirector_translation(pred.numpy(), target.numpy()) == pytest.approx(0, abs=1e-12)
    aligned = translation_error(camera_paths(pred[None], target[None]), "scale_lsq")
    assert float(aligned) == pytest.approx(0.5, abs=1e-6), "the pose-aligned error sees it"


def test_blind_spot_b_redirector_forgives_any_drift_under_a_pure_rotation():
    target = straight(*[[0, 0, 0]] * 5, turns_y_deg=[0, 5, 10, 15, 20])
    pred = target.clone()
    pred[:, :3, 3] = path(5, seed=1)[:, :3, 3]
    assert twin.upstream_redirector_translation(pred.numpy(), target.numpy()) == 0
    assert math.isnan(errors(pred, target, "redirector")[1]), "no value rather than a perfect one"
    drift = translation_error(camera_paths(pred[None], target[None]), "none")
    assert float(drift) > 0.5, "scene units see it"


def test_blind_spot_c_redirector_is_nan_for_a_static_prediction():
    target = path(6, seed=1)
    pred = target.clone()
    pred[:, :3, 3] = 0.25
    assert math.isnan(twin.upstream_redirector_translation(pred.numpy(), target.numpy()))
    found = errors(pred, target, "redirector")[1]
    spread = (target[:, :3, 3] - target[:, :3, 3].mean(dim=0)).norm(dim=-1).mean()
    extent = torch.cdist(target[:, :3, 3], target[:, :3, 3]).max()
    assert found == pytest.approx(float(spread / (extent + 1e-6)))


def test_blind_spot_d_pairs_of_81_frames_need_no_loop():
    """The loop takes seconds a video; how fast this is: experiments/benchmarks/camera.py."""
    pred, target = path(81, seed=1), path(81, seed=2)
    found = rotation_error(camera_paths(pred[None], target[None]), "mean_deg", "pairwise")
    some = [twin.angle(target[i, :3, :3].T.numpy() @ target[j, :3, :3].numpy(),
                       pred[i, :3, :3].T.numpy() @ pred[j, :3, :3].numpy())
            for i in range(81) for j in range(i)]  # fmt: skip
    assert float(found) == pytest.approx(math.degrees(np.mean(some)), rel=1e-10)


def test_blind_spot_of_camI2V_jitter_of_a_standing_camera_becomes_a_path():  # noqa: N802
    target = straight(*[[0, 0, 0]] * 81, turns_y_deg=torch.linspace(0, 20, 81).tolist())
    pred = target.clone()
    target[1:, :3, 3] += 1e-4 * path(80, seed=1)[:, :3, 3]
    pred[1:, :3, 3] += 1e-4 * path(80, seed=2)[:, :3, 3]
    assert 0.4 < errors(pred, target)[1] < 0.9
    rotation, translation, cam_mc = errors(pred, target, static_threshold=1e-3)
    assert math.isnan(translation)
    assert rotation == pytest.approx(0, abs=1e-9)
    assert cam_mc == pytest.approx(0, abs=1e-9)


# ------------------------------------------------------------------------------------- degenerate (section 10)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_single_frame_has_no_relative_pose(protocol):
    assert all(math.isnan(value) for value in errors(path(1), path(1), protocol))


@pytest.mark.parametrize("protocol", ["mvtrack4gen", "camI2V"])
def test_a_static_truth_has_no_translation_error_and_cam_mc_of_rotations(protocol):
    target = straight(*[[3, 1, 2]] * 3, turns_y_deg=[0, 10, 20])
    pred = straight([0, 0, 0], [1, 0, 0], [2, 5, 0], turns_y_deg=[0, 10, 30])
    rotation, translation, cam_mc = errors(pred, target, protocol)
    assert math.isnan(translation)
    chord = 2 * math.sqrt(2) * math.sin(math.radians(5))
    wanted = {"mvtrack4gen": (10 / 3, chord / 3), "camI2V": (math.radians(10), chord)}[protocol]
    assert (rotation, cam_mc) == pytest.approx(wanted)


def test_a_static_prediction_scores_the_true_path():
    target, pred = straight([0, 0, 0], [1, 0, 0], [2, 0, 0]), straight(*[[7, 7, 7]] * 3)
    assert errors(pred, target) == pytest.approx([0, 0.5, 0.5])


@pytest.mark.parametrize("num_frames", [2, 4])
def test_two_frames_and_lines_warn_and_can_be_aligned_by_pose(num_frames):
    target = straight(*[[i, 0, 0] for i in range(num_frames)])
    pred = straight(*[[0, 0, 3 * i] for i in range(num_frames)])
    with pytest.warns(UserWarning, match="rotation unobservable.*scale_lsq"):
        assert errors(pred, target, "redirector")[1] == pytest.approx(0, abs=1e-12)
    assert float(translation_error(camera_paths(pred[None], target[None]), "scale_lsq")) > 0.4


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_paths_that_are_no_lines_and_do_not_move_at_all_do_not_warn(protocol, recwarn):
    errors(path(5, seed=1), path(5, seed=2), protocol)
    errors(straight(*[[1, 1, 1]] * 5), path(5, seed=2), protocol)
    errors(path(5, seed=1), straight(*[[1, 1, 1]] * 5), protocol)
    assert not recwarn.list


@LINES
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_unregistered_frames_are_left_out_whatever_they_hold(protocol):
    target = path(6, seed=1)
    pred = disturbed(target, 2)
    registered = torch.tensor([False, True, True, False, True, True])
    wanted = errors(pred[registered], target[registered], protocol)
    pred[~registered] = torch.nan
    target[3] = torch.inf
    found = errors(pred, target, protocol, registered=registered)
    factor = 6 / 4 if protocol == "camI2V" else 1  # a lost frame counts as the mean of those found
    assert found == pytest.approx([factor * value for value in wanted], nan_ok=True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("found_frames", [(), (3,)])
def test_fewer_than_two_registered_frames_have_no_error(protocol, found_frames):
    registered = torch.zeros(6, dtype=torch.bool)
    registered[list(found_frames)] = True
    pred = path(6, seed=1)
    pred[~registered] = torch.nan
    assert all(math.isnan(value) for value in errors(pred, path(6, seed=2), protocol, registered=registered))


def test_no_videos_give_no_errors():
    assert camera_errors(path(0, 4), path(0, 4), "redirector")["rotation_error"].shape == (0,)


def test_inputs_are_not_written_to_and_need_not_be_contiguous():
    pred, target = path(6, 3, seed=1).transpose(0, 1), path(6, 3, seed=2).transpose(0, 1)
    before = pred.clone(), target.clone()
    registered = torch.ones(3, 6, dtype=torch.bool)
    found = camera_errors(pred, target, "redirector", registered)
    assert torch.equal(pred, before[0])
    assert torch.equal(target, before[1])
    assert torch.equal(
        found["rotation_error"], camera_errors(pred.contiguous(), target.contiguous(), "redirector")["rotation_error"]
    )


@pytest.mark.parametrize("name", ["mvtrack", "", "CamI2V"])
def test_an_unknown_protocol_is_refused_with_the_choices(name):
    with pytest.raises(InputError, match=r"protocol: got .*want one of mvtrack4gen, camI2V, redirector"):
        camera_errors(path(2), path(2), name)


def test_an_unknown_way_to_align_is_refused(without_shape_hook):
    with pytest.raises(InputError, match="align: got 'best', want one of self_max"):
        scaled_centres(camera_paths(path(1, 2), path(1, 2)), "best")


@pytest.mark.parametrize("shape", [(4, 4), (3, 3, 4)])
def test_other_shapes_are_refused(shape, without_shape_hook):
    with pytest.raises(InputError, match="pred: got shape"):
        camera_errors(torch.zeros(shape), torch.zeros(shape))
    with pytest.raises(InputError, match=r"target: got shape \(4, 4, 4\), want that of pred, \(3, 4, 4\)"):
        camera_errors(path(3), path(4))


# --------------------------------------------------------------------------------------- ReCamMaster's presets


@LINES
def test_four_of_the_ten_presets_stand_still_and_none_has_an_error_with_itself():
    target = torch.stack([preset_trajectory(name, 21) for name in PRESETS])
    found = camera_errors(target.clone(), target)
    assert found["translation_error"].isnan().tolist() == [name.startswith(("pan", "tilt")) for name in PRESETS]
    assert (found["rotation_error"] == 0).all()
    assert (found["cam_mc"] == 0).all()
    backwards = camera_errors(preset_trajectory("zoom_out", 21), preset_trajectory("zoom_in", 21), "redirector")
    assert float(backwards["translation_error"]) == pytest.approx(0, abs=1e-6), "blind spot (a) again"
