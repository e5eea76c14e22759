"""One pass that says what three functions say, of all heads together and of each."""

from dataclasses import replace

import pytest
import torch

from mvt4g.matching.reading import read_attention
from mvt4g.matching.rows import argmax_matches, cycle_consistent, frame_attention
from mvt4g.types import InputError
from tests.matching.test_rows import coded_tap, make_queries, make_tap, shifted_grids


def by_parts(tap, queries, text=None, max_cells=1.5):
    """What the three functions say, which tests hold against slow twins."""
    matches = argmax_matches(tap, queries)
    spread = frame_attention(tap, queries, other_logsumexp=text)
    return matches.cells, spread.mass, spread.peak, cycle_consistent(tap, queries, matches, max_cells)


def fields(reading):
    return reading.cells, reading.mass, reading.peak, reading.home


@pytest.mark.parametrize("with_text", [False, True])
@pytest.mark.parametrize("max_logits", [2**23, 1000, 1])
def test_says_what_the_parts_say(with_text, max_logits):
    tap = make_tap()
    queries = make_queries(tap)
    queries[:, 0, 1] = tap.frame_times[1] - 1  # between two latent frames, nearer to the later
    text = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64) if with_text else None
    mean, heads = read_attention(tap, queries, other_logsumexp=text, max_logits=max_logits)
    for got, want in zip(fields(mean), by_parts(tap, queries, text), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    for head in range(2):
        one = replace(tap, query=tap.query[..., head : head + 1, :], key=tap.key[..., head : head + 1, :])
        own_text = None if text is None else text[..., head : head + 1]
        for got, want in zip(fields(heads), by_parts(one, queries, own_text), strict=True):
            torch.testing.assert_close(got[head], want, rtol=1e-12, atol=1e-12)
    assert 0.1 < mean.home.float().mean() < 0.9, "both kinds are there"
    assert not torch.equal(heads.cells[0], heads.cells[1]), "heads differ"


@pytest.mark.parametrize("max_cells", [0.5, 1.5, 2.5])
def test_how_near_home_is_the_callers(max_cells):
    tap = make_tap(height=5, width=7)
    queries = make_queries(tap)
    mean, _ = read_attention(tap, queries, max_cells)
    assert torch.equal(mean.home, by_parts(tap, queries, max_cells=max_cells)[3])
    assert torch.equal(mean.home, read_attention(tap, queries, 1.5)[0].home) == (max_cells == 1.5)


def test_only_what_is_wanted_is_matched():
    tap = make_tap(seed=3)
    queries = make_queries(tap)
    wanted = torch.rand(2, 2, 3, 5, generator=torch.Generator().manual_seed(0)) < 0.4
    wanted[1, :, :, 2] = False
    everywhere = read_attention(tap, queries)
    for found, full in zip(read_attention(tap, queries, wanted=wanted, max_logits=500), everywhere, strict=True):
        torch.testing.assert_close(found.mass, full.mass)
        assert torch.equal(found.cells, full.cells.where(wanted[..., None], 0))
        torch.testing.assert_close(found.peak, full.peak.where(wanted, 0))
        assert torch.equal(found.home, full.home & wanted)
        assert (full.home & ~wanted).any(), "there was something to leave out"
    nothing, _ = read_attention(tap, queries, wanted=torch.zeros_like(wanted))
    assert not nothing.home.any()
    assert torch.equal(nothing.mass, everywhere[0].mass)


def test_the_first_of_equals_is_the_match():
    tap = make_tap()
    flat = replace(tap, query=torch.zeros_like(tap.query))
    mean, heads = read_attention(flat, make_queries(tap))
    assert not mean.cells.any()
    assert not heads.cells.any()


def test_logits_beyond_all_numbers_end_in_no_error():
    tap = make_tap()
    huge = replace(tap, query=1e30 * tap.query.float(), key=1e30 * tap.key.float(), rotary=tap.rotary.float())
    mean, _ = read_attention(huge, make_queries(tap))
    assert mean.mass.isnan().any()


def test_values_that_are_not_finite_are_refused():
    tap = make_tap()
    with torch.no_grad(), pytest.raises(InputError, match="tap of layer 0: got queries or keys that are not finite"):
        read_attention(replace(tap, key=torch.full_like(tap.key, torch.nan)), make_queries(tap))


def test_finds_content_where_it_went():
    shifts = torch.zeros(2, 2, 2)
    shifts[..., 0] = torch.tensor([[0.0, 8.0], [16.0, 24.0]])
    mean, heads = read_attention(coded_tap(shifted_grids(shifts)), torch.tensor([[[0.0, 0.0, 12.0, 20.0]]]))
    assert mean.cells[0, ..., 0, :].tolist() == [[[1, 2], [2, 2]], [[3, 2], [4, 2]]]
    assert torch.equal(heads.cells[0], mean.cells)
    assert mean.home.all()


def test_low_precision_is_widened_under_autocast():
    tap = make_tap()
    low = replace(tap, query=tap.query.bfloat16(), key=tap.key.bfloat16())
    wide = replace(tap, query=low.query.float(), key=low.key.float())
    queries = make_queries(tap)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = read_attention(low, queries)
    for reading, wanted in zip(found, read_attention(wide, queries), strict=True):
        for got, want in zip(fields(reading), fields(wanted), strict=True):
            assert torch.equal(got, want)


def test_nothing_asked_is_nothing_said():
    tap = make_tap()
    mean, heads = read_attention(tap, torch.zeros(2, 0, 4))
    assert mean.cells.shape == (2, 2, 3, 0, 2)
    assert heads.mass.shape == (2, 2, 2, 3, 0)
