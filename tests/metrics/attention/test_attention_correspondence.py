"""Attention correspondence: goldens, a slow twin, a toy wired to the truth, and DiffTrack's mistakes by number.

Of the eleven mistakes that ``difftrack.py`` lists, 4, 7 and 9 change nothing that is computed here: no grid is sampled,
no second softmax is taken, no results are parsed. 11, sizes written into the code, is the odd sizes of all of this.
"""

import math
import warnings

import numpy as np
import pytest
import torch

from mvt4g.matching.rows import argmax_matches, cycle_consistent, frame_attention
from mvt4g.matching.tokens import interpolate_frames
from mvt4g.metrics.attention.attention_correspondence import AttentionCorrespondence
from mvt4g.metrics.functional.attention_correspondence import frame_mass_and_peak, harmonic_mean
from mvt4g.types import AttentionTap, InputError
from tests.matching.test_rows import coded_tap, shifted_grids
from tests.metrics.cases.attention import LAYERS, STRIDE, attention
from tests.reference import attention_correspondence as twin
from tests.reference.difftrack import (
    difftrack_confidence,
    difftrack_matching_accuracy,
    difftrack_read_cells,
    difftrack_tracks,
)
from tests.truths import with_truth

THRESHOLD = 4.0


def maps(*updates: dict, **options) -> dict[str, torch.Tensor]:
    metric = AttentionCorrespondence(**{"layers": LAYERS, "num_steps": 2, "threshold_px": THRESHOLD} | options)
    for update in updates:
        metric.update(**with_truth(update))
    return metric.compute()


def one_query(errors, visible, stride=16, mass=None, peak=None) -> dict:
    """One query of the reference at frame 0; what is found in the other frames lies ``errors`` pixels off."""
    frames = len(errors) + 1
    tracks = torch.full((1, 1, frames, 1, 2), stride / 2)
    tracks[0, 0, 1:, 0, 0] += torch.tensor(errors)
    share = torch.full((1, 1, frames, 1), 0.1)
    return {
        "layer": 0, "step": 0, "stride": stride,
        "match_cells": torch.zeros(1, 1, frames, 1, 2, dtype=torch.int64),
        "mass": share if mass is None else mass, "peak": share if peak is None else peak,
        "queries": torch.tensor([[[0.0, 0.0, stride / 2, stride / 2]]]),
        "target_tracks": tracks,
        "target_visible": torch.tensor([True, *visible])[None, None, :, None],
        "query_valid": torch.ones(1, 1, dtype=torch.bool),
        "frame_times": 4 * torch.arange(frames),
    }  # fmt: skip


def test_golden_of_matching_accuracy():
    update = one_query([0.0, 7.99, 8.0, 20.0], [True, True, True, False])
    found = maps(update, layers=(0,), num_steps=1, threshold_px=8.0)
    assert 100 * found["ref/matching_accuracy"].item() == pytest.approx(66.6667, abs=1e-4)


def test_golden_of_attention_score_and_confidence():
    row = torch.tensor([0.1, 0.2, 0.1, 0.5, 0.1])  # text, two tokens of frame 0, two of frame 1
    mass, peak = frame_mass_and_peak(row, torch.tensor([-1, 0, 0, 1, 1]), num_frames=2)
    update = one_query([0.0], [True], mass=mass[None, None, :, None], peak=peak[None, None, :, None])
    found = maps(update, layers=(0,), num_steps=1)
    assert found["ref/attention_score"].item() == pytest.approx(0.6)
    assert found["ref/confidence"].item() == pytest.approx(0.5)
    without_text = frame_mass_and_peak(row[1:] / row[1:].sum(), torch.tensor([0, 0, 1, 1]), num_frames=2)[0]
    assert without_text[1] == pytest.approx(0.6667, abs=1e-4), "the softmax is over everything there is"


def test_golden_of_the_harmonic_mean():
    accuracy, confidence, score = [[10.0, 20.0], [30.0, 10.0]], [[0.1, 0.2], [0.3, 0.1]], [[0.2, 0.4], [0.4, 0.2]]
    found = harmonic_mean(*(torch.tensor(values, dtype=torch.float64) for values in (accuracy, confidence, score)))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.6], [1.0, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize("cross_frames", ["same", "all"])
def test_equals_its_slow_twin(cross_frames):
    updates = [attention(seed) for seed in range(4)]
    found = maps(*updates, cross_frames=cross_frames)
    for seed, update in enumerate(updates):
        arrays = {key: value.double().numpy() for key, value in update.items() if isinstance(value, torch.Tensor)}
        wanted = twin.scores(
            arrays["match_cells"], arrays["mass"], arrays["peak"], arrays["queries"], arrays["target_tracks"],
            arrays["target_visible"] > 0, arrays["query_valid"] > 0, arrays["frame_times"], STRIDE, THRESHOLD,
            arrays["cycle_consistent"] > 0, cross_frames,
        )  # fmt: skip
        assert {key for key in found if not key.endswith("harmonic_mean")} == wanted.keys()
        for key, value in wanted.items():
            assert float(found[key][seed % 2, seed // 2]) == pytest.approx(value, abs=1e-12), key
        assert 0.2 < wanted["cross/matching_accuracy"] < 0.8
    assert found["cross/num_matches"][0, 0] > 20


def test_cross_frames_tell_apart():
    same, every = (maps(attention(0), cross_frames=frames) for frames in ("same", "all"))
    assert same["cross/num_matches"][0, 0] < every["cross/num_matches"][0, 0] / 2
    assert same["cross/attention_score"][0, 0] < every["cross/attention_score"][0, 0]
    assert torch.equal(same["ref/confidence"].nan_to_num(), every["ref/confidence"].nan_to_num())


def test_the_directions_make_up_the_cross_panel():
    found = maps(attention(0))
    both, to_target, to_reference = (
        found[f"cross{way}/num_matches"][0, 0] for way in ("", "_ref_to_tgt", "_tgt_to_ref")
    )
    assert both == to_target + to_reference
    assert 0 < to_target < both
    accuracy = [found[f"cross{way}/matching_accuracy"][0, 0] for way in ("", "_ref_to_tgt", "_tgt_to_ref")]
    assert accuracy[0] == pytest.approx(float((accuracy[1] * to_target + accuracy[2] * to_reference) / both))


def test_matches_that_do_not_come_home_are_dropped_and_told():
    update = attention(0) | {"cycle_consistent": None}
    every = maps(update)
    found = maps(update | {"cycle_consistent": attention(0)["cycle_consistent"]})
    assert every["cross/reliable_share"][0, 0] == 1
    kept = found["cross/num_matches"][0, 0] / every["cross/num_matches"][0, 0]
    assert found["cross/reliable_share"][0, 0] == kept < 0.9
    for unmoved in ("confidence", "accuracy_of_all"):
        assert torch.equal(found[f"cross/{unmoved}"].nan_to_num(), every[f"cross/{unmoved}"].nan_to_num())
    assert found["cross/accuracy_of_all"][0, 0] == every["cross/matching_accuracy"][0, 0]
    assert found["cross/accuracy_of_all"][0, 0] != found["cross/matching_accuracy"][0, 0]
    nothing = maps(update | {"cycle_consistent": torch.zeros_like(update["target_visible"])})
    assert nothing["cross/matching_accuracy"][0, 0].isnan()
    assert nothing["cross/reliable_share"][0, 0] == 0


def test_the_harmonic_mean_is_of_pooled_maps():
    updates = [attention(seed) for seed in range(4)] + [attention(seed + 8) for seed in range(4)]
    pooled = maps(*updates)
    wanted = harmonic_mean(
        *(pooled[f"cross/{name}"] for name in ("matching_accuracy", "attention_score", "confidence"))
    )
    assert torch.equal(pooled["cross/harmonic_mean"], wanted)
    halves = [maps(*updates[:4])["cross/harmonic_mean"], maps(*updates[4:])["cross/harmonic_mean"]]
    assert not torch.allclose(sum(halves) / 2, wanted, atol=0.01), "a mean of harmonic means is another number"


def test_several_rows_at_once_are_as_one_by_one():
    found = ("match_cells", "mass", "peak", "cycle_consistent")
    first = attention(0)
    second = first | {name: attention(2)[name] for name in found}
    apart = maps(first | {"layer": 2, "step": 1}, second | {"layer": 5, "step": 1})
    stacked = {name: torch.stack([second[name], first[name]]) for name in found}
    together = maps(first | stacked | {"layer": (5, 2), "step": 1})
    assert apart["cross/confidence"][0, 1] != apart["cross/confidence"][1, 1]
    for key, value in apart.items():
        torch.testing.assert_close(together[key], value, rtol=1e-12, atol=1e-12, equal_nan=True)
    for wrong in ((5,), 5):
        with pytest.raises(InputError, match=r"match_cells: got shape .*, want what .*5.* found"):
            maps(first | stacked | {"layer": wrong})


# A toy wired to the truth


def toy(shift_by_view=((0.0, 8.0), (16.0, 24.0)), height=6, width=8):
    """Taps of three layers, two random and one that matches content, and the truth: content moves right over time."""
    shifts = torch.zeros(2, 2, 2)
    shifts[..., 0] = torch.tensor(shift_by_view)
    wired = coded_tap(shifted_grids(shifts, height, width))
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(wired.query.shape, generator=generator) for _ in range(4)]
    taps = [
        AttentionTap(n, noise[2 * n], noise[2 * n + 1], wired.rotary, wired.frame_times, wired.stride) for n in (0, 1)
    ]
    world = torch.stack(torch.meshgrid(torch.arange(4) + 0.5, torch.arange(1, 5) + 0.5, indexing="xy"), dim=-1) * 8
    points = world.flatten(0, 1)
    tracks = points + shifts[:, :, None]
    view, frame = (torch.arange(len(points)) % 4).div(torch.tensor([[2], [1]]), rounding_mode="floor") % 2
    queries = torch.cat([torch.stack([view, frame], dim=-1), tracks[view, frame, torch.arange(len(points))]], dim=-1)
    inside = (tracks >= 0).all(dim=-1) & (tracks < torch.tensor([width * 8, height * 8])).all(dim=-1)
    truth = {
        "queries": queries[None].float(), "target_tracks": tracks[None], "target_visible": inside[None],
        "query_valid": torch.ones(1, len(points), dtype=torch.bool), "frame_times": wired.frame_times, "stride": 8,
    }  # fmt: skip
    return [*taps, wired], truth


def probe(taps, truth, queries=None, **changes) -> dict[str, torch.Tensor]:
    metric = AttentionCorrespondence(layers=(0, 1, 2), num_steps=1, threshold_px=4.0)
    for layer, tap in enumerate(taps):
        asked = truth["queries"] if queries is None else queries
        matches, spread = argmax_matches(tap, asked), frame_attention(tap, asked)
        home = cycle_consistent(tap, asked, matches) if changes.get("cycle") else None
        told = {key: value for key, value in changes.items() if key != "cycle"}
        found = {"match_cells": matches.cells, "mass": spread.mass, "peak": spread.peak, "cycle_consistent": home}
        metric.update(layer=layer, step=0, **with_truth(truth | found | told))
    return metric.compute()


@pytest.mark.parametrize("panel", ["ref", "tgt", "cross", "cross_ref_to_tgt", "cross_tgt_to_ref"])
@pytest.mark.parametrize("cycle", [False, True])
def test_the_wired_layer_is_found_panel_by_panel(panel, cycle):
    found = probe(*toy(), cycle=cycle)
    accuracy = found[f"{panel}/matching_accuracy"][:, 0]
    assert accuracy[2] == 1
    assert accuracy[:2].nan_to_num().max() < 0.3
    assert found[f"{panel}/confidence"][:, 0].argmax() == 2
    if cycle:
        assert found[f"{panel}/reliable_share"][2] == 1
        assert found[f"{panel}/reliable_share"][:2].max() < 0.5


@pytest.mark.filterwarnings("ignore:map 0 is 0 everywhere")
@pytest.mark.parametrize("mistake", ["swapped truth", "half a token", "other time", "other view"])
def test_mistakes_of_convention_lose_the_wired_layer(mistake):
    taps, truth = toy()
    tracks = truth["target_tracks"]
    wrong = {
        "swapped truth": tracks.flip(-1),
        "half a token": tracks - 4.0,
        "other time": tracks.flip(2),
        "other view": tracks.flip(1),
    }[mistake]
    found = probe(taps, truth, target_tracks=wrong)
    assert found["cross/matching_accuracy"][2] < 0.3


# DiffTrack's mistakes, by their number


def test_upstream_1_reads_x_as_the_row():
    own = torch.tensor([40, 5])
    assert [int(value) for value in difftrack_read_cells(own, height=30, width=45)] == [29, 5]
    taps, truth = toy()
    row, column = difftrack_read_cells((truth["queries"][..., 2:] // 8).long(), height=6, width=8)
    elsewhere = torch.cat([truth["queries"][..., :2], 8 * torch.stack([column, row], dim=-1) + 4.0], dim=-1)
    assert probe(taps, truth)["cross/matching_accuracy"][2] == 1
    assert probe(taps, truth, queries=elsewhere)["cross/matching_accuracy"][2] < 0.4


def test_upstream_2_takes_a_token_by_its_corner():
    """Every match is right and every point at its token's centre: 8 px off on each axis is past a threshold of 8 px."""
    cells = torch.tensor([[[3, 2]], [[4, 2]], [[5, 1]]])
    truth, visible = 16 * (cells + 0.5), torch.ones(3, 1, dtype=torch.bool)
    assert difftrack_matching_accuracy(cells.float(), truth, visible, stride=16) == 0
    assert difftrack_matching_accuracy(cells + 0.5, truth, visible, stride=16) == 100
    assert maps(one_query([0.0, 0.0], [True, True]), layers=(0,), num_steps=1)["ref/matching_accuracy"] == 1


def test_upstream_3_puts_latents_at_other_times():
    latent = torch.arange(13.0)[:, None, None].expand(13, 1, 2)
    theirs = difftrack_tracks(latent, stride=1, num_frames=49)[:, 0, 0]
    assert theirs[4] == pytest.approx(0.694, abs=1e-3)
    assert theirs[8] == pytest.approx(1.755, abs=1e-3)
    ours = interpolate_frames(latent, 4 * torch.arange(13), num_frames=49)[:, 0, 0]
    assert torch.equal(ours[::4], torch.arange(13.0))
    centres = 2 * latent + 0.5  # two tokens a latent, every match right
    truth, visible = interpolate_frames(16 * centres, 4 * torch.arange(13), 49), torch.ones(49, 1, dtype=torch.bool)
    assert difftrack_matching_accuracy(centres, truth, visible, stride=16) < 80


def test_upstream_5_averages_matches_of_neighbouring_tokens():
    """Left and right half move apart: between two tokens of the border, the mean of their matches lies in the gap."""
    positions = shifted_grids(torch.zeros(1, 2, 2), height=2, width=12)
    positions[0, 1, :, :4, 0] += 16.0  # left half moved two tokens left
    positions[0, 1, :, 8:, 0] -= 16.0  # right half moved two right
    positions[0, 1, :, 4:8] = 500.0
    tap = coded_tap(positions)
    border = torch.tensor([[[0.0, 0.0, 47.0, 4.0], [0.0, 0.0, 49.0, 4.0]]])
    matches = argmax_matches(tap, border).cells[0, 0, 1, :, 0]
    assert matches.tolist() == [3, 8]
    assert matches.float().mean() * 8 + 4 == pytest.approx(48.0), "what it would say: nothing of either lies there"


def test_upstream_6_counts_the_querys_own_frame():
    missed = one_query([20.0, 20.0, 20.0], [True, True, True], stride=2)
    assert maps(missed, layers=(0,), num_steps=1)["ref/matching_accuracy"] == 0
    cells, tracks = missed["match_cells"][0, 0], missed["target_tracks"][0, 0]
    accuracy = difftrack_matching_accuracy(cells + 0.5, tracks, torch.ones(4, 1, dtype=torch.bool), stride=2)
    assert accuracy == 25


def test_upstream_8_counts_hidden_points_as_no_confidence():
    both = [one_query([0.0], [seen], peak=torch.full((1, 1, 2, 1), 0.5)) for seen in (True, False)]
    assert maps(*both, layers=(0,), num_steps=1)["ref/confidence"] == 0.5
    peak, seen = torch.full((1, 2), 0.5), torch.tensor([[True, False]])
    assert difftrack_confidence(peak, seen, torch.ones(2, dtype=torch.bool)) == 0.25


def test_upstream_10_says_nothing_of_a_constant_map():
    flat, varied = torch.full((2, 2), 0.3), torch.arange(4.0).reshape(2, 2)
    with pytest.warns(UserWarning, match="map 1 is 0.3 everywhere: no harmonic mean"):
        assert harmonic_mean(varied, flat, varied).isnan().all()


# What has no score


def test_a_map_with_entries_missing_ranks_the_others():
    missing = torch.tensor([[0.0, torch.nan], [2.0, 4.0]])
    found = harmonic_mean(missing, missing)
    assert found[0, 1].isnan()
    torch.testing.assert_close(found.nan_to_num(-1.0), torch.tensor([[0.0, -1.0], [0.5, 1.0]]))


def test_one_entry_has_no_rank_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert maps(attention(0))["cross/harmonic_mean"].isnan().all()


@pytest.mark.parametrize("what", ["query_valid", "target_visible"])
def test_hidden_points_and_padding_count_nowhere(what):
    update = attention(0)
    update[what] = torch.zeros_like(update[what])
    found = maps(update)
    scores = ["matching_accuracy", "confidence"] + (["attention_score"] if what == "query_valid" else [])
    for panel in ("ref", "tgt", "cross"):
        assert all(found[f"{panel}/{score}"].isnan().all() for score in scores)
        assert (found[f"{panel}/num_matches"] == 0).all()


def test_one_frame_has_a_cross_panel_alone():
    update = attention(0)
    update |= {name: update[name][:, :, :1] for name in ("match_cells", "mass", "peak", "target_tracks")}
    update |= {name: update[name][:, :, :1] for name in ("target_visible", "cycle_consistent")}
    update["queries"][..., 1] = 0
    update["frame_times"] = update["frame_times"][:1]
    found = maps(update)
    assert found["ref/attention_score"].isnan().all()
    assert found["cross/attention_score"][0, 0] > 0


def test_junk_behind_padding_changes_nothing():
    before = maps(attention(0))
    update = attention(0)
    hidden = ~update["query_valid"][:, None, None]
    update["mass"] = update["mass"].masked_fill(hidden, torch.nan)
    update["peak"] = update["peak"].masked_fill(hidden | ~update["target_visible"], torch.nan)
    update["target_tracks"] = update["target_tracks"].masked_fill(~update["target_visible"][..., None], torch.nan)
    assert all(torch.equal(value.nan_to_num(), before[key].nan_to_num()) for key, value in maps(update).items())


@pytest.mark.usefixtures("without_shape_hook")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": 3}, r"layer: got 3, want one of \(2, 5\)"),
        ({"step": 2}, "step: got 2, want 0 to 1"),
        ({"step": -1}, "step: got -1"),
        ({"mass": torch.zeros(2, 2, 3, 1)}, "mass: got shape"),
        ({"target_tracks": torch.zeros(2, 2, 2, 20, 2)}, "truth.tracks: got shape"),
        ({"frame_times": torch.arange(2)}, "truth.frame_times: got shape"),
        ({"query_valid": torch.ones(1, 20, dtype=torch.bool)}, "truth.valid: got shape"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(InputError, match=message):
        maps(attention(0) | change)


def test_three_views_are_refused():
    update = attention(0)
    per_frame = ("match_cells", "mass", "peak", "target_tracks", "target_visible", "cycle_consistent")
    update |= {name: torch.cat([update[name], update[name][:, :1]], dim=1) for name in per_frame}
    with pytest.raises(InputError, match="views: got 3"):
        maps(update)


@pytest.mark.usefixtures("without_shape_hook")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ()}, "layers, num_steps: got"),
        ({"num_steps": 0}, "layers, num_steps: got"),
        ({"threshold_px": 0}, "threshold_px: got 0"),
        ({"cross_frames": "none"}, "cross_frames: got 'none'"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        maps(**options)


def test_a_stored_map_and_the_chunks_agree():
    """The small way, through a whole softmax, and the way that never holds a row."""
    taps, truth = toy()
    tap = taps[0]
    spread = frame_attention(tap, truth["queries"])
    rows = np.einsum("qkd,vfhwkd->qkvfhw", _rows(tap, truth["queries"][0]), tap.key[0].numpy()) / math.sqrt(12)
    attention = torch.from_numpy(rows).flatten(2).softmax(dim=-1).mean(dim=1)
    frames = torch.arange(4).repeat_interleave(tap.key.shape[3] * tap.key.shape[4])
    mass, peak = frame_mass_and_peak(attention, frames, num_frames=4)
    torch.testing.assert_close(spread.mass[0].flatten(0, 1).T, mass.float(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(spread.peak[0].flatten(0, 1).T, peak.float(), rtol=1e-4, atol=1e-6)


def _rows(tap: AttentionTap, queries: torch.Tensor) -> np.ndarray:
    at = [(int(v), int(f), int(y // 8), int(x // 8)) for v, f, x, y in queries.tolist()]
    return np.stack([tap.query[0][index].numpy() for index in at])
