"""Attention PCK: right cell, right kind, moved terms apart; the upstream mistakes as negative controls."""

import pytest
import torch

from mvt4g.metrics.attention.attention_pck import AttentionPCK
from mvt4g.metrics.functional.attention import attention_terms
from tests.truths import with_truth

STRIDE, GRID, FRAMES, QUERIES = 8, (6, 9), 3, 40


@pytest.fixture
def truth() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    size = torch.tensor([GRID[1] * STRIDE, GRID[0] * STRIDE]).float()
    tracks = size * torch.rand(2, 2, FRAMES, QUERIES, 2, generator=generator)
    view = torch.randint(2, (2, QUERIES), generator=generator)
    frame = torch.randint(FRAMES, (2, QUERIES), generator=generator)
    clip = torch.arange(2)[:, None]
    xy = tracks[clip, view, frame, torch.arange(QUERIES)]
    return {
        "queries": torch.cat([torch.stack([view, frame], dim=-1).float(), xy], dim=-1),
        "target_tracks": tracks,
        "target_visible": torch.rand(2, 2, FRAMES, QUERIES, generator=generator) < 0.8,
        "query_valid": torch.rand(2, QUERIES, generator=generator) < 0.9,
        "frame_times": torch.arange(FRAMES),
    }


def score(truth: dict[str, torch.Tensor], cells: torch.Tensor) -> dict[str, torch.Tensor]:
    metric = AttentionPCK((0,))
    metric.update(0, cells, stride=STRIDE, **with_truth(truth))
    return metric.compute()


def true_cells(truth: dict[str, torch.Tensor]) -> torch.Tensor:
    return (truth["target_tracks"] // STRIDE).long()


def test_true_cells_score_one_in_every_kind(truth):
    scores = score(truth, true_cells(truth))
    assert all(scores[f"layer0/{kind}{part}"] == 1 for kind in ("ref", "tgt", "cross") for part in ("", "_all"))


@pytest.mark.parametrize("mistake", ["swapped axes", "half a cell", "next frame", "other view"])
def test_mistakes_of_convention_score_near_chance(truth, mistake):
    wrong = {
        "swapped axes": true_cells(truth).flip(-1),
        "half a cell": ((truth["target_tracks"] + STRIDE / 2) // STRIDE).long(),
        "next frame": true_cells(truth).roll(1, dims=2),
        "other view": true_cells(truth).flip(1),
    }[mistake]
    bar = 0.5 if mistake == "half a cell" else 0.2
    assert score(truth, wrong)["layer0/cross"] < bar


def test_the_querys_own_cell_scores_nothing_on_moved_terms(truth):
    own = (truth["queries"][:, None, None, :, 2:] // STRIDE).long().expand(-1, 2, FRAMES, -1, -1)
    scores = score(truth, own)
    assert scores["layer0/cross"] == 0
    assert scores["layer0/cross_all"] == scores["same_cell/cross_all"]
    assert 0 < scores["same_cell/cross_all"] < 0.2


def test_counts_by_a_loop(truth):
    cells = true_cells(truth)
    cells[:, :, 1] += 1
    hits = {kind: [0, 0] for kind in ("ref", "tgt", "cross")}
    for b in range(2):
        for q in range(QUERIES):
            view, frame, x, y = truth["queries"][b, q].tolist()
            for v in range(2):
                for f in range(FRAMES):
                    itself = v == view and f == frame
                    if itself or not truth["target_visible"][b, v, f, q] or not truth["query_valid"][b, q]:
                        continue
                    cell = [int(value // STRIDE) for value in truth["target_tracks"][b, v, f, q].tolist()]
                    if cell == [int(x // STRIDE), int(y // STRIDE)]:
                        continue
                    kind = "cross" if v != view else ("ref", "tgt")[v]
                    hits[kind][0] += cells[b, v, f, q].tolist() == cell
                    hits[kind][1] += 1
    scores = score(truth, cells)
    for kind, (hit, total) in hits.items():
        assert 0.4 < hit / total < 0.9
        assert scores[f"layer0/{kind}"] == pytest.approx(hit / total)


def test_batches_add_up(truth):
    cells = true_cells(truth)
    cells[0] += 1
    parts = AttentionPCK((0,))
    for b in range(2):
        one = {name: value[b : b + 1] if name != "frame_times" else value for name, value in truth.items()}
        parts.update(0, cells[b : b + 1], stride=STRIDE, **with_truth(one))
    whole, added = score(truth, cells), parts.compute()
    assert all(torch.equal(whole[key], added[key]) for key in whole)


def test_nothing_valid_is_nan(truth):
    truth["query_valid"] = torch.zeros_like(truth["query_valid"])
    assert all(value.isnan() for value in score(truth, true_cells(truth)).values())


def test_terms_do_not_write_into_inputs(truth):
    before = {name: value.clone() for name, value in truth.items()}
    attention_terms(true_cells(truth), stride=STRIDE, **with_truth(truth))
    assert all(torch.equal(before[name], truth[name]) for name in truth)
