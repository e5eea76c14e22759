"""How attention is spread over frames: its slow twin, other tokens, chunks, precision."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvt4g.matching.rows import argmax_matches, frame_attention
from tests.matching.test_rows import make_queries, make_tap
from tests.reference.attention_rows import sequence_row


@pytest.mark.parametrize("with_text", [False, True])
def test_equals_its_slow_twin(with_text):
    tap = make_tap()
    queries = make_queries(tap)
    text = torch.randn(2, 5, 2, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = frame_attention(tap, queries, other_logsumexp=text.logsumexp(dim=-1) if with_text else None)
    arrays = tap.query.numpy(), tap.key.numpy(), tap.rotary[0, ..., 0, :].numpy()
    for clip, point in np.ndindex(2, 5):
        other = text[clip, point].numpy() if with_text else None
        asked = queries[clip, point].double().numpy()
        shares = sequence_row(*arrays, clip, asked, tap.frame_times.tolist(), tap.stride, other)
        np.testing.assert_allclose(found.mass[clip, ..., point], shares.sum(axis=(2, 3)), rtol=1e-6)
        np.testing.assert_allclose(found.peak[clip, ..., point], shares.max(axis=(2, 3)), rtol=1e-6)
    total = found.mass.sum(dim=(1, 2))
    assert total.max() < 0.9999 if with_text else torch.allclose(total, torch.ones_like(total))


@pytest.mark.parametrize("max_logits", [1, 600, 2**23])
def test_chunks_change_nothing(max_logits):
    tap = make_tap(3)
    queries = make_queries(tap)
    whole, parts = frame_attention(tap, queries), frame_attention(tap, queries, max_logits=max_logits)
    torch.testing.assert_close(parts.mass, whole.mass, rtol=1e-12, atol=0)
    torch.testing.assert_close(parts.peak, whole.peak, rtol=1e-12, atol=0)


def test_it_is_no_softmax_per_frame():
    tap = make_tap(4)
    queries = make_queries(tap)
    per_frame = argmax_matches(tap, queries).probability
    assert torch.all(frame_attention(tap, queries).peak < 0.9 * per_frame)


def test_heads_are_averaged_and_one_head_is_a_slice():
    tap = make_tap(5)
    queries = make_queries(tap)
    single = [
        frame_attention(replace(tap, query=tap.query[..., k : k + 1, :], key=tap.key[..., k : k + 1, :]), queries)
        for k in range(2)
    ]
    both = frame_attention(tap, queries)
    torch.testing.assert_close((single[0].mass + single[1].mass) / 2, both.mass)
    assert torch.all(both.peak <= (single[0].peak + single[1].peak) / 2 + 1e-9), "the heads peak at different tokens"
    assert not torch.allclose(single[0].mass, single[1].mass)


def test_half_precision_features_are_widened_even_under_autocast():
    tap = make_tap(6)
    low = replace(tap, query=tap.query.bfloat16(), key=tap.key.bfloat16(), rotary=tap.rotary.float())
    high = replace(low, query=low.query.float(), key=low.key.float())
    queries = make_queries(tap)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = frame_attention(low, queries)
    assert found.mass.dtype == torch.float32
    torch.testing.assert_close(found.mass, frame_attention(high, queries).mass)
