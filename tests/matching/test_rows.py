import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mvt4g.matching.labels import label_log_probability
from mvt4g.matching.rows import (
    argmax_matches,
    cycle_consistent,
    gather_queries,
    rotated,
    row_log_softmax,
    row_logits,
)
from mvt4g.types import AttentionTap
from tests.reference.attention_rows import log_row, rotate


def make_tap(seed=0, batch=2, views=2, frames=3, height=3, width=4, heads=2, dim=6, stride=8, temporal=4):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, views, frames, height, width, heads, dim)
    query, key = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    rotary = torch.randn(1, views, frames, height, width, 1, dim // 2, generator=generator, dtype=torch.float64)
    return AttentionTap(0, query, key, rotary, torch.arange(frames) * temporal, stride)


def make_queries(tap, points=5, seed=1):
    generator = torch.Generator().manual_seed(seed)
    batch, views, frames, height, width = tap.query.shape[:5]
    view = torch.randint(0, views, (batch, points), generator=generator)
    frame = tap.frame_times[torch.randint(0, frames, (batch, points), generator=generator)]
    xy = torch.rand(batch, points, 2, generator=generator) * torch.tensor([width, height]) * tap.stride
    return torch.cat([torch.stack([view, frame], dim=-1).float(), xy], dim=-1)


def coded_tap(position, stride=8, scale=40.0):
    """A tap whose q . k peaks where ``position`` (v f h w 2), where each cell's content lies in the world, agrees."""
    frequencies = torch.tensor([1.0, 2.0, 4.0]) * 2 * math.pi / 256
    angles = (position[..., None] * frequencies).flatten(-2)
    code = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)[None, ..., None, :] * scale**0.5
    views, frames, height, width = position.shape[:4]
    rotary = torch.zeros(1, views, frames, height, width, 1, code.shape[-1] // 2)
    return AttentionTap(0, code, code, rotary, torch.arange(frames), stride)


def shifted_grids(shifts, height=6, width=8, stride=8):
    """World positions of cell centres in frames (v f) whose content has moved by ``shifts`` (v f 2) pixels."""
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([columns, rows], dim=-1) * stride - shifts[:, :, None, None]


def test_rows_equal_their_slow_twin():
    tap = make_tap()
    queries = make_queries(tap)
    rows = gather_queries(tap, queries, rotate=True)
    log_rows = row_log_softmax(rows, rotated(tap)[1])
    arrays = tap.query.numpy(), tap.key.numpy(), tap.rotary[0, ..., 0, :].numpy()
    for clip, point, head, view, frame in np.ndindex(2, 5, 2, 2, 3):
        asked = queries[clip, point].double().numpy()
        twin = log_row(*arrays, clip, head, asked, tap.frame_times.tolist(), tap.stride, view, frame)
        np.testing.assert_allclose(log_rows[clip, point, head, view, frame], twin.flatten(), rtol=1e-6)


def test_logits_are_scaled_dot_products():
    tap = make_tap(batch=1)
    rows = gather_queries(tap, torch.tensor([[[1.0, 4.0, 9.0, 20.0]]]), rotate=False)
    assert torch.equal(rows[0, 0], tap.query[0, 1, 1, 2, 1])
    expected = (tap.query[0, 1, 1, 2, 1, 1] * tap.key[0, 0, 2, 1, 3, 1]).sum() / math.sqrt(6)
    torch.testing.assert_close(row_logits(rows, tap.key)[0, 0, 1, 0, 2, 1 * 4 + 3], expected)


@pytest.mark.parametrize("max_logits", [1, 600, 2**23])
def test_labels_are_read_off_the_rows_whatever_the_chunk(max_logits):
    tap = make_tap()
    queries = make_queries(tap)
    leaves = [values.requires_grad_() for values in (tap.query, tap.key, tap.rotary)]
    labels = torch.randint(0, 12, (2, 2, 3, 5), generator=torch.Generator().manual_seed(2))
    rows = gather_queries(tap, queries, rotate=True)
    chosen = label_log_probability(rows, tap, labels[..., None], max_logits)[..., 0]
    whole = row_log_softmax(rows, rotated(tap)[1])
    expected = whole.permute(0, 3, 4, 1, 2, 5).gather(-1, labels[..., None, None].expand(-1, -1, -1, -1, 2, 1))[..., 0]
    torch.testing.assert_close(chosen, expected, rtol=1e-9, atol=1e-9)
    weight = torch.randn(chosen.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    grads = torch.autograd.grad((chosen * weight).sum(), leaves, retain_graph=True)
    expected_grads = torch.autograd.grad((expected * weight).sum(), leaves)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad, expected_grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("max_logits", [1, 2**23])
def test_gradcheck_of_labels_with_angles_of_every_head_and_clip(max_logits):
    tap = make_tap(frames=2, height=2, width=2, dim=4)
    generator = torch.Generator().manual_seed(1)
    angles = torch.randn(2, 2, 2, 2, 2, 2, 2, generator=generator, dtype=torch.float64)
    rows = torch.randn(2, 3, 2, 4, generator=generator, dtype=torch.float64)
    cells = torch.randint(0, 4, (2, 2, 2, 3, 4), generator=generator)  # four of four: some repeat

    def values(rows, key, angles):
        return label_log_probability(rows, replace(tap, key=key, rotary=angles), cells, max_logits)

    leaves = [values.requires_grad_() for values in (rows, tap.key, angles)]
    assert torch.autograd.gradcheck(values, leaves, fast_mode=True)


def test_queries_between_latents_are_linear_in_time_before_rotation():
    tap = make_tap(batch=1)
    rows = gather_queries(tap, torch.tensor([[[0.0, 5.0, 9.0, 20.0]]]), rotate=False)
    torch.testing.assert_close(rows[0, 0], 0.75 * tap.query[0, 0, 1, 2, 1] + 0.25 * tap.query[0, 0, 2, 2, 1])
    turned = gather_queries(tap, torch.tensor([[[0.0, 5.0, 9.0, 20.0]]]), rotate=True)
    angles = 0.75 * tap.rotary[0, 0, 1, 2, 1, 0] + 0.25 * tap.rotary[0, 0, 2, 2, 1, 0]
    np.testing.assert_allclose(turned[0, 0, 1], rotate(rows[0, 0, 1].numpy(), angles.numpy()), rtol=1e-6)


def test_queries_outside_take_the_border_token():
    tap = make_tap(batch=1)
    rows = gather_queries(tap, torch.tensor([[[1.0, 0.0, -5.0, 99.0]]]), rotate=False)
    assert torch.equal(rows[0, 0], tap.query[0, 1, 0, 2, 0])


def test_argmax_finds_moved_content():
    shifts = torch.tensor([[[0.0, 0.0], [8.0, 0.0]], [[16.0, 8.0], [-8.0, 16.0]]])
    tap = coded_tap(shifted_grids(shifts))
    queries = torch.tensor([[[0.0, 0.0, 28.0, 20.0], [1.0, 1.0, 20.0, 36.0]]])
    matches = argmax_matches(tap, queries)
    world = torch.tensor([[28.0, 20.0], [28.0, 20.0]])
    expected = world + shifts[:, :, None]
    assert torch.equal(matches.pixels[0], expected)
    assert torch.equal(matches.cells[0], (expected // 8).long())
    assert (matches.probability > 0.2).all()
    assert cycle_consistent(tap, queries, matches).all()


def test_argmax_is_not_fooled_by_swaps_and_shifts():
    """Negative control: x and y swapped, or half a cell off, is not the same answer."""
    shifts = torch.tensor([[[0.0, 0.0], [16.0, -8.0]], [[8.0, 8.0], [0.0, 8.0]]])
    tap = coded_tap(shifted_grids(shifts))
    right = argmax_matches(tap, torch.tensor([[[0.0, 0.0, 28.0, 12.0]]]))
    swapped = argmax_matches(tap, torch.tensor([[[0.0, 0.0, 12.0, 28.0]]]))
    shifted = argmax_matches(tap, torch.tensor([[[0.0, 0.0, 28.0 + 4.0, 12.0 + 4.0]]]))
    assert (right.cells != swapped.cells).any(dim=-1).all()
    assert (right.cells != shifted.cells).any(dim=-1).all()


def test_argmax_does_not_depend_on_chunks_and_has_no_gradient():
    tap = make_tap()
    tap.key.requires_grad_()
    whole, chunked = (argmax_matches(tap, make_queries(tap), size) for size in (2**23, 1))
    assert torch.equal(whole.cells, chunked.cells)
    torch.testing.assert_close(whole.probability, chunked.probability)
    assert not whole.probability.requires_grad


def test_cycle_check_refuses_ambiguous_matches():
    """Where all of frame 1 looks like one cell of frame 0, most queries do not come home."""
    position = shifted_grids(torch.zeros(2, 2, 2))
    position[:, 1] = position[:, 1, :1, :1]
    tap = coded_tap(position)
    queries = torch.tensor([[[0.0, 0.0, 60.0, 44.0], [0.0, 0.0, 4.0, 4.0]]])
    consistent = cycle_consistent(tap, queries, argmax_matches(tap, queries))
    assert consistent[0, :, 0].all()
    assert consistent[0, :, 1].tolist() == [[False, True], [False, True]]


def test_rows_stay_in_fp32_under_autocast_and_low_precision_taps():
    tap = make_tap()
    low = AttentionTap(0, tap.query.bfloat16(), tap.key.bfloat16(), tap.rotary.float(), tap.frame_times, tap.stride)
    high = AttentionTap(0, low.query.float(), low.key.float(), low.rotary, tap.frame_times, tap.stride)
    queries, labels = make_queries(tap), torch.zeros(2, 2, 3, 5, 1, dtype=torch.long)
    expected = label_log_probability(gather_queries(high, queries, rotate=True), high, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = label_log_probability(gather_queries(low, queries, rotate=True), low, labels)
    assert got.dtype == torch.float32
    assert torch.equal(got, expected)
