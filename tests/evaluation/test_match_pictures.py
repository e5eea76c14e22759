"""Points for pictures: which, from where, and what a layer makes of them."""

from dataclasses import replace

import pytest
import torch

from mvt4g.callbacks.probe_report import matches_of
from mvt4g.evaluation.match_pictures import ShownMatches
from mvt4g.formats.probe_files import ProbeMatches
from mvt4g.inference.queries import draw_queries_by_name
from mvt4g.matching.rows import gather_queries, rotated, row_log_softmax
from mvt4g.matching.tokens import flat_cell
from mvt4g.systems.probe import ProbeSpec
from tests.systems.test_probe import COLUMNS, GRID, ROWS, SHIFTS, STRIDE, WIRED, Toy, probed, toy_clip


def chosen(clips=2, points=3, batch=3):
    clip = toy_clip(batch)
    truth = draw_queries_by_name(clip, clip.name, GRID, 30, seed=0)
    return clip, truth, ShownMatches.choose(clip, truth, clips, points)


def seen_from_the_reference(truth):
    """How far apart the first clip's points lie in the views, of those queried in the reference and seen in both."""
    frame = truth.queries[0, :, 1].long()
    there = truth.tracks[0, 1, frame, torch.arange(30)]
    seen = truth.visible[0, 1, frame, torch.arange(30)] & (truth.queries[0, :, 0] == 0)
    return (there - truth.queries[0, :, 2:]).norm(dim=-1)[seen].sort().values


def test_points_are_of_the_reference_and_their_truth_of_the_same_frame_of_the_target():
    clip, _, shown = chosen()
    assert shown.clip.tolist() == [0, 0, 0, 1, 1, 1]
    assert shown.names == ("toy 0",) * 3 + ("toy 1",) * 3
    assert (shown.queries[:, 0] == 0).all()
    frame = shown.queries[:, 1].long()
    torch.testing.assert_close(shown.true_xy - shown.queries[:, 2:], (SHIFTS[1] - SHIFTS[0])[frame].float())
    for point in range(6):
        assert torch.equal(shown.reference[point], clip.video[shown.clip[point], 0, frame[point]])
        assert torch.equal(shown.target[point], clip.video[shown.clip[point], 1, frame[point]])


def test_points_are_spread_over_how_far_apart_they_lie():
    _, truth, shown = chosen(clips=1, points=2)
    apart = seen_from_the_reference(truth)
    wanted = apart[[len(apart) // 4, 3 * len(apart) // 4]]
    torch.testing.assert_close((shown.true_xy - shown.queries[:, 2:]).norm(dim=-1), wanted)


def test_fewer_points_than_asked_for_are_shown_once():
    clip, truth, _ = chosen()
    none = ShownMatches.choose(clip, replace(truth, valid=torch.zeros_like(truth.valid)), 2, 3)
    assert none.names == ()
    none.read(Toy().tap(0, 3))
    assert none.heat[0].shape == (0, ROWS, COLUMNS)
    every = ShownMatches.choose(clip, truth, 1, 1000)
    assert len(every.names) == len(seen_from_the_reference(truth)) > 3


def test_heat_is_the_layers_own_in_the_targets_frame():
    _, _, shown = chosen()
    tap = Toy().tap(1, 3)
    generator = torch.Generator().manual_seed(9)
    tap = replace(tap, query=torch.randn(tap.query.shape, generator=generator), rotary=torch.randn(tap.rotary.shape))
    shown.read(tap)
    for point, (clip, query) in enumerate(zip(shown.clip.tolist(), shown.queries, strict=True)):
        rows = gather_queries(tap, query.expand(3, 1, 4), rotate=True)
        share = row_log_softmax(rows, rotated(tap)[1])[clip, 0, :, 1, int(query[1]) // 2].exp().mean(dim=0)
        torch.testing.assert_close(shown.heat[1][point].flatten(), share)


@pytest.mark.parametrize("trajectory", ["noised", "sampled"])
def test_a_probe_shows_its_first_batch(trajectory):
    spec = ProbeSpec(trajectory=trajectory, noise_levels=(0.9, 0.6, 0.1), sample_steps=4, shown_clips=1)
    probe = probed(spec, clips=[toy_clip(2), toy_clip(1)])
    shown = probe.shown
    assert set(shown.names) == {"toy 0"}
    assert shown.heat.keys() == {0, 1, 2, 3}
    cells = flat_cell((shown.true_xy / STRIDE).floor().long(), ROWS, COLUMNS)
    assert torch.equal(shown.heat[WIRED].flatten(1).argmax(dim=1), cells)
    assert shown.heat[0].flatten(1).gather(1, cells[:, None]).max() < 0.2
    assert probe.sigmas[probe.shown_step] == {"noised": 0.6, "sampled": 0.5}[trajectory]
    assert bool((shown.target == 0.25).all()) == (trajectory == "sampled"), "the generated frames are shown"


def test_what_is_written_is_read_back(tmp_path):
    _, _, shown = chosen()
    for layer in (2, 5):
        shown.read(replace(Toy().tap(layer % 4, 3), layer=layer))
    written = matches_of(shown, (2, 5))
    written.write(tmp_path)
    found = ProbeMatches.read(tmp_path)
    assert (found.layers, found.names) == ((2, 5), shown.names)
    for name in ("queries", "true_xy", "reference", "target", "heat"):
        assert torch.equal(getattr(found, name), getattr(written, name))
    assert torch.equal(found.of_layer(5), shown.heat[5])
    first = found.first_of_each_clip()
    assert first.names == ("toy 0", "toy 1")
    assert torch.equal(first.of_layer(2), shown.heat[2][[0, 3]])
