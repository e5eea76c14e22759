import math

import pytest
import torch

from mvt4g.geometry.rotary import rotate_pairs
from mvt4g.models.layers.rope import axis_dims, rotary_angles
from mvt4g.types import InputError


@pytest.mark.parametrize(
    ("head_dim", "dims"), [(128, (44, 42, 42)), (32, (12, 10, 10)), (24, (8, 8, 8)), (16, (8, 4, 4)), (6, (2, 2, 2))]
)
def test_wans_split_of_the_head(head_dim, dims):
    assert axis_dims(head_dim) == dims


@pytest.mark.parametrize("head_dim", [0, 4, 25])
def test_heads_that_cannot_be_split_are_named(head_dim):
    with pytest.raises(InputError, match=f"head_dim: got {head_dim}"):
        axis_dims(head_dim)


def test_angles_by_hand():
    angles = rotary_angles(32, torch.tensor([7, 2]), 3, 4)
    assert angles.shape == (2, 3, 4, 16)
    assert angles.dtype == torch.float32
    token = angles[1, 2, 3]
    assert token[0] == 2  # first time pair: position 2 times 1
    assert token[1].item() == pytest.approx(2 * 10000 ** (-2 / 12))
    assert token[5].item() == pytest.approx(2 * 10000 ** (-10 / 12))
    assert token[6] == 2  # first row pair
    assert token[7].item() == pytest.approx(2 * 10000 ** (-2 / 10))
    assert token[11] == 3  # first column pair
    assert token[15].item() == pytest.approx(3 * 10000 ** (-8 / 10))


def test_scores_depend_on_relative_position_only():
    query, key = torch.randn(24), torch.randn(24)
    angles = rotary_angles(24, torch.arange(6), 1, 1)[:, 0, 0]
    score = [rotate_pairs(query, angles[i]) @ rotate_pairs(key, angles[i + 2]) for i in range(4)]
    torch.testing.assert_close(torch.stack(score), score[0].expand(4))
    assert not math.isclose(score[0], query @ key, rel_tol=0.01)


def test_far_positions_keep_their_precision():
    """Position 1023 in float32 tables made by float32 powers would be off by about 1e-4."""
    angles = rotary_angles(128, torch.tensor([1023]), 1, 1)[0, 0, 0]
    want = torch.tensor([1023 * 10000 ** (-2 * i / 44) for i in range(22)], dtype=torch.float64)
    assert (angles[:22].double() - want).abs().max() < 4e-5
