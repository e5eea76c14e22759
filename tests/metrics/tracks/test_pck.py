"""PCK: hand values, an independent twin, states that add up, nothing seen."""

import numpy as np
import pytest
import torch
from torchmetrics import MetricCollection

from mvt4g.metrics.functional.tracks import pck
from mvt4g.metrics.tracks.pck import PCK
from mvt4g.types import InputError


def random_tracks(seed: int, count: int = 200) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = 64 * torch.rand(3, count, 2, generator=generator)
    pred = target + 3 * torch.randn(3, count, 2, generator=generator)
    return pred, target, torch.rand(3, count, generator=generator) < 0.7


def test_errors_of_known_size():
    target = torch.zeros(4, 2)
    pred = torch.tensor([[0.0, 0.0], [7.99, 0.0], [8.0, 0.0], [20.0, 0.0]])
    visible = torch.tensor([True, True, True, False])
    assert pck(pred, target, visible, 8.0) == pytest.approx(2 / 3)
    assert pck(pred, target, visible, 8.01) == pytest.approx(1.0), "the threshold itself is a miss, just below it a hit"


def test_equals_a_loop_over_points():
    pred, target, visible = random_tracks(0)
    hits = [
        np.hypot(*(p - t)) < 2.0
        for p, t, seen in zip(
            pred.reshape(-1, 2).numpy(), target.reshape(-1, 2).numpy(), visible.flatten(), strict=True
        )
        if seen
    ]
    assert 0.1 < np.mean(hits) < 0.9
    assert pck(pred, target, visible, 2.0) == pytest.approx(float(np.mean(hits)))


def test_batches_add_up_and_reset_forgets():
    pred, target, visible = random_tracks(1)
    whole, parts = PCK(2.0), PCK(2.0)
    whole.update(pred, target, visible)
    for clip in range(3):
        parts.update(pred[clip], target[clip], visible[clip])
    assert whole.compute() == parts.compute()
    parts.reset()
    parts.update(target, target, visible)
    assert parts.compute() == 1


def test_two_thresholds_stay_two_metrics_in_a_collection():
    """Equal after the first batch, they would be one to torchmetrics, and 4 px would score as 1 px."""
    target, visible = torch.zeros(4, 2), torch.ones(4, dtype=torch.bool)
    collection = MetricCollection({"1px": PCK(1.0), "4px": PCK(4.0)})
    for error in (0.0, 2.0):
        collection.update(target + torch.tensor([error, 0.0]), target, visible)
    assert {key: float(value) for key, value in collection.compute().items()} == {"1px": 0.5, "4px": 1.0}


def test_nothing_seen_is_nan():
    pred, target, visible = random_tracks(2)
    assert pck(pred, target, torch.zeros_like(visible), 2.0).isnan()
    metric = PCK(2.0)
    metric.update(pred, target, torch.zeros_like(visible))
    assert metric.compute().isnan()


def test_nan_prediction_is_a_miss_and_inputs_stay():
    pred, target, visible = random_tracks(3)
    pred[0] = float("nan")
    before = [value.clone() for value in (pred, target, visible)]
    assert pck(pred, target, visible, 1e6) == pytest.approx(float(visible[1:].sum() / visible.sum()))
    assert all(
        torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(before, (pred, target, visible), strict=True)
    )


def test_threshold_must_be_positive():
    with pytest.raises(InputError, match="threshold_px: got 0"):
        PCK(0.0)
