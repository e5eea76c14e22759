"""The camera metrics over videos: keys by protocol, failures never hidden, static truths counted."""

import math
from functools import partial

import pytest
import torch

from mvt4g.geometry.pose import relative_to
from mvt4g.geometry.trajectories import PRESETS, preset_trajectory
from mvt4g.metrics.camera.camera_pose import CameraPoseError, RelativePoseAccuracy
from mvt4g.metrics.functional.camera import PROTOCOLS, camera_errors, translation_error
from mvt4g.metrics.functional.camera_paths import camera_paths
from mvt4g.metrics.functional.relative_pose import relative_pose_accuracy
from mvt4g.types import InputError
from tests.geometry.test_trajectories import EXTRINSICS, read_recammaster
from tests.metrics.made_up_paths import disturbed, path, straight

pytestmark = pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
KEYS = {
    "mvtrack4gen": ["rotation_error_deg", "translation_error", "cam_mc"],
    "camI2V": ["rotation_error_rad_sum", "translation_error_sum", "cam_mc_sum"],
    "redirector": ["rotation_error_pairwise_deg", "translation_error_sim3", "translation_error_pose_aligned"],
}
PUBLISHED = {
    "mvtrack4gen": [],
    "camI2V": ["translation_error_sum_as_published", "cam_mc_sum_as_published"],
    "redirector": ["translation_error_sim3_as_published"],
}
COUNTS = ["registered_fraction", "num_failed", "num_static", "num_videos"]
TARGET = path(4, 5, seed=1)
PRED = disturbed(TARGET, 2)
LOST = torch.ones(4, 5, dtype=torch.bool)
LOST[1] = False
LOST[2, 3:] = False


def computed(metric, *inputs):
    metric.update(*inputs)
    return {key: float(value) for key, value in metric.compute().items()}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_keys_carry_the_unit_and_values_are_the_means(protocol):
    found = computed(CameraPoseError(protocol), PRED, TARGET)
    assert set(found) == {*KEYS[protocol], *PUBLISHED[protocol], *COUNTS}
    for key in PUBLISHED[protocol]:
        assert found[key] == found[key.removesuffix("_as_published")], "the true paths move"
    wanted = camera_errors(PRED, TARGET, protocol)
    for key, name in zip(KEYS[protocol], ("rotation_error", "translation_error", "cam_mc"), strict=True):
        if key == "translation_error_pose_aligned":
            assert found[key] == pytest.approx(float(translation_error(camera_paths(PRED, TARGET), "scale_lsq").mean()))
        else:
            assert found[key] == pytest.approx(float(wanted[name].mean()), rel=1e-12)
    assert [found[key] for key in COUNTS] == [1, 0, 0, 4]


@pytest.mark.filterwarnings("ignore:rotation unobservable:UserWarning")
def test_a_standing_truth_also_has_the_value_that_the_protocol_s_code_gives():
    standing = torch.eye(4).repeat(1, 3, 1, 1)
    moving = standing.clone()
    moving[0, :, 0, 3] = torch.tensor([0.0, 2.0, 4.0])
    found = computed(CameraPoseError("camI2V"), moving, standing)
    assert math.isnan(found["translation_error_sum"])
    # Divided by its own largest norm the prediction is 0, 1/2, 1; the truth is 0 / 1e-9.
    assert found["translation_error_sum_as_published"] == pytest.approx(1.5)
    assert found["cam_mc_sum"] == 0
    assert found["cam_mc_sum_as_published"] == pytest.approx(1.5)
    found = computed(CameraPoseError("redirector"), moving, standing)
    assert math.isnan(found["translation_error_sim3"])
    assert found["translation_error_sim3_as_published"] == 0, "all centres are aligned to one point"
    # One that moves beside it: the published mean is over both, the plain one over it alone.
    truth = torch.cat([standing, straight([0, 0, 0], [1, 0, 0], [2, 5, 0])[None].float()])
    both = computed(CameraPoseError("camI2V"), torch.cat([moving, standing]), truth)
    alone = computed(CameraPoseError("camI2V"), standing, truth[1:])
    assert both["translation_error_sum"] == alone["translation_error_sum"]
    wanted = (1.5 + alone["translation_error_sum"]) / 2
    assert alone["translation_error_sum"] > 0.5
    assert both["translation_error_sum_as_published"] == pytest.approx(wanted)


def test_no_video_no_score():
    found = {key: float(value) for key, value in CameraPoseError().compute().items()}
    assert all(math.isnan(found[key]) for key in [*KEYS["mvtrack4gen"], "registered_fraction"])
    assert [found[key] for key in COUNTS[1:]] == [0, 0, 0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_three_answers_to_failure_differ(protocol):
    found = {
        policy: computed(CameraPoseError(protocol, on_failure=policy), PRED, TARGET, LOST)
        for policy in ("nan", "skip", "penalty")
    }
    alone = camera_errors(PRED, TARGET, protocol, LOST)["rotation_error"]
    still = torch.eye(4, dtype=torch.float64).expand(4, 5, 4, 4)
    unmoved = camera_errors(still, TARGET, protocol)["rotation_error"]
    key = KEYS[protocol][0]
    assert math.isnan(found["nan"][key])
    assert found["skip"][key] == pytest.approx(float(alone[[0, 2, 3]].mean()))
    assert found["penalty"][key] == pytest.approx(float((alone[[0, 2, 3]].sum() + unmoved[1]) / 4))
    assert found["penalty"][key] > 1.5 * found["skip"][key]
    for answer in found.values():
        assert answer["registered_fraction"] == pytest.approx((5 + 0 + 3 + 5) / 20)
        assert answer["num_failed"] == 1
        assert answer["num_videos"] == 4


def test_the_default_hides_no_failure():
    assert math.isnan(computed(CameraPoseError(), PRED, TARGET, LOST)["cam_mc"])


def test_a_single_failure_in_any_batch_is_enough():
    metric = CameraPoseError()
    metric.update(PRED, TARGET, LOST)
    metric.update(PRED, TARGET)
    found = metric.compute()
    assert found["rotation_error_deg"].isnan()
    assert float(found["num_videos"]) == 8
    per_video = metric.table()["rotation_error_deg"]
    assert per_video.isnan().tolist() == [False, True, False, False, False, False, False, False]


def test_all_failed_and_single_frames():
    nothing = torch.zeros(4, 5, dtype=torch.bool)
    assert math.isnan(computed(CameraPoseError(on_failure="skip"), PRED, TARGET, nothing)["cam_mc"])
    assert computed(CameraPoseError(on_failure="penalty"), PRED, TARGET, nothing)["cam_mc"] > 0
    for policy in ("nan", "skip", "penalty"):
        found = computed(CameraPoseError(on_failure=policy), PRED[:, :1], TARGET[:, :1])
        assert math.isnan(found["rotation_error_deg"])
        assert found["num_failed"] == 4


def test_what_a_lost_pose_holds_is_not_looked_at():
    pred = PRED.clone()
    pred[~LOST] = torch.nan
    found, wanted = (computed(CameraPoseError(on_failure="penalty"), poses, TARGET, LOST) for poses in (pred, PRED))
    assert found == wanted
    with pytest.raises(InputError, match=r"pred\[1, 0\]: got NaN or infinity"):
        CameraPoseError().update(pred, TARGET)


@pytest.mark.filterwarnings("ignore:rotation unobservable:UserWarning")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_static_truths_are_counted_and_leave_translations_to_the_others(protocol):
    target = torch.stack([preset_trajectory(name, 9) for name in PRESETS])
    pred = disturbed(target, 1, 0.02, 0.02)
    found = computed(CameraPoseError(protocol), pred, target)
    assert found["num_static"] == 4
    assert found["num_failed"] == 0
    moving = torch.tensor([not name.startswith(("pan", "tilt")) for name in PRESETS])
    others = camera_errors(pred[moving], target[moving], protocol)["translation_error"].mean()
    assert found[KEYS[protocol][1]] == pytest.approx(float(others))


def test_straight_paths_warn_and_are_reported_aligned_by_pose_too():
    target, pred = straight([0, 0, 0], [0, 0, 1], [0, 0, 2])[None], straight([0, 0, 0], [1, 0, 0], [2, 0, 0])[None]
    metric = CameraPoseError("redirector")
    with pytest.warns(UserWarning, match="rotation unobservable: in 1 of 1 paths"):
        metric.update(pred, target)
    found = metric.compute()
    assert float(found["translation_error_sim3"]) == pytest.approx(0, abs=1e-12)
    assert float(found["translation_error_pose_aligned"]) == pytest.approx(0.5, abs=1e-6)


def test_videos_without_cameras_are_neither_videos_nor_failures():
    metric = CameraPoseError()
    metric.update(PRED, TARGET)
    wanted = {key: float(value) for key, value in metric.compute().items()}
    metric.add_missing(3)
    assert {key: float(value) for key, value in metric.compute().items()} == wanted
    assert len(metric.table()["cam_mc"]) == 7


@pytest.mark.parametrize("make", [CameraPoseError, RelativePoseAccuracy])
def test_options_are_refused_before_any_video(make):
    with pytest.raises(InputError, match="convention: got 'c2w', want one of"):
        make(convention="c2w")
    with pytest.raises(InputError, match="static_threshold: got -1"):
        make(static_threshold=-1)


def test_other_options_are_refused_with_the_choices(without_shape_hook):
    with pytest.raises(InputError, match="protocol: got 'cami2v', want one of mvtrack4gen, camI2V, redirector"):
        CameraPoseError("cami2v")
    with pytest.raises(InputError, match="on_failure: got 'drop', want one of nan, skip, penalty"):
        CameraPoseError(on_failure="drop")
    with pytest.raises(InputError, match="thresholds_deg, auc_deg: got"):
        RelativePoseAccuracy(thresholds_deg=(0,))


def test_options_reach_the_paths():
    noisy = TARGET.clone()
    noisy[..., :3, :3] *= 1.01
    with pytest.raises(InputError, match="not orthonormal"):
        CameraPoseError().update(noisy, TARGET)
    for make in (partial(CameraPoseError, "mvtrack4gen"), RelativePoseAccuracy):
        make(orthonormalize=True).update(noisy, TARGET)
    assert computed(CameraPoseError(static_threshold=100), PRED, TARGET)["num_static"] == 4
    inverse = [torch.linalg.inv(poses) for poses in (PRED, TARGET)]
    found = computed(CameraPoseError(convention="opencv_cam_from_world"), *inverse)
    assert found["cam_mc"] == pytest.approx(computed(CameraPoseError(), PRED, TARGET)["cam_mc"])


def test_relative_pose_accuracy_is_the_mean_over_videos():
    found = computed(RelativePoseAccuracy((2, 10), auc_deg=10), PRED, TARGET, LOST)
    assert list(found) == ["rra_2deg", "rra_10deg", "rta_2deg", "rta_10deg", "auc_10deg", *COUNTS]
    wanted = relative_pose_accuracy(camera_paths(PRED, TARGET, LOST), (2, 10), 10)
    for key, value in wanted.items():
        assert found[key] == pytest.approx(float(value.mean()))
        assert float(value[1]) == 0, "a failed video scores 0"
    assert [found[key] for key in COUNTS] == pytest.approx([13 / 20, 1, 0, 4])


def test_relative_pose_accuracy_counts_static_truths():
    target = torch.stack([preset_trajectory(name, 5) for name in PRESETS])
    found = computed(RelativePoseAccuracy(), target.clone(), target)
    assert found["num_static"] == 4
    assert found["rra_5deg"] == found["rta_5deg"] == found["auc_30deg"] == 1


@pytest.mark.skipif(not EXTRINSICS.exists(), reason=f"real data absent: {EXTRINSICS}")
def test_recammasters_own_paths():
    """The file keeps six digits and positions up to 34 m away: its pans jitter by up to 5e-5 m, which is no path."""
    target = read_recammaster()  # in Unreal's left-handed world, which poses relative to frame 0 leave
    target = relative_to(target, target[:, 0])
    ours = torch.stack([preset_trajectory(name, target.shape[1]) for name in PRESETS]).double()
    found = computed(CameraPoseError(static_threshold=1e-3), ours, target)
    assert found["num_static"] == 4
    assert found["rotation_error_deg"] < 1e-4
    assert found["translation_error"] < 1e-4
    swapped = computed(CameraPoseError(static_threshold=1e-3), ours.roll(1, dims=0), target)
    assert swapped["rotation_error_deg"] > 5
    assert swapped["cam_mc"] > 0.3
