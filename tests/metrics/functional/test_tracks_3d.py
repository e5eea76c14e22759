"""TAPVid-3D against hand values and a slow twin."""

import numpy as np
import pytest
import torch

from mvt4g.metrics.functional.tracks_3d import tapvid_3d
from mvt4g.types import InputError
from tests.reference import tapvid as twin


def random_case(number: int) -> dict:
    draw = np.random.default_rng((11, number))
    frames, points = draw.integers(2, 9), draw.integers(1, 8)
    target = draw.normal(0, 1, (frames, points, 3)) + np.array([0, 0, 5])
    scale = draw.uniform(0.2, 3)
    pred = (target + draw.normal(0, 1, target.shape) * draw.choice([0.003, 0.03, 0.3])) * scale
    share = draw.choice([0.0, 0.5, 0.9], p=[0.1, 0.45, 0.45])
    return {
        "target": target,
        "target_visible": draw.uniform(size=pred.shape[:2]) < share,
        "pred": pred,
        "pred_visible": draw.uniform(size=pred.shape[:2]) < 0.8,
        "focal_xy": draw.uniform(50, 400, 2),
        "thresholds": ("pixels", "fixed")[number % 2],
        "scaling": ("median", "per_trajectory", "none")[number % 3],
        "query_frames": draw.integers(0, frames, points),
    }


def score(case: dict) -> dict:
    tensors = {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in case.items()
    }
    focal = tensors.pop("focal_xy")
    tensors["query_frames"] = tensors["query_frames"].float()
    return tapvid_3d(**tensors, intrinsics=torch.diag(torch.cat([focal, torch.ones(1)])))


def test_equals_its_slow_twin():
    met = []
    for number in range(90):
        case = random_case(number)
        found, wanted = score(case), twin.tapvid_3d(**case)
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert float(found[key]) == pytest.approx(value, abs=1e-12, nan_ok=True), f"case {number}, {key}"
        met.append(wanted["average_jaccard"])
    assert np.nanstd(met) > 0.1, "the cases differ"


@pytest.mark.parametrize("option", ["scaling", "thresholds"])
def test_the_twin_tells_every_option_apart(option):
    differ = 0
    for number in range(30):
        case = random_case(number)
        others = {"scaling": {"median": "none", "none": "median", "per_trajectory": "none"}}
        others["thresholds"] = {"pixels": "fixed", "fixed": "pixels"}
        values = [list(twin.tapvid_3d(**c).values()) for c in (case, case | {option: others[option][case[option]]})]
        differ += values[0] != values[1]
    assert differ > 15


@pytest.fixture
def exact() -> dict:
    """Two tracks at depths 2 and 8, everything seen, prediction right."""
    target = torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 8.0]]).repeat(4, 1, 1)
    visible = torch.ones(4, 2, dtype=torch.bool)
    intrinsics = torch.tensor([[100.0, 0.0, 9.0], [0.0, 400.0, 9.0], [0.0, 0.0, 1.0]])
    return {
        "target": target, "target_visible": visible, "pred": target.clone(), "pred_visible": visible.clone(),
        "intrinsics": intrinsics, "scaling": "none",
    }  # fmt: skip


def test_thresholds_grow_with_depth_and_the_geometric_mean_of_the_focal_lengths(exact):
    exact["pred"] = exact["target"] + torch.tensor([0.0, 0.03, 0.0])
    scores = tapvid_3d(**exact)
    assert scores["delta_2px"] == 0.5, "2 px are 0.02 at depth 2 and 0.08 at depth 8: f = sqrt(100 * 400) = 200"
    assert tapvid_3d(**exact, thresholds="fixed")["delta_4cm"] == 1
    assert tapvid_3d(**exact, thresholds="fixed")["delta_1cm"] == 0


@pytest.mark.parametrize("scaling", ["median", "per_trajectory", "none"])
def test_a_scale_of_the_whole_prediction(exact, scaling):
    exact["pred"] *= 3
    scores = tapvid_3d(**exact | {"scaling": scaling}, query_frames=torch.zeros(2))
    assert scores["delta_avg"] == (0 if scaling == "none" else 1)


def test_a_scale_of_each_track_is_removed_per_trajectory_alone(exact):
    exact["pred"] *= torch.tensor([3.0, 0.5])[None, :, None]
    assert tapvid_3d(**exact | {"scaling": "median"})["delta_avg"] < 1
    assert tapvid_3d(**exact | {"scaling": "per_trajectory"}, query_frames=torch.zeros(2))["delta_avg"] == 1


@pytest.mark.parametrize("occluded_in", ["target_visible", "pred_visible"])
def test_entries_occluded_in_either_do_not_set_the_scale(exact, occluded_in):
    exact["pred"] *= 3
    exact["pred"][:3] *= 100
    exact[occluded_in] = torch.tensor([False, False, False, True])[:, None].repeat(1, 2)
    exact["scaling"] = "median"
    scores = tapvid_3d(**exact)
    assert scores["delta_16px"] == (1 if occluded_in == "target_visible" else 0.25)


def test_nothing_seen_in_both_leaves_no_scale_and_no_hit(exact):
    exact["pred_visible"] = torch.zeros(4, 2, dtype=torch.bool)
    exact["scaling"] = "median"
    scores = tapvid_3d(**exact)
    assert scores["delta_avg"] == 0
    assert scores["occlusion_accuracy"] == 0


def test_padding_sets_no_scale_and_scores_nothing(exact):
    exact |= {"scaling": "median", "point_valid": torch.tensor([True, False])}
    exact["pred"][:, 1] = 1e6
    exact["pred"][:, 0] *= 2
    assert tapvid_3d(**exact)["average_jaccard"] == 1
    with_junk = tapvid_3d(**exact | {"scaling": "per_trajectory"}, query_frames=torch.tensor([0.0, -5.0]))
    assert with_junk["average_jaccard"] == 1
    exact["point_valid"] = torch.tensor([True, True])
    assert tapvid_3d(**exact)["average_jaccard"] < 1


@pytest.mark.parametrize("what", ["occluded", "no tracks"])
def test_nothing_to_count_is_nan(exact, what):
    exact["scaling"] = "median"
    if what == "occluded":
        exact["target_visible"] = torch.zeros(4, 2, dtype=torch.bool)
    else:
        names = ("target", "target_visible", "pred", "pred_visible")
        exact |= {name: exact[name][:, :0] for name in names}
    scores = tapvid_3d(**exact)
    assert scores["delta_avg"].isnan()
    assert scores["occlusion_accuracy"].isnan() == (what == "no tracks")


@pytest.mark.usefixtures("without_shape_hook")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pred": torch.zeros(3, 2, 3)}, "pred: got shape"),
        ({"target": torch.zeros(4, 2, 2)}, "target: got shape"),
        ({"pred_visible": torch.ones(4, 1, dtype=torch.bool)}, "pred_visible: got shape"),
        ({"scaling": "mean"}, "scaling: got 'mean'"),
        ({"thresholds": "metres"}, "thresholds: got 'metres'"),
        ({"scaling": "per_trajectory"}, "query_frames: got None"),
        ({"scaling": "per_trajectory", "query_frames": torch.tensor([0.0, 4.0])}, "got frame 4, want 0 to 3"),
    ],
)
def test_bad_input_is_refused_by_name(exact, change, message):
    with pytest.raises(InputError, match=message):
        tapvid_3d(**(exact | change))
