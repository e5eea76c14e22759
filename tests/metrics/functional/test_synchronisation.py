import math

import numpy as np
import pytest
import torch

from mvt4g.metrics.functional.synchronisation import best_offsets, mutual_matches
from tests.reference import synchronisation as twin


def maps(seed: int, size: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("min_similarity", [0.1, 0.85])
@pytest.mark.parametrize("seed", range(3))
def test_matches_are_their_twins(seed, min_similarity):
    features, reference = maps(seed, (4, 5, 4)), maps(seed + 10, (3, 6, 4))
    features[0, 0], reference[1, 1] = 0.0, 0.0
    found = mutual_matches(features, reference, min_similarity)
    wanted = twin.mutual_matches(features.double().numpy(), reference.double().numpy(), min_similarity)
    assert {tuple(cell) for cell in found.matched.nonzero().tolist()} == {cell for cell, *_ in wanted}
    for cell, there, similarity in wanted:
        assert divmod(int(found.nearest[cell]), 6) == there
        assert float(found.similarity[cell]) == pytest.approx(similarity, abs=1e-6)
    total = sum(similarity for *_, similarity in wanted) / 20
    assert float(found.strength()) == pytest.approx(total, abs=1e-6)
    assert len(wanted) > 5 if min_similarity < 0.5 else 0 < len(wanted) < 10


def test_a_permuted_frame_matches_everywhere_and_an_unrelated_one_hardly():
    features = maps(0, (4, 4, 64))
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    permuted = features.flatten(0, 1)[order].reshape(4, 4, 64)
    found = mutual_matches(permuted, features, 0.5)
    assert found.matched.all()
    assert torch.equal(found.nearest.flatten(), order)
    assert float(found.strength()) == pytest.approx(1.0, abs=1e-6)
    assert not mutual_matches(features, maps(2, (4, 4, 64)), 0.5).matched.any()


def test_features_of_length_0_match_nothing_and_are_no_nan():
    features = torch.zeros(2, 2, 3)
    found = mutual_matches(features, features, 0.1)
    assert (found.similarity == 0).all()
    assert not found.matched.any()
    assert found.strength() == 0


def test_best_offsets_by_hand():
    nan = math.nan
    strengths = torch.tensor(
        [
            [nan, 0.2, 0.9],  # the first frame has nothing before it
            [0.1, 0.8, 0.3],
            [0.5, 0.5, 0.1],  # two are best
            [0.5, 0.5 - 1e-7, 0.4],  # and here but for rounding
            [nan, 0.7, nan],  # nothing to compare with
            [nan, nan, nan],
            [0.0, 0.0, 0.0],
            [0.6, 0.5, nan],
        ]
    )
    np.testing.assert_array_equal(best_offsets(strengths, (-1, 0, 1)), [1, 0, nan, nan, nan, nan, nan, -1])
