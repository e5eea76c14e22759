"""Subject and background consistency: the formula, by hand, by a twin, and at its edges."""

import numpy as np
import pytest
import torch

from mvt4g.metrics.functional.temporal_consistency import first_and_previous, temporal_consistency
from tests.reference import temporal_consistency as twin


def score(*features: tuple[float, ...]) -> float:
    return float(temporal_consistency(torch.tensor([features], dtype=torch.float32))[0])


def test_goldens():
    assert score((1, 0), (0, 1), (1, 0)) == 0.25
    assert score((1, 0), (-1, 0)) == 0, "clamped, not -1"
    assert score((3, 4), (3, 4), (3, 4)) == 1
    assert score((1, 0), (5, 0)) == 1, "length is nothing"


def test_each_frame_is_compared_with_its_predecessor_and_the_first():
    """So that it is not symmetric in time."""
    assert score((1, 0), (0, 1), (0, 1)) == (0 + (1 + 0) / 2) / 2
    assert score((0, 1), (0, 1), (1, 0)) == (1 + 0) / 2


def test_random_features_against_the_twin():
    rng = np.random.default_rng(0)
    features = rng.normal(0.3, 1, (20, 7, 5)).astype(np.float32)
    valid = rng.random((20, 7)) < 0.7
    scores, num_terms, num_zero = temporal_consistency(torch.from_numpy(features), torch.from_numpy(valid))
    wanted = [twin.frame_scores(video[keep].tolist()) for video, keep in zip(features, valid, strict=True)]
    assert num_terms.tolist() == [len(terms) for terms in wanted]
    assert not num_zero.any()
    means = [np.mean(terms) if terms else np.nan for terms in wanted]
    np.testing.assert_allclose(scores.numpy(), means, rtol=1e-12)
    assert np.std(means) > 0.05, "the twin would agree with a constant otherwise"


def test_padding_and_gaps_are_as_if_they_had_never_been():
    features = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))
    valid = torch.tensor([[False, True, True, False, True, False]])
    scores, num_terms, _ = temporal_consistency(features, valid)
    assert torch.equal(scores, temporal_consistency(features[:, [1, 2, 4]])[0])
    assert num_terms.tolist() == [2]
    assert not torch.allclose(scores, temporal_consistency(features)[0])


def test_first_and_previous_frames():
    valid = torch.tensor([[False, True, False, True, True], [True, True, False, False, False]])
    first, before = first_and_previous(valid)
    assert first.tolist() == [1, 0]
    assert before.tolist() == [[-1, -1, 1, 1, 3], [-1, 0, 1, 1, 1]]


@pytest.mark.parametrize("kept", [0, 1])
def test_fewer_than_two_frames_have_no_score(kept):
    """VBench divides by zero here, and later by rule says 1."""
    valid = torch.arange(4)[None] < kept
    scores, num_terms, _ = temporal_consistency(torch.ones(1, 4, 2), valid)
    assert scores.isnan().all()
    assert num_terms.tolist() == [0]
    assert temporal_consistency(torch.ones(1, 1, 2))[0].isnan().all()


def test_features_of_norm_zero_are_unlike_everything_and_counted():
    features = torch.tensor([[[1.0, 0], [0, 0], [1, 0]], [[0, 0], [0, 0], [0, 0]]])
    scores, _, num_zero = temporal_consistency(features, torch.tensor([[True, True, True], [True, True, False]]))
    assert scores.tolist() == [0.25, 0.0]
    assert num_zero.tolist() == [1, 2]


def test_gradients_are_finite_where_norms_are_zero_and_videos_short():
    features = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    features[0, 1] = 0
    features.requires_grad_()
    valid = torch.tensor([[True] * 4, [True] * 4, [True, False, False, False]])
    temporal_consistency(features, valid)[0].nansum().backward()
    assert features.grad.isfinite().all()
    assert features.grad[:2].abs().amax((1, 2)).min() > 0


def test_half_precision_is_promoted():
    features = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert torch.equal(temporal_consistency(features)[0], temporal_consistency(features.float())[0])
