"""Learning-rate factors by hand."""

import pytest

from mvt4g.systems.schedule import warmup_cosine


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
