import itertools
import math
from collections import Counter

import numpy as np
import pytest

from mvt4g.data.views import ViewSpec
from mvt4g.types import InputError


def drawn(spec, views, count=1200):
    return Counter(spec.draw(views, np.random.default_rng(seed), "clip") for seed in range(count))


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        (ViewSpec(), set(itertools.permutations(range(4), 2))),
        (ViewSpec(reference=(0,)), {(0, 1), (0, 2), (0, 3)}),
        (ViewSpec(target=(3, 1)), {(0, 1), (0, 3), (1, 3), (2, 1), (2, 3), (3, 1)}),
        (ViewSpec((0, 1), (1, 9)), {(0, 1)}),
        (ViewSpec(same=True), set(itertools.product(range(4), repeat=2))),
        (ViewSpec(reference=(1,), same=True), {(1, 0), (1, 1), (1, 2), (1, 3)}),
    ],
)
def test_every_allowed_pair_is_drawn_as_often_as_any_other(spec, allowed):
    counts = drawn(spec, 4)
    assert set(counts) == allowed
    share = 1 / len(allowed)
    assert all(abs(count - 1200 * share) <= 3.5 * math.sqrt(1200 * share * (1 - share)) for count in counts.values())


def test_held_out_clips_take_the_first_pair():
    assert ViewSpec().pairs(3, "clip")[0] == (0, 1)
    assert ViewSpec(reference=(2,)).pairs(3, "clip")[0] == (2, 0)
    assert ViewSpec(same=True).pairs(3, "clip")[0] == (0, 1)


def test_one_view_is_enough_where_both_may_be_the_same():
    spec = ViewSpec(same=True)
    assert spec.draw(1, np.random.default_rng(0), "clip") == (0, 0)
    assert spec.pairs(1, "clip") == [(0, 0)]
    with pytest.raises(InputError, match="scene 7: got 0 views"):
        spec.draw(0, np.random.default_rng(0), "scene 7")


def test_a_clip_without_a_pair_is_named():
    with pytest.raises(InputError, match="scene 7: got 1 view, want a reference and a target at least"):
        ViewSpec().draw(1, np.random.default_rng(0), "scene 7")
    with pytest.raises(InputError, match=r"scene 7: got 2 views, want .* one of \[5\] and any \(sampling\.views\)"):
        ViewSpec(reference=(5,)).pairs(2, "scene 7")


@pytest.mark.parametrize("views", [(), (-1,)])
def test_bad_values_are_named(views):
    with pytest.raises(InputError, match=r"sampling\.views\.target: got \("):
        ViewSpec(target=views)
