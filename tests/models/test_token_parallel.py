"""Slices of tokens: together the whole grid in its order, axes of 1 repeated, uneven shares refused."""

import pytest
import torch

from mvt4g.models.token_parallel import TokenSlices
from mvt4g.types import InputError

GRID = torch.Size((3, 2, 4))


def slices_of(rank, ranks):
    slices = TokenSlices.__new__(TokenSlices)  # without a process group
    slices.rank, slices.ranks = rank, ranks
    return slices


@pytest.mark.parametrize("shape", [(2, 3, 2, 4, 5), (1, 3, 1, 1, 5), (2, 3, 2, 4, 1, 6)])
def test_slices_are_the_whole(shape):
    values = torch.randn(shape)
    parts = [slices_of(rank, 4).own(values, GRID) for rank in range(4)]
    assert all(part.shape == (shape[0], 6, 1, 1, *shape[4:]) for part in parts)
    whole = torch.cat(parts, dim=1).reshape(shape[0], *GRID, *shape[4:])
    assert torch.equal(whole, values.expand(whole.shape))


def test_uneven_shares():
    with pytest.raises(InputError, match=r"^tokens: got 24 \(3 x 2 x 4\), want a multiple of 5 ranks"):
        slices_of(0, 5).own(torch.randn(1, *GRID, 2), GRID)
