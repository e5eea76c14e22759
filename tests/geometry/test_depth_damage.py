"""Depth damage: known amounts, ladders of one pattern, and nothing where there is no depth."""

import math

import numpy as np
import pytest
import torch

from mvt4g.geometry.depth_damage import DAMAGES, damage_depth, parse_damage
from mvt4g.types import InputError

SIZE = (4, 20, 28)
MOVES = torch.zeros(SIZE, dtype=torch.bool)
MOVES[:, 5:9, 10:14] = True


def maps():
    """A slope with a step, and pixels of every kind of no depth in frame 1."""
    x = torch.arange(SIZE[2])
    depth = torch.where(x > 15, 6.0, 2.0 + 0.01 * x).expand(SIZE).clone()
    depth[1, 0, :3] = torch.tensor([0.0, math.nan, math.inf])
    return depth


def damaged(text, depth=None, seed=0, dynamic=MOVES):
    depth = maps() if depth is None else depth
    return damage_depth(depth, parse_damage([text]), torch.Generator().manual_seed(seed), dynamic)


@pytest.mark.parametrize("kind", ["noise", "grain"])
def test_noise_has_the_deviation_that_it_states_and_no_mean_in_every_frame(kind):
    depth = torch.full(SIZE, 3.0)
    ratio = (damaged(f"{kind}:5", depth) / depth).double().log()
    assert ratio.std(dim=(1, 2), correction=0).tolist() == pytest.approx([0.05] * 4, rel=1e-4)
    assert ratio.mean(dim=(1, 2)).abs().max() < 1e-6
    assert (ratio[0] - ratio[1]).abs().max() > 0.01, "drawn anew for each frame"
    neighbours = (ratio[:, :, 1:] - ratio[:, :, :-1]).std()
    assert (neighbours < 0.05) == (kind == "noise"), "smooth, and not"


def test_factors_of_whole_maps_are_those_stated():
    depth = torch.full(SIZE, 3.0)
    assert damaged("bias:10", depth) == pytest.approx(3.3 * torch.ones(SIZE), rel=1e-6)
    assert damaged("bias:-50", depth) == pytest.approx(1.5 * torch.ones(SIZE), rel=1e-6)
    drift = damaged("drift:33.1", depth)[:, 0, 0] / 3
    assert drift.tolist() == pytest.approx([1.0, 1.1, 1.21, 1.331], rel=1e-6)
    flicker = damaged("flicker:5", torch.full((4000, 1, 1), 2.0), dynamic=None) / 2
    assert float(flicker.log().std()) == pytest.approx(0.05, rel=0.05)
    assert torch.equal(damaged("flicker:5", depth)[:, :1, :1].expand(SIZE), damaged("flicker:5", depth))


@pytest.mark.parametrize(("amount", "count"), [(0, 0), (5, 28), (50, 280), (100, 560)])
def test_holes_are_as_many_as_stated_and_in_one_another(amount, count):
    depth = torch.ones(SIZE)
    found = damaged(f"holes:{amount}", depth) == 0
    assert found.sum(dim=(1, 2)).tolist() == [count] * 4
    assert bool((found <= (damaged("holes:60", depth) == 0)).all()) or amount > 60
    if amount == 5:
        assert not torch.equal(found[0], found[1])


def test_what_moves_alone_is_too_far():
    depth = maps()
    found = damaged("moving:20", depth)
    assert torch.equal(found[~MOVES].nan_to_num(), depth[~MOVES].nan_to_num())
    assert found[MOVES] == pytest.approx(1.2 * depth[MOVES], rel=1e-6)
    with pytest.raises(InputError, match="damage: got moving:20 for a clip without masks"):
        damaged("moving:20", dynamic=None)


def test_edges_are_blurred_in_inverse_depth_and_slopes_are_not():
    depth = torch.full((1, 21, 30), 2.0)
    depth[..., 15:] = 6.0
    found = damaged("edge_blur:1.5", depth, dynamic=None)[0, 10]
    weights = np.exp(-0.5 * (np.arange(-3, 4) / 1.5) ** 2)
    weights /= weights.sum()
    for column in (13, 14, 15, 16):
        inverse = np.array([1 / 2 if column + step < 15 else 1 / 6 for step in range(-3, 4)])
        assert float(found[column]) == pytest.approx(1 / (weights @ inverse), rel=1e-5)
    assert torch.equal(found[:12], depth[0, 10, :12]), "3 pixels away nothing is known of the edge"
    slope = (1 / (0.5 - 0.001 * torch.arange(30.0))).expand(1, 21, 30)
    assert torch.equal(damaged("edge_blur:1.5", slope, dynamic=None), slope)


@pytest.mark.parametrize("name", DAMAGES)
def test_no_kind_makes_depth_or_changes_anything_by_0(name):
    depth = maps()
    kept = depth.clone()
    unchanged = damaged(f"{name}:0", depth)
    assert torch.equal(unchanged.nan_to_num(nan=-1), depth.nan_to_num(nan=-1))
    known = depth.isfinite() & (depth > 0)
    found = damaged(f"{name}:20", depth)
    assert not bool((found.isfinite() & (found > 0) & ~known).any())
    assert torch.equal(depth.nan_to_num(nan=-1), kept.nan_to_num(nan=-1)), "the input is as it was"
    assert not torch.equal(found.nan_to_num(), depth.nan_to_num())
    assert torch.equal(found.nan_to_num(), damaged(f"{name}:20", depth).nan_to_num()), "the seed alone decides"


@pytest.mark.parametrize("name", ["noise", "grain", "flicker"])
def test_a_ladder_is_one_pattern(name):
    depth = torch.full(SIZE, 3.0)
    small = (damaged(f"{name}:1", depth) / 3).log()
    large = (damaged(f"{name}:10", depth) / 3).log()
    assert large == pytest.approx(10 * small, abs=2e-6)
    assert not torch.equal(large, (damaged(f"{name}:10", depth, seed=1) / 3).log())


def test_one_kind_more_changes_no_other_s_pattern():
    depth = torch.full(SIZE, 3.0)
    both = damage_depth(depth, parse_damage(["bias:10", "noise:5"]), torch.Generator().manual_seed(3))
    alone = damage_depth(depth, parse_damage(["noise:5"]), torch.Generator().manual_seed(3))
    assert both == pytest.approx(1.1 * alone, rel=1e-6)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["fog:5"], "damage: got 'fog:5', want KIND:AMOUNT with a kind of noise, grain, bias"),
        (["noise"], "damage: got 'noise', want a number after the colon, such as noise:5"),
        (["noise:x"], "damage: got 'noise:x', want a number"),
        (["noise:-1"], "damage: got noise:-1, want an amount from 0 to 100"),
        (["noise:nan"], "damage: got noise:nan, want an amount"),
        (["holes:101"], "damage: got holes:101, want an amount from 0 to 100"),
        (["noise:1", "noise:2"], "damage: got noise twice"),
    ],
)
def test_what_is_no_damage_is_refused(texts, message):
    with pytest.raises(InputError, match=message):
        parse_damage(texts)
