"""RRA, RTA and AUC: by hand, against the twin, and what they do not see."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mvt4g.geometry.pose import compose
from mvt4g.metrics.functional.camera_paths import camera_paths
from mvt4g.metrics.functional.relative_pose import relative_pose_accuracy, relative_pose_angles
from mvt4g.types import InputError
from tests.metrics.made_up_paths import disturbed, path, straight
from tests.reference import camera_errors as twin


def accuracy(pred, target, registered=None, **options):
    return relative_pose_accuracy(camera_paths(pred, target, registered), **options)


def test_by_hand():
    """Pairs 01, 02, 12. Turned by 0, 0, 10.5 degrees about y: relative rotations off by 0, 10.5, 10.5."""
    target = straight([0, 0, 0], [0, 1, 0], [0, 2, 0])
    pred = straight([0, 0, 0], [0, 1, 0], [0, 2, 0], turns_y_deg=[0, 0, 10.5])
    found = accuracy(pred[None], target[None])
    assert list(found) == ["rra_5deg", "rra_15deg", "rra_30deg", "rta_5deg", "rta_15deg", "rta_30deg", "auc_30deg"]
    assert {key: round(float(value), 12) for key, value in found.items()} == {
        "rra_5deg": round(1 / 3, 12), "rra_15deg": 1, "rra_30deg": 1, "rta_5deg": 1, "rta_15deg": 1, "rta_30deg": 1,
        "auc_30deg": round((10 / 3 + 20) / 30, 12),
    }  # fmt: skip


def test_directions_are_seen_from_the_first_camera_of_a_pair():
    target = straight([0, 0, 0], [0, 0, 1])
    pred = straight([0, 0, 0], [math.sin(0.2), 0, math.cos(0.2)], turns_y_deg=[0, 30])
    rotation, direction = relative_pose_angles(camera_paths(pred[None], target[None]))
    assert float(rotation) == pytest.approx(30)
    assert float(direction) == pytest.approx(math.degrees(0.2))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_twin_agrees(seed, signed):
    target = path(2, 8, seed=seed)
    target[1, 3:5] = target[1, 2]
    pred = disturbed(target, seed, turn=0.2, shift=0.3)
    if seed % 2:
        pred[0, 2:4, :3, 3] = pred[0, 2, :3, 3]
    registered = torch.rand(2, 8, generator=torch.Generator().manual_seed(seed)) < 0.9
    found = accuracy(pred, target, registered, thresholds_deg=(5, 15, 40.5), auc_deg=20, signed_direction=signed)
    for video in range(2):
        rra, rta, auc = twin.relative_pose_accuracy(
            pred[video].numpy(), target[video].numpy(), registered[video], (5, 15, 40.5), 20, signed
        )
        assert [float(value[video]) for value in found.values()] == pytest.approx([*rra, *rta, auc], abs=1e-12)
    assert 0 < float(found["rra_40.5deg"].mean()) < 1


def test_the_share_of_both_is_never_over_the_minimum_of_the_two():
    """VGGT's text takes the minimum of the two curves, its code and this the curve of both at once."""
    found = accuracy(disturbed(path(6, 9), 1, 0.2, 0.5), path(6, 9), thresholds_deg=range_of(30))
    minimum = sum(torch.minimum(found[f"rra_{k}deg"], found[f"rta_{k}deg"]) for k in range(1, 31)) / 30
    assert (found["auc_30deg"] < minimum - 1e-3).any()
    assert (found["auc_30deg"] <= minimum + 1e-12).all()


def range_of(most):
    return tuple(range(1, most + 1))


def test_an_identical_path_is_right_and_backwards_is_too_unless_signs_are_asked_for():
    target = straight([0, 0, 0], [0, 0, 1], [0, 0, 3])[None]
    backwards = target.clone()
    backwards[..., :3, 3] *= -1
    assert all(float(value) == 1 for value in accuracy(target.clone(), target).values())
    assert float(accuracy(backwards, target)["rta_5deg"]) == 1, "a blind spot of the definition"
    assert float(accuracy(backwards, target, signed_direction=True)["rta_30deg"]) == 0


@given(st.integers(0, 10**6), st.floats(0.1, 10))
def test_worlds_and_scale_do_not_matter(seed, scale):
    pred, target = path(1, 5, seed=seed), path(1, 5, seed=seed + 1)
    other = compose(path(seed=seed + 2), pred)
    other[..., :3, 3] *= scale
    angles = relative_pose_angles(camera_paths(pred, target))
    others = relative_pose_angles(camera_paths(other, compose(path(seed=seed + 3), target)))
    for found, wanted in zip(others, angles, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-7)


def test_a_static_truth_has_rotations_only():
    target = straight(*[[1, 1, 1]] * 4, turns_y_deg=[0, 1, 2, 3])[None]
    found = accuracy(path(1, 4), target)
    assert not found["rra_5deg"].isnan()
    assert found["rta_5deg"].isnan()
    assert found["auc_30deg"].isnan()


def test_a_static_prediction_of_a_moving_truth_is_wrong_not_right():
    found = accuracy(straight(*[[1, 1, 1]] * 3)[None], straight([0, 0, 0], [1, 0, 0], [2, 0, 0])[None])
    assert float(found["rra_5deg"]) == 1
    assert float(found["rta_30deg"]) == 0
    assert float(found["auc_30deg"]) == 0


def test_pairs_with_a_lost_frame_are_wrong():
    target = path(2, 4, seed=1)
    pred = target.clone()
    registered = torch.tensor([[True, True, True, False], [False] * 4])
    pred[~registered] = torch.nan
    found = accuracy(pred, target, registered)
    for value in found.values():
        assert value.tolist() == pytest.approx([0.5, 0])


def test_pairs_of_an_unknown_truth_are_left_out():
    target = path(1, 4, seed=1)
    pred = target.clone()
    registered = torch.tensor([[True, True, True, False]])
    pred[~registered] = target[~registered] = torch.nan
    assert all(float(value) == 1 for value in accuracy(pred, target, registered).values())


def test_a_single_frame_has_no_pairs():
    assert all(value.isnan().all() for value in accuracy(path(2, 1), path(2, 1)).values())


def test_many_pairs_are_worked_on_in_pieces(monkeypatch):
    whole = accuracy(path(5, 6, seed=1), path(5, 6, seed=2))
    monkeypatch.setattr("mvt4g.metrics.functional.relative_pose.CHUNK", 80)
    for key, value in accuracy(path(5, 6, seed=1), path(5, 6, seed=2)).items():
        assert torch.equal(value, whole[key])


@pytest.mark.parametrize("options", [{"thresholds_deg": (5, 0)}, {"thresholds_deg": (-1,)}, {"auc_deg": 0}])
def test_thresholds_that_are_none_are_refused(options):
    with pytest.raises(InputError, match="thresholds_deg, auc_deg: got"):
        accuracy(path(1, 2), path(1, 2), **options)
