"""Learning-rate factors by hand; Adam fused on a CPU steps as it does tensor by tensor."""

from functools import partial

import pytest
import torch
from torch import nn

from mvt4g.systems.schedule import build_optimizer, warmup_cosine


def test_warm_up_rises_linearly_and_stays():
    factor = warmup_cosine(4, None)
    assert [factor(step) for step in (0, 1, 2, 3, 4, 1000)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_cosine_is_half_way_down_in_the_middle():
    factor = warmup_cosine(10, 110)
    found = [factor(step) for step in (9, 10, 35, 60, 110, 500)]
    assert found == pytest.approx([1.0, 1.0, (1 + 2**-0.5) / 2, 0.5, 0.0, 0.0], abs=1e-12)


def test_neither_is_constant():
    assert {warmup_cosine(0, None)(step) for step in range(5)} == {1.0}


def test_without_warm_up_the_cosine_starts_at_once():
    assert [warmup_cosine(0, 2)(step) for step in (0, 1, 2)] == pytest.approx([1.0, 0.5, 0.0])


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_a_fused_step_equals_one_tensor_by_tensor(kind):
    found = []
    for chosen in ({}, {"foreach": False}):
        torch.manual_seed(0)
        layer = nn.Linear(5, 7).double()
        optimizer = build_optimizer(partial(kind, lr=1e-2, weight_decay=0.1, **chosen), layer.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            layer(torch.linspace(0, 1, 5, dtype=torch.float64)).square().sum().backward()
            optimizer.step()
        found.append(layer.weight.detach())
        assert optimizer.param_groups[0]["fused"] is (None if chosen else True)
    torch.testing.assert_close(*found, rtol=1e-12, atol=0)


def test_other_optimizers_stay_as_they_are():
    sgd = build_optimizer(partial(torch.optim.SGD, lr=0.1), nn.Linear(2, 2).parameters())
    assert not sgd.param_groups[0]["fused"]
