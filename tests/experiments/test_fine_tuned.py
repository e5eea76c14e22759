"""How gradients agree, by hand, and the losses whose gradients are measured."""

import math
from pathlib import Path

import pytest
import torch

from experiments.fine_tuned import gradients, layers
from experiments.fine_tuned.agreement import Products, across, agree, expected_cosine
from mvt4g.sweeps.sweep_file import SweepFile
from mvt4g.types import PointTruth


def products(first, second):
    """Of two losses' gradients, a row a batch."""
    first, second = torch.tensor(first).double(), torch.tensor(second).double()
    return Products(first @ first.T, first @ second.T, second @ second.T)


def test_cosines_of_one_batch_by_hand():
    """cos((1, 0), (1, 1)) = 1/sqrt 2 and cos((0, 2), (0, -3)) = -1; squared norms 1 and 4, 2 and 9."""
    found = agree(products([[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [0.0, -3.0]]))
    assert found.cosine == pytest.approx((0.5**0.5 - 1) / 2)
    assert found.norm == pytest.approx(2.5**0.5)
    assert found.ratio == pytest.approx((11 / 5) ** 0.5)
    assert found.steady_first == pytest.approx(0.0)
    assert found.steady_second == pytest.approx(-(0.5**0.5))
    assert math.isnan(found.expected)


def test_the_expected_cosine_leaves_the_noise_out():
    """Means (1, 0) and (3, 4), with noise on axes of its own for every batch: the cosine is 0.6, a batch's is not."""
    noise = torch.eye(5) * 7
    first = torch.cat([torch.tensor([[1.0, 0.0]]).expand(5, 2), noise], dim=1).tolist()
    second = torch.cat([torch.tensor([[3.0, 4.0]]).expand(5, 2), -noise], dim=1).tolist()
    found = agree(products(first, second))
    assert found.expected == pytest.approx(0.6)
    assert found.error == pytest.approx(0.0, abs=1e-12)
    assert found.expected_ratio == pytest.approx(5.0)
    assert found.cosine == pytest.approx((3 - 49) / math.sqrt(50 * 74))


def test_products_of_different_batches_alone_count():
    assert across(torch.tensor([[9.0, 1.0], [2.0, 9.0]])) == 1.5
    left = products([[1.0, 0.0], [0.0, 5.0], [1.0, 0.0]], [[2.0, 0.0], [0.0, -5.0], [2.0, 0.0]]).without(1)
    assert expected_cosine(left) == pytest.approx(1.0)


def test_products_add_up_over_the_parameters_of_a_group():
    values = {
        "dit.blocks.1.self_attn.q.weight": torch.tensor([[[1.0, 0.0]], [[3.0, 4.0]]]),
        "dit.blocks.1.ffn.0.bias": torch.tensor([[[2.0]], [[0.0]]]),
        "null_text": torch.tensor([[[1.0]], [[1.0]]]),
    }
    found = gradients.by_group(gradients.Gradients(values, ("diff", "corr1"), torch.zeros(2)))
    assert {name: found[name][0, 0, 1, 0].item() for name in found} == {
        "qk1": 3.0, "block1": 3.0, "outside": 1.0, "all": 4.0,
    }  # fmt: skip
    assert found["all"][0, 0, 0, 0] == 6.0


def test_adamw_weighs_a_product_by_the_size_of_the_first_gradient():
    """L_diff's elements are 2 and 0.5 in size: products (4, 1/4) become those of signs, 2 + 0.5."""
    values = {"x": torch.tensor([[[2.0, -0.5]], [[2.0, 0.5]]])}
    scaled = gradients.as_adamw(gradients.Gradients(values, ("diff", "corr1"), torch.zeros(2))).values["x"]
    assert torch.dot(scaled[0, 0], scaled[1, 0]).item() == pytest.approx(2.0 - 0.5, abs=1e-5)
    assert torch.dot(scaled[0, 0], scaled[0, 0]).item() == pytest.approx(2.5, abs=1e-5)


def test_permuted_labels_are_those_of_the_next_query():
    tracks = torch.arange(3.0).reshape(1, 1, 1, 3, 1).expand(1, 2, 1, 3, 2)
    visible = torch.tensor([True, False, True]).expand(1, 2, 1, 3)
    queries = torch.rand(1, 3, 4)
    truth = PointTruth(queries, tracks, visible, torch.ones(1, 3, dtype=torch.bool), torch.tensor([0]), (48, 48))
    found = gradients.permuted(truth)
    assert found.tracks[0, 0, 0, :, 0].tolist() == [2.0, 0.0, 1.0]
    assert found.visible[0, 0, 0].tolist() == [True, True, False]
    assert found.queries is queries


def test_every_run_starts_from_a_base_of_its_seed_that_is_here():
    for run in SweepFile(Path("experiments/fine_tuned/nano.yaml")).runs():
        weights = run.steps[0].options["model.init_args.backbone.init_args.weights"]
        assert weights.endswith(f"none-{run.seed}.safetensors")
        assert Path(weights).is_file()


def test_what_rank_correlations_over_four_blocks_are_by_chance():
    """Of 24 orders one has -1 and one +1: a single base has the whole range, three bases have 13,824 means."""
    assert layers.rank_correlation([1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 40.0, 30.0]) == pytest.approx(0.8)
    assert layers.by_chance(4, 1) == pytest.approx((-1.0, 1.0))
    low, high = layers.by_chance(4, 3)
    assert low == pytest.approx(-high)
    assert 0.5 < high < 0.8  # 1.96 standard deviations of a mean of three are 1.96 / sqrt(3 * 3) = 0.65


def test_the_probe_is_held_against_the_gain_base_by_base():
    """Seed 0 agrees, seed 1 is opposed, seed 2 agrees but for one pair; two bases' levels do not mix."""
    gains = {0: [1, 2, 3, 4], 1: [40, 30, 20, 10], 2: [1, 2, 4, 3]}
    rows = []
    for seed, by_block in gains.items():
        for block, gain in enumerate(by_block):
            row = {"seed": str(seed), "block": str(block), "left": str(seed + block / 10), "all": str(-block)}
            rows.append(row | dict.fromkeys(layers.GAINS, str(gain)))
    lines = layers.table(rows)
    assert [line.split(" | ")[2:6] for line in (lines[2], lines[6])] == [
        ["+1.00", "-1.00", "+0.80", "+0.27"],
        ["-1.00", "+1.00", "-0.80", "-0.27"],
    ]
