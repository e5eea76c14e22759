"""TAP-Vid against its golden, a slow twin and the mistakes of copies of it."""

import math

import numpy as np
import pytest
import torch

from mvt4g.metrics.functional.tracks import tapvid
from mvt4g.types import InputError
from tests.reference import tapvid as twin


@pytest.fixture
def golden() -> dict:
    """One point, five frames, query at 1; occluded at 4; predicted 3 px off at 2, and occluded at 3 alone."""
    target = torch.full((5, 1, 2), 100.0)
    pred = target.clone()
    pred[2, 0, 0] += 3.0
    return {
        "queries": torch.tensor([[1.0, 100.0, 100.0]]),
        "target": target,
        "target_visible": torch.tensor([True, True, True, True, False])[:, None],
        "pred": pred,
        "pred_visible": torch.tensor([True, True, True, False, True])[:, None],
        "image_size": (256, 256),
    }


@pytest.mark.parametrize(
    ("query_mode", "accuracy", "delta", "jaccard"), [("first", 1 / 3, 0.8, 0.2), ("strided", 0.5, 0.866667, 0.38)]
)
def test_golden_of_tapnet(golden, query_mode, accuracy, delta, jaccard):
    scores = tapvid(**golden, query_mode=query_mode)
    assert scores["occlusion_accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert scores["delta_avg"] == pytest.approx(delta, abs=1e-6)
    assert scores["average_jaccard"] == pytest.approx(jaccard, abs=1e-6)
    assert scores["delta_2px"] < scores["delta_4px"], "3 px of 256"


def random_case(number: int) -> dict:
    """Sizes, image shape, visibility and errors differ; some errors are whole pixels, so that ties are met."""
    draw = np.random.default_rng((7, number))
    frames, points = draw.integers(1, 12), draw.integers(0, 9)
    image_size = [(256, 256), (64, 128), (480, 832), (33, 70)][number % 4]
    target = draw.uniform(0, 1, (frames, points, 2)) * image_size[::-1]
    error = draw.normal(0, 1, target.shape) * draw.choice([0.1, 1, 4, 16]) * np.array(image_size[::-1]) / 256
    if number % 3 == 0:
        target, error = np.round(target), np.round(error)
    pred = target + error
    pred[draw.uniform(size=pred.shape[:2]) < 0.03] = np.nan
    share = draw.choice([0.0, 0.3, 0.8, 1.0])
    frame = draw.integers(0, frames, points)
    return {
        "queries": np.stack([frame, draw.uniform(0, 9, points), draw.uniform(0, 9, points)], axis=-1),
        "target": target,
        "target_visible": draw.uniform(size=pred.shape[:2]) < share,
        "pred": pred,
        "pred_visible": draw.uniform(size=pred.shape[:2]) < 0.7,
        "image_size": image_size,
        "query_mode": ("first", "strided")[number // 2 % 2],
        "same_view": draw.uniform(size=points) < draw.choice([0.0, 0.5, 1.0]),
    }


def as_tensors(case: dict) -> dict:
    return {name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in case.items()}


def test_equals_its_slow_twin_on_200_cases():
    met = []
    for number in range(200):
        case = random_case(number)
        found, wanted = tapvid(**as_tensors(case)), twin.tapvid(**case)
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert float(found[key]) == pytest.approx(value, abs=1e-12, nan_ok=True), f"case {number}, {key}"
        met.append(wanted["average_jaccard"])
    assert np.isnan(met).any(), "a case with nothing to count"
    assert np.nanstd(met) > 0.1, "the cases differ"


@pytest.mark.parametrize("change", ["same_view", "query_mode", "image_size"])
def test_the_twin_tells_every_option_apart(change):
    other = {"same_view": lambda case: ~case, "query_mode": {"first": "strided", "strided": "first"}.get}
    other["image_size"] = lambda size: (size[1], 2 * size[0])
    differ = 0
    for number in range(200):
        case = random_case(number)
        changed = case | {change: other[change](case[change])}
        differ += twin.tapvid(**changed)["average_jaccard"] != twin.tapvid(**case)["average_jaccard"]
    assert differ > 100


def test_upstream_copies_before_2023_count_frames_before_the_query(golden):
    golden["pred"][0] += 50
    golden["pred_visible"][0] = False
    right = tapvid(**golden, query_mode="first")
    assert right["average_jaccard"] == pytest.approx(0.2)
    every_frame = golden | {"queries": torch.tensor([[0.0, 0.0, 0.0]]), "same_view": False}
    assert tapvid(**every_frame)["occlusion_accuracy"] == pytest.approx(2 / 5), "what such a copy would count"
    assert right["occlusion_accuracy"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("query_mode", "frames"), [("first", 4), ("strided", 5)])
def test_a_query_of_another_view_is_scored_on_its_own_frame(golden, query_mode, frames):
    golden["pred"][1] += 50
    hits = {"first": 1, "strided": 2}[query_mode]
    scores = tapvid(**golden, query_mode=query_mode, same_view=False)
    seen = frames - 1
    assert scores["delta_1px"] == pytest.approx(hits / seen)
    assert tapvid(**golden, query_mode=query_mode)["delta_1px"] == pytest.approx(hits / (seen - 1))


def test_thresholds_are_strict_and_in_pixels_of_256():
    target, visible = torch.zeros(2, 1, 2), torch.ones(2, 1, dtype=torch.bool)
    for off, hit in ((4.0, 0.0), (3.999, 1.0)):
        pred = target + torch.tensor([off * 832 / 256, 0.0])
        scores = tapvid(torch.zeros(1, 3), target.double(), visible, pred.double(), visible, (480, 832))
        assert scores["delta_4px"] == hit
        across = tapvid(torch.zeros(1, 3), target, visible, pred.flip(-1), visible, (480, 832))
        assert across["delta_4px"] == 0, "the same number of pixels is more of the height"


def test_nan_prediction_is_a_miss_and_a_false_positive(golden):
    golden["pred"][2] = torch.nan
    scores = tapvid(**golden)
    assert scores["delta_16px"] == 0.5
    assert scores["jaccard_16px"] == 0, "called visible in frames 2 and 4, neither right"


def test_what_occluded_entries_hold_changes_nothing(golden):
    before = tapvid(**golden)
    golden["target"][4] = torch.nan
    assert all(torch.equal(value, before[key]) for key, value in tapvid(**golden).items())


@pytest.mark.parametrize("visible_called", [True, False])
def test_all_occluded_has_no_share_within(golden, visible_called):
    golden["target_visible"] = torch.zeros(5, 1, dtype=torch.bool)
    golden["pred_visible"] = torch.full((5, 1), visible_called)
    scores = tapvid(**golden)
    assert scores["delta_avg"].isnan()
    assert scores["occlusion_accuracy"] == (0.0 if visible_called else 1.0)
    jaccard = float(scores["average_jaccard"])
    assert jaccard == 0 if visible_called else math.isnan(jaccard), "false positives are something to count"


@pytest.mark.parametrize("what", ["query at the last frame", "no tracks"])
def test_nothing_scored_is_nan(golden, what):
    if what == "no tracks":
        golden = {key: value[:, :0] if isinstance(value, torch.Tensor) else value for key, value in golden.items()}
        golden["queries"] = torch.zeros(0, 3)
    else:
        golden["queries"][0, 0] = 4.0
    assert all(value.isnan() for value in tapvid(**golden).values())


@pytest.mark.usefixtures("without_shape_hook")
@pytest.mark.parametrize("name", ["target_visible", "pred", "pred_visible"])
def test_other_length_is_refused_by_name(golden, name):
    golden[name] = golden[name][:4]
    with pytest.raises(InputError, match=rf"^{name}: got shape \(4, 1.*want \(5, 1"):
        tapvid(**golden)


@pytest.mark.usefixtures("without_shape_hook")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_mode": "all"}, "query_mode: got 'all'"),
        ({"image_size": (256, 0)}, "image_size: got"),
        ({"queries": torch.tensor([[-1.0, 0.0, 0.0]])}, "queries: got frame -1, want 0 to 4"),
        ({"queries": torch.tensor([[torch.nan, 0.0, 0.0]])}, "queries: got frame nan"),
        ({"queries": torch.zeros(2, 3)}, "queries: got shape"),
        ({"target": torch.zeros(5, 1, 3)}, "target: got shape"),
    ],
)
def test_bad_input_is_refused_by_name(golden, change, message):
    with pytest.raises(InputError, match=message):
        tapvid(**(golden | change))


def test_inputs_stay(golden):
    before = {key: value.clone() for key, value in golden.items() if isinstance(value, torch.Tensor)}
    tapvid(**golden, query_mode="strided", same_view=False)
    assert all(torch.equal(value, golden[key]) for key, value in before.items())
