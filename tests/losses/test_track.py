import math

import numpy as np
import pytest
import torch

from mvt4g.losses.track import TrackLoss
from mvt4g.types import TrackPrediction
from tests.reference.track_loss import track_loss
from tests.truths import truth_of


def loss_of(prediction, target, visible, valid, width):
    queries = torch.zeros(*valid.shape, 4)
    return TrackLoss()(prediction, truth_of(queries, target, visible, valid, width=width))


def predict(tracks, visible_logit=None, confidence_logit=None):
    zeros = torch.zeros(tracks.shape[:-1], dtype=tracks.dtype)
    visible_logit = zeros if visible_logit is None else visible_logit
    confidence_logit = zeros if confidence_logit is None else confidence_logit
    return TrackPrediction(tracks, visible_logit, confidence_logit, torch.arange(tracks.shape[3]))


def single(error_x, error_y=0.0, visible=True, iterations=1, width=512, **logits):
    """The terms of one point in one view and frame that is off by an error, in pixels of the given width."""
    tracks = torch.tensor([10.0 + error_x, 20.0 + error_y]).expand(iterations, 1, 1, 1, 1, 2)
    target, shape = torch.tensor([10.0, 20.0]).expand(1, 1, 1, 1, 2), (1, 1, 1, 1)
    logits = {name: torch.full((iterations, *shape), value) for name, value in logits.items()}
    visible, valid = torch.full(shape, visible), torch.ones(1, 1, dtype=torch.bool)
    return loss_of(predict(tracks, **logits), target, visible, valid, width)


def test_huber_by_hand():
    """Per coordinate 0.5 e^2 up to 6, then 6 (e - 3); mean over x and y; times 0.05."""
    assert single(4.0, 0.0).position.item() == pytest.approx(0.05 * (8.0 + 0.0) / 2)
    assert single(10.0, -4.0).position.item() == pytest.approx(0.05 * (6 * 7.0 + 8.0) / 2)
    assert single(6.0, 6.0).position.item() == pytest.approx(0.05 * 18.0)


def test_occluded_points_cost_their_plain_error():
    terms = single(10.0, -4.0, visible=False)
    assert terms.occluded_position.item() == pytest.approx(0.01 * 7.0)
    assert terms.position.item() == 0.0
    assert terms.confidence.item() == 0.0
    assert single(10.0).occluded_position.item() == 0.0


def test_errors_are_counted_in_a_512_wide_image():
    assert single(0.5, 0.25, width=64).position.item() == pytest.approx(single(4.0, 2.0).position.item())
    assert single(2.0, width=64).position.item() == pytest.approx(0.05 * 6 * 13.0 / 2)


def test_later_iterations_weigh_more():
    tracks = torch.tensor([10.0, 14.0, 12.0])[:, None, None, None, None, None].expand(3, 1, 1, 1, 1, 2)
    target, seen = torch.full((1, 1, 1, 1, 2), 10.0), torch.ones(1, 1, 1, 1, dtype=torch.bool)
    terms = loss_of(predict(tracks), target, seen, torch.ones(1, 1, dtype=torch.bool), 512)
    assert terms.position.item() == pytest.approx(0.05 * (0.64 * 0.0 + 0.8 * 8.0 + 1.0 * 2.0) / 3)


def test_cross_entropies_by_hand_and_without_discount():
    softplus = math.log1p(math.exp(-2.0))
    for iterations in (1, 4):
        terms = single(0.0, iterations=iterations, visible_logit=2.0, confidence_logit=-1.0)
        assert terms.visibility.item() == pytest.approx(softplus)
        assert terms.confidence.item() == pytest.approx(math.log1p(math.exp(1.0)))
    assert single(0.0, visible=False, visible_logit=2.0).visibility.item() == pytest.approx(softplus + 2.0)


def test_confidence_is_about_an_error_under_12():
    near, far = (single(error, confidence_logit=3.0).confidence.item() for error in (11.9, 12.1))
    assert near == pytest.approx(math.log1p(math.exp(-3.0)))
    assert far == pytest.approx(near + 3.0)
    assert single(1.6, width=64, confidence_logit=3.0).confidence.item() == pytest.approx(far)  # 12.8 px of 512
    assert single(9.0, 9.0, confidence_logit=3.0).confidence.item() == pytest.approx(far)  # 12.7 px, not 9


@pytest.mark.parametrize("hidden", [0, 1, 3])
def test_confidence_counts_hidden_entries_as_zero_in_its_mean(hidden):
    """CoTracker3 and MV-TAP: the entropy times visibility, averaged over all real (point, frame) entries."""
    seen = 4 - hidden
    tracks = torch.tensor([10.0, 20.0]).expand(1, 1, 1, 1, 5, 2)
    visible = torch.tensor([True] * seen + [False] * hidden + [True]).view(1, 1, 1, 5)
    real = torch.tensor([[True] * 4 + [False]])  # the fifth point is padding, in neither sum nor divisor
    logit = torch.full((1, 1, 1, 1, 5), -1.0)
    terms = loss_of(predict(tracks, confidence_logit=logit), tracks[0], visible, real, 512)
    assert terms.confidence.item() == pytest.approx(seen / 4 * math.log1p(math.exp(1.0)))


def make_case(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 2, 3, 5)
    target = torch.rand(*shape, 2, generator=generator, dtype=dtype) * 64
    tracks = target + torch.randn(3, *shape, 2, generator=generator, dtype=dtype) * 1.5
    logits = [torch.randn(3, *shape, generator=generator, dtype=dtype) * 2 for _ in range(2)]
    visible = torch.rand(shape, generator=generator) < 0.6
    valid = torch.tensor([[True] * 5, [True, False, True, True, False]])
    return [tracks, *logits], target, visible, valid


def twin(inputs, target, visible, valid):
    arrays = [values.detach().numpy() for values in inputs]
    return np.array(
        [
            track_loss(*(values[:, clip] for values in arrays), target[clip].numpy(), visible[clip], valid[clip], 64)
            for clip in range(2)
        ]
    )


def test_equals_the_slow_twin():
    inputs, target, visible, valid = make_case()
    terms = loss_of(predict(*inputs), target, visible, valid, 64)
    got = torch.stack([terms.position, terms.occluded_position, terms.visibility, terms.confidence], dim=-1)
    np.testing.assert_allclose(got, twin(inputs, target, visible, valid), rtol=1e-6)
    torch.testing.assert_close(terms.total, got.sum(dim=-1))
    assert (got > 0.01).all()


def test_gradients_equal_differences_of_the_slow_twin():
    inputs, target, visible, valid = make_case()
    inputs = [values.requires_grad_() for values in inputs]
    loss_of(predict(*inputs), target, visible, valid, 64).total.sum().backward()
    rng = np.random.default_rng(0)
    for index, values in enumerate(inputs):
        direction = torch.from_numpy(rng.standard_normal(values.shape))
        moved = [
            [v.detach() + sign * 1e-6 * direction if i == index else v for i, v in enumerate(inputs)]
            for sign in (1, -1)
        ]
        ahead, behind = (twin(case, target, visible, valid).sum() for case in moved)
        assert (values.grad * direction).sum().item() == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_wrong_targets_cost_more():
    """Negative controls: x and y swapped, half a cell (4 px) off, one frame late."""
    _, target, visible, valid = make_case()
    right = predict(target[None])
    cost = [
        loss_of(right, wrong, visible, valid, 64).position.mean().item()
        for wrong in (target, target.flip(-1), target + 4.0, target.roll(1, dims=2))
    ]
    assert cost[0] == 0.0
    assert min(cost[1:]) > 4.0


def test_clips_without_points_give_an_exact_zero_with_a_graph():
    inputs, target, visible, valid = make_case()
    inputs = [values.requires_grad_() for values in inputs]
    valid[1] = False
    terms = loss_of(predict(*inputs), target, visible, valid, 64)
    terms.total.sum().backward()
    assert terms.empty.tolist() == [False, True]
    assert terms.total[1].item() == 0.0
    assert all(torch.equal(values.grad[:, 1], torch.zeros_like(values.grad[:, 1])) for values in inputs)


def test_nothing_visible_teaches_visibility_and_occluded_positions_only():
    inputs, target, visible, valid = make_case()
    terms = loss_of(predict(*inputs), target, torch.zeros_like(visible), valid, 64)
    assert (terms.position == 0).all()
    assert (terms.confidence == 0).all()
    assert (terms.occluded_position > 0).all()
    assert not terms.empty.any()


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_meaningless_positions_behind_a_camera_do_not_count(value):
    inputs, target, visible, valid = make_case()
    inputs = [values.requires_grad_() for values in inputs]
    visible[0, 1, 2, 3] = False
    wild = target.clone()
    wild[0, 1, 2, 3] = value
    terms = loss_of(predict(*inputs), wild, visible, valid, 64)
    terms.total.sum().backward()
    assert torch.isfinite(terms.total).all()
    assert terms.occluded_position[0].item() < 0.2
    assert all(torch.isfinite(values.grad).all() for values in inputs)


def test_visible_positions_that_are_not_finite_do_not_count():
    inputs, target, visible, valid = make_case()
    visible[0, 1, 2, 3], lost = True, target.clone()
    lost[0, 1, 2, 3, 0] = math.nan
    hidden = visible.clone()
    hidden[0, 1, 2, 3] = False
    got, expected = (loss_of(predict(*inputs), lost, seen, valid, 64) for seen in (visible, hidden))
    assert torch.equal(got.position, expected.position)
    assert torch.equal(got.confidence, expected.confidence)
    assert torch.isfinite(got.total).all()


def test_inputs_are_not_written_and_clips_do_not_mix():
    inputs, target, visible, valid = make_case()
    before = [values.clone() for values in (*inputs, target, visible, valid)]
    together = loss_of(predict(*inputs), target, visible, valid, 64).total
    assert all(torch.equal(a, b) for a, b in zip(before, (*inputs, target, visible, valid), strict=True))
    alone = loss_of(predict(*(v[:, 1:] for v in inputs)), target[1:], visible[1:], valid[1:], 64).total
    torch.testing.assert_close(alone, together[1:])
