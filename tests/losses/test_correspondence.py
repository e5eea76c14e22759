import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mvt4g.losses.correspondence import CorrespondenceLoss, TermRule
from mvt4g.matching.pairs import VIEW_PAIRS
from mvt4g.types import AttentionTap, InputError
from tests.reference.attention_rows import correspondence_loss
from tests.truths import truth_of

BATCH, VIEWS, FRAMES, HEIGHT, WIDTH, HEADS, DIM, POINTS, STRIDE = 3, 2, 3, 3, 4, 2, 4, 4, 8


def loss_of(loss, taps, queries, tracks, visible, valid=None):
    times = next(iter(taps.values())).frame_times
    return loss(taps, truth_of(queries, tracks, visible, valid, times))


def make_tap(seed, layer=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (BATCH, VIEWS, FRAMES, HEIGHT, WIDTH, HEADS, DIM)
    query, key = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    rotary = torch.randn(1, VIEWS, FRAMES, HEIGHT, WIDTH, 1, DIM // 2, generator=generator, dtype=torch.float64)
    return AttentionTap(layer, query.requires_grad_(), key.requires_grad_(), rotary, torch.arange(FRAMES) * 4, STRIDE)


def make_batch(seed=0):
    """Queries, tracks, visibility, validity; the last clip has nothing visible but the queries themselves."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor([WIDTH, HEIGHT]) * STRIDE
    tracks = torch.rand(BATCH, VIEWS, FRAMES, POINTS, 2, generator=generator) * size
    visible = torch.rand(BATCH, VIEWS, FRAMES, POINTS, generator=generator) < 0.7
    visible[-1] = False
    valid = torch.ones(BATCH, POINTS, dtype=torch.bool)
    valid[0, -1] = False
    view = torch.randint(0, VIEWS, (BATCH, POINTS), generator=generator)
    frame = torch.randint(0, FRAMES, (BATCH, POINTS), generator=generator)
    clip, point = torch.arange(BATCH)[:, None], torch.arange(POINTS)
    visible[clip, view, frame, point] = True
    outside = torch.rand(visible.shape, generator=generator) < 0.5
    tracks[~visible & outside] *= 100  # ground truth is kept through occlusion, inside the image and out of it
    queries = torch.cat([torch.stack([view, frame * 4], dim=-1).float(), tracks[clip, view, frame, point]], dim=-1)
    return queries, tracks, visible, valid


OPTIONS = {  # of the loss, and of its twin
    "default": ({}, {}),
    "mean of probabilities": ({"head_reduction": "mean"}, {"reduction": "mean"}),
    "one head": ({"heads": [1]}, {"heads": [1]}),
    "bilinear": ({"label": "bilinear"}, {"label": "bilinear"}),
    "gaussian, mean": (
        {"label": "gaussian", "label_sigma": 0.6, "head_reduction": "mean"},
        {"label": "gaussian", "sigma": 0.6, "reduction": "mean"},
    ),
    "own frame": ({"terms": TermRule(own_frame=True)}, {"own_frame": True}),
    "hidden points": ({"terms": TermRule(occluded=True)}, {"occluded": True}),
    "best head": ({"head_reduction": "best"}, {"reduction": "best"}),
    "one time": (
        {"terms": TermRule(pairs=("ref_tgt", "tgt_ref"), across="own_moment")},
        {"wanted": ("ref_tgt", "tgt_ref"), "one_time_across": True},
    ),
    "left their cell": ({"terms": TermRule(left_cell=True)}, {"left_cell": True}),
    "across views": ({"terms": TermRule(pairs=("ref_tgt", "tgt_ref"))}, {"wanted": ("ref_tgt", "tgt_ref")}),
}


def twin(tap, queries, tracks, visible, valid, query=None, key=None, **options):
    query = tap.query.detach().numpy() if query is None else query
    key = tap.key.detach().numpy() if key is None else key
    rotary = tap.rotary[0, ..., 0, :].numpy()
    arrays = (values.numpy() for values in (queries.double(), tracks.double(), visible, valid))
    return correspondence_loss(query, key, rotary, tap.frame_times.tolist(), tap.stride, *arrays, **options)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("max_logits", [1, 2**23])
def test_equals_the_slow_twin(option, max_logits):
    tap, batch, (ours, its) = make_tap(0), make_batch(), OPTIONS[option]
    terms = loss_of(CorrespondenceLoss(**ours, max_logits=max_logits), {0: tap}, *batch)
    totals, pairs = twin(tap, *batch, **its)
    np.testing.assert_allclose(terms.total.detach(), totals, rtol=1e-6)
    for name in VIEW_PAIRS:
        np.testing.assert_allclose(terms.parts[name], [pair[name] for pair in pairs], rtol=1e-6)
    assert terms.empty.tolist() == [False, False, option not in {"own frame", "hidden points"}]
    assert min(totals[:2]) > 0.5


def test_every_option_changes_the_value():
    tap, batch = make_tap(0), make_batch()
    values = [loss_of(CorrespondenceLoss(**ours), {0: tap}, *batch).total[:2].detach() for ours, _ in OPTIONS.values()]
    assert min((a - b).abs().max() for i, a in enumerate(values) for b in values[:i]) > 1e-3, "in one clip of two"


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("max_logits", [1, 2**23])
def test_gradients_equal_differences_of_the_slow_twin(option, max_logits):
    tap, batch, (ours, its) = make_tap(0), make_batch(), OPTIONS[option]
    loss_of(CorrespondenceLoss(**ours, max_logits=max_logits), {0: tap}, *batch).total.sum().backward()
    rng = np.random.default_rng(0)
    for name in ("query", "key"):
        values = getattr(tap, name)
        direction = rng.standard_normal(values.shape)
        step = 1e-5 * direction
        ahead, behind = (
            twin(tap, *batch, **its, **{name: values.detach().numpy() + sign * step})[0].sum() for sign in (1, -1)
        )
        assert (values.grad.numpy() * direction).sum() == pytest.approx((ahead - behind) / 2e-5, rel=1e-6)


def test_pairs_and_counts_make_up_the_total():
    terms = loss_of(CorrespondenceLoss(), {0: make_tap(0)}, *make_batch())
    weighted = sum(terms.parts[name] * terms.counts[name] for name in VIEW_PAIRS)
    count = sum(terms.counts.values())
    torch.testing.assert_close(weighted / count.clamp(min=1), terms.total.detach())
    assert count[-1] == 0


def test_attention_that_knows_nothing_costs_the_log_of_the_cells():
    tap = make_tap(0)
    blind = AttentionTap(0, torch.zeros_like(tap.query), tap.key, tap.rotary, tap.frame_times, tap.stride)
    terms = loss_of(CorrespondenceLoss(), {0: blind}, *make_batch())
    torch.testing.assert_close(terms.total[:2], torch.full((2,), math.log(HEIGHT * WIDTH), dtype=torch.float64))


def one_hot_tap(scale=60.0):
    """Every token knows its own cell: attention from a cell goes to the same cell of every frame."""
    code = torch.eye(HEIGHT * WIDTH).reshape(1, 1, 1, HEIGHT, WIDTH, 1, HEIGHT * WIDTH) * scale
    code = code.expand(1, VIEWS, FRAMES, -1, -1, -1, -1)
    rotary = torch.zeros(1, VIEWS, FRAMES, HEIGHT, WIDTH, 1, HEIGHT * WIDTH // 2)
    return AttentionTap(0, code, code, rotary, torch.arange(FRAMES) * 4, STRIDE)


def resting_batch(offset=(0.0, 0.0), swapped=False):
    xy = torch.tensor([[[12.0, 4.0], [28.0, 20.0], [4.0, 12.0]]])
    queries = torch.cat([torch.tensor([[[0.0, 0.0], [1.0, 4.0], [0.0, 8.0]]]), xy], dim=-1)
    target = xy.flip(-1) if swapped else xy
    tracks = (target + torch.tensor(offset))[:, None, None].expand(1, VIEWS, FRAMES, 3, 2)
    inside = ((tracks >= 0) & (tracks < torch.tensor([WIDTH, HEIGHT]) * STRIDE)).all(dim=-1)
    return queries, tracks, inside


def test_right_attention_costs_nothing_and_wrong_labels_much():
    """Negative controls: x and y swapped, or labels half a cell off (which is the next cell from a centre)."""
    loss = CorrespondenceLoss()
    assert loss_of(loss, {0: one_hot_tap()}, *resting_batch()).total.item() < 1e-6
    assert loss_of(loss, {0: one_hot_tap()}, *resting_batch(offset=(3.9, 3.9))).total.item() < 1e-6
    assert loss_of(loss, {0: one_hot_tap()}, *resting_batch(offset=(4.0, 0.0))).total.item() > 100
    assert loss_of(loss, {0: one_hot_tap()}, *resting_batch(swapped=True)).total.item() > 100


def test_the_querys_own_frame_does_not_count():
    queries, tracks, visible = resting_batch()
    loss = CorrespondenceLoss()
    whole = loss_of(loss, {0: one_hot_tap()}, queries, tracks, visible)
    assert sum(whole.counts.values()).item() == 3 * (VIEWS * FRAMES - 1)
    own = tracks.clone()
    own[0, 0, 0, 0] = 0.0  # a wrong label there must not be seen
    assert torch.equal(loss_of(loss, {0: one_hot_tap()}, queries, own, visible).total, whole.total)
    elsewhere = tracks.clone()
    elsewhere[0, 1, 0, 0] = 0.0
    assert loss_of(loss, {0: one_hot_tap()}, queries, elsewhere, visible).total.item() > 1


def by_hand(**options):
    """Two heads over 1x2 cells; a query at the first, whose point is 3/4 of a cell from the left in the other frame."""
    key = torch.zeros(1, 1, 2, 1, 2, 2, 2)
    key[0, 0, 1, 0, :, 0, 0] = torch.tensor([math.log(3.0), 0.0]) * 2**0.5  # first head: 3/4 and 1/4
    query = torch.zeros_like(key)
    query[..., 0] = 1.0  # second head: 1/2 and 1/2
    tap = AttentionTap(0, query, key, torch.zeros(1, 1, 2, 1, 2, 1, 1), torch.arange(2), STRIDE)
    queries, tracks = torch.tensor([[[0.0, 0.0, 1.0, 4.0]]]), torch.tensor([6.0, 4.0]).expand(1, 1, 2, 1, 2)
    return loss_of(
        CorrespondenceLoss(**options), {0: tap}, queries, tracks, torch.ones(1, 1, 2, 1, dtype=torch.bool)
    ).total.item()


def test_head_reductions_by_hand():
    assert by_hand() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 2)) / 2)
    assert by_hand(head_reduction="mean") == pytest.approx(-math.log(5 / 8))
    assert by_hand(head_reduction="best") == by_hand(heads=[0]) == pytest.approx(-math.log(3 / 4))
    assert by_hand(heads=[1]) == pytest.approx(-math.log(1 / 2))
    assert by_hand(terms=TermRule(own_frame=True), heads=[0]) == pytest.approx(-(math.log(3 / 4) + math.log(1 / 2)) / 2)


def test_soft_labels_by_hand():
    """A quarter of a cell right of the first centre: 3/4 and 1/4; normal: by their distances of 1/4 and 3/4."""
    assert by_hand(label="bilinear", heads=[0]) == pytest.approx(-0.75 * math.log(3 / 4) - 0.25 * math.log(1 / 4))
    near, far = math.exp(-(0.25**2) / 2), math.exp(-(0.75**2) / 2)
    cost = -(near * math.log(3 / 4) + far * math.log(1 / 4)) / (near + far)
    assert by_hand(label="gaussian", heads=[0]) == pytest.approx(cost)


@pytest.mark.parametrize("heads", [[2], [-1], []])
def test_a_head_that_is_not_there_is_refused(heads):
    with pytest.raises(InputError, match=r"heads: got .*, want some of 0 to 1"):
        loss_of(CorrespondenceLoss(heads=heads), {0: make_tap(0)}, *make_batch())


def test_bad_options_are_refused():
    with pytest.raises(InputError, match="label_sigma: got 0"):
        CorrespondenceLoss(label="gaussian", label_sigma=0.0)
    with pytest.raises(InputError, match=r"terms.pairs: got \(\)"):
        TermRule(pairs=())


def test_layers_are_averaged():
    taps, batch = {2: make_tap(0, 2), 5: make_tap(1, 5)}, make_batch()
    first, second = (loss_of(CorrespondenceLoss([layer]), taps, *batch).total for layer in (2, 5))
    both = loss_of(CorrespondenceLoss([2, 5]), taps, *batch).total
    torch.testing.assert_close(both, (first + second) / 2)
    torch.testing.assert_close(loss_of(CorrespondenceLoss(), taps, *batch).total, both)


def test_a_layer_without_tap_is_refused():
    with pytest.raises(InputError, match=r"layers: got \[7\], want some of the tapped layers \[0\]"):
        loss_of(CorrespondenceLoss([7]), {0: make_tap(0)}, *make_batch())
    with pytest.raises(InputError, match="layers: got an empty list, want null"):
        CorrespondenceLoss([])


def test_nothing_visible_gives_an_exact_zero_with_a_graph():
    tap, (queries, tracks, visible, valid) = make_tap(0), make_batch()
    terms = loss_of(CorrespondenceLoss(), {0: tap}, queries, tracks * math.inf, torch.zeros_like(visible), valid)
    terms.total.sum().backward()
    assert terms.total.tolist() == [0.0] * BATCH
    assert terms.empty.all()
    assert torch.equal(tap.key.grad, torch.zeros_like(tap.key))


def test_positions_that_are_not_finite_do_not_count():
    tap, (queries, tracks, visible, valid) = make_tap(0), make_batch()
    hidden, lost = visible.clone(), tracks.clone()
    hidden[0, 1, 2, 0], lost[0, 1, 2, 0, 1] = False, math.nan
    visible = hidden.clone()
    visible[0, 1, 2, 0] = True
    got = loss_of(CorrespondenceLoss(), {0: tap}, queries, lost, visible, valid).total
    assert torch.equal(got, loss_of(CorrespondenceLoss(), {0: tap}, queries, tracks, hidden, valid).total)
    got.sum().backward()
    assert torch.isfinite(tap.key.grad).all()


def test_what_cannot_be_read_is_refused():
    tap, batch = make_tap(0), make_batch()
    broken = tap.query.detach().clone()
    broken[0, 0, 0, 0, 0, 0, 0] = math.inf
    with torch.no_grad(), pytest.raises(InputError, match="tap of layer 0: got queries or keys that are not finite"):
        loss_of(CorrespondenceLoss(), {0: replace(tap, query=broken)}, *batch)
    queries = batch[0].clone()
    queries[0, 0, 0] = -1
    with pytest.raises(InputError, match="queries: got views from -1 to 1, want 0 to 1"):
        loss_of(CorrespondenceLoss(), {0: tap}, queries, *batch[1:])


def test_bfloat16_autocast_leaves_it_and_its_gradients_in_fp32():
    tap, batch = make_tap(0), make_batch()
    low = replace(tap, query=tap.query.detach().float(), key=tap.key.detach().float(), rotary=tap.rotary.float())
    leaves = low.query.requires_grad_(), low.key.requires_grad_()
    expected = torch.autograd.grad(loss_of(CorrespondenceLoss(), {0: low}, *batch).total.sum(), leaves)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        grads = torch.autograd.grad(loss_of(CorrespondenceLoss(), {0: low}, *batch).total.sum(), leaves)
    assert all(torch.equal(grad, other) for grad, other in zip(grads, expected, strict=True))


def test_one_frame_of_one_cell_costs_nothing_and_has_no_gradient():
    query, key = (torch.randn(1, 2, 1, 1, 1, 2, 4, requires_grad=True) for _ in range(2))
    tap = AttentionTap(0, query, key, torch.zeros(1, 2, 1, 1, 1, 1, 2), torch.arange(1), STRIDE)
    queries = torch.tensor([[[0.0, 0.0, STRIDE - 1e-3, 0.0]]])
    seen = torch.ones(1, 2, 1, 1, dtype=torch.bool)
    loss = loss_of(CorrespondenceLoss(), {0: tap}, queries, torch.zeros(1, 2, 1, 1, 2), seen).total
    loss.sum().backward()
    assert loss.item() == 0
    assert torch.equal(key.grad, torch.zeros_like(key))


def test_inputs_are_not_written_and_clips_do_not_mix():
    tap, batch = make_tap(0), make_batch()
    before = [values.clone() for values in (tap.query, tap.key, *batch)]
    together = loss_of(CorrespondenceLoss(), {0: tap}, *batch).total
    assert all(torch.equal(a, b) for a, b in zip(before, (tap.query, tap.key, *batch), strict=True))
    alone = AttentionTap(0, tap.query[1:2], tap.key[1:2], tap.rotary, tap.frame_times, tap.stride)
    torch.testing.assert_close(loss_of(CorrespondenceLoss(), {0: alone}, *(v[1:2] for v in batch)).total, together[1:2])
