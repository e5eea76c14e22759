"""A toy whose layer 2 attends to the true match: the probe finds it, and does not once anything of it is bent."""

import math
from dataclasses import replace

import pytest
import torch
from einops import rearrange
from torch import nn

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.inference.queries import draw_queries_by_name
from mvt4g.matching import reading, rows
from mvt4g.metrics.functional import attention_correspondence
from mvt4g.models.backbone import BackboneOutput, NovelViewBackbone
from mvt4g.models.codec import Codec
from mvt4g.systems.probe import CorrespondenceProbe, ProbeSpec
from mvt4g.types import (
    AttentionTap,
    Cameras,
    Conditions,
    InputError,
    LatentClip,
    LatentGrid,
    MultiViewClip,
    PointTruth,
    TapRequest,
    TapShape,
)

STRIDE, ROWS, COLUMNS = 8, 5, 9
GRID = LatentGrid(temporal_stride=2, spatial_stride=4, channels=3)
SHIFTS = torch.tensor([[[0, 0], [3, 1], [1, 0], [0, 2], [2, 1]], [[2, 1], [0, 0], [1, 2], [3, 0], [0, 1]]]) * STRIDE
"""Pixels (x, y) that the content has moved in every view and video frame, never twice alike in neighbouring frames."""
PANELS = ("ref", "tgt", "cross", "cross_ref_to_tgt", "cross_tgt_to_ref")
WIRED, NUM_LAYERS, NUM_HEADS = 2, 4, 2


class EmptyCodec(Codec):
    """Latents of the right size with nothing in them."""

    grid = GRID
    identity = "EmptyCodec"

    def encode(self, video):
        return video[..., ::2, :, ::4, ::4].transpose(-4, -3) * 0

    def decode(self, latents):
        return torch.full((*latents.shape[:-4], 5, 3, ROWS * STRIDE, COLUMNS * STRIDE), 0.25)


class Toy(NovelViewBackbone):
    """Random attention, but for head 0 of layer 2: that goes to the content's true place in every other frame."""

    def __init__(self, shifts=SHIFTS):
        nn.Module.__init__(self)
        self.grid, self.num_layers, self.num_heads = GRID, NUM_LAYERS, NUM_HEADS
        self.text_shape = (4, 8)
        self.tap_shape = TapShape(NUM_HEADS, 18, STRIDE, GRID.temporal_stride)
        self.wired = content_features(shifts[:, :: GRID.temporal_stride])
        self.timesteps: list[float] = []

    def encode_cameras(self, cameras, frames, height, width):
        return cameras

    def forward(
        self, target_latents, reference_latents, timestep, cameras, conditions=Conditions(), taps=TapRequest()
    ):  # fmt: skip
        self.timesteps.append(float(timestep[0]))
        for layer in taps.layers:
            taps.reader(self.tap(layer, len(timestep)))
        return BackboneOutput(torch.zeros_like(target_latents), {})

    def tap(self, layer, batch):
        generator = torch.Generator().manual_seed(layer)
        one_clip = torch.randn(2, 2, 3, ROWS, COLUMNS, NUM_HEADS, 18, generator=generator) / 2
        query, key = (part.expand(batch, *part.shape).clone() for part in one_clip)
        if layer == WIRED:
            query[..., 0, :], key[..., 0, :] = self.wired
        rotary = torch.zeros(1, 2, 3, ROWS, COLUMNS, 1, 9)
        return AttentionTap(layer, query, key, rotary, 2 * torch.arange(3), STRIDE)


def content_features(shifts):
    """Queries and keys (v f h w d) whose product is large where the content is the same, but in the own frame."""
    grid = torch.meshgrid(torch.arange(ROWS) + 0.5, torch.arange(COLUMNS) + 0.5, indexing="ij")
    world = torch.stack(grid[::-1], dim=-1) * STRIDE - shifts[:, :, None, None]
    angles = (world[..., None] * torch.tensor([1.0, 2.0, 4.0]) * 2 * math.pi / 256).flatten(-2)
    code = 10 * torch.cat([angles.sin(), angles.cos()], dim=-1)
    own = rearrange(torch.eye(6), "(v f) d -> v f 1 1 d", v=2).expand(2, 3, ROWS, COLUMNS, 6)
    return torch.cat([code, -1000 * own], dim=-1), torch.cat([code, own], dim=-1)


def toy_clip(batch=2):
    """Points of the content that stay in both views; each lies right of and below its cell's centre."""
    columns, rows_ = torch.meshgrid(torch.arange(5), torch.arange(2), indexing="ij")
    points = (torch.stack([columns, rows_], dim=-1).flatten(0, 1) + 0.7) * STRIDE
    tracks = (points + SHIFTS[:, :, None]).expand(batch, -1, -1, -1, -1)
    size = torch.tensor([COLUMNS, ROWS]) * STRIDE
    visible = ((tracks >= 0) & (tracks < size)).all(dim=-1)
    assert visible.float().mean() > 0.9
    return MultiViewClip(
        video=torch.rand(batch, 2, 5, 3, ROWS * STRIDE, COLUMNS * STRIDE),
        cameras=Cameras(torch.eye(4).expand(batch, 2, 5, 4, 4), torch.eye(3).expand(batch, 2, 5, 3, 3)),
        name=tuple(f"toy {index}" for index in range(batch)),
        tracks=tracks, visible=visible, point_valid=torch.ones(batch, len(points), dtype=torch.bool),
    )  # fmt: skip


def probed(spec=ProbeSpec(noise_levels=(0.8, 0.4)), clips=None, toy=None):
    probe = CorrespondenceProbe(toy or Toy(), EmptyCodec(), FlowMatching(shift=1.0), spec)
    for index, clip in enumerate(clips or [toy_clip()]):
        probe.test_step(clip, index)
    return probe


def found(probe, panel):
    """Whether the wired layer stands out in one panel by every score, and all of its matches are right."""
    maps = {key.removeprefix(f"{panel}/"): value for key, value in probe.maps().items() if key.startswith(f"{panel}/")}
    stands_out = all(
        (maps[score].nan_to_num().argmax(dim=0) == WIRED).all()
        for score in ("matching_accuracy", "accuracy_of_all", "attention_score", "confidence", "harmonic_mean")
    )
    return bool(stands_out) and bool((maps["accuracy_of_all"][WIRED] == 1).all())


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("trajectory", ["noised", "sampled"])
def test_the_wired_layer_is_found(panel, trajectory):
    probe = probed(ProbeSpec(trajectory=trajectory, noise_levels=(0.8, 0.4), sample_steps=2))
    assert found(probe, panel)
    accuracy = probe.maps()[f"{panel}/accuracy_of_all"]
    assert accuracy.shape == (NUM_LAYERS, 2)
    assert accuracy[[0, 1, 3]].max() < 0.2, "the other layers guess"
    heads = probe.head_maps()[f"{panel}/accuracy_of_all"]
    assert heads.shape == (NUM_LAYERS, NUM_HEADS, 2)
    assert (heads[WIRED, 0] == 1).all()
    assert heads[WIRED, 1].max() < 0.2
    assert (probe.maps()[f"{panel}/reliable_share"][WIRED] == 1).all()


def test_the_summary_names_it():
    summary = probed().summary()
    for panel in ("ref", "tgt", "cross"):
        assert summary[f"best_layer/{panel}"] == WIRED
        assert summary[f"layer{WIRED}/{panel}/matching_accuracy"] == 1
        assert summary[f"layer0/{panel}/accuracy_of_all"] < 0.2


def test_looking_at_the_same_place_is_told_beside_it():
    probe, clip = probed(), toy_clip()
    found = probe.same_place_accuracy()
    assert found.keys() == set(PANELS)
    truth = draw_queries_by_name(clip, clip.name, GRID, ProbeSpec().num_queries, 0)
    for panel, view in (("ref", 0), ("cross_tgt_to_ref", 1)):
        right = []
        for b in range(2):
            for q, (own, time, *xy) in enumerate(truth.queries[b].tolist()):
                frames = [f for f in (0, 2, 4) if (f != time if view == 0 else f == time)]
                for frame in frames if own == view else []:
                    there = truth.tracks[b, 0, frame, q]
                    centre = (torch.tensor(xy) / STRIDE).floor() * STRIDE + STRIDE / 2
                    if truth.visible[b, 0, frame, q]:
                        right.append(float((centre - there).norm()) < STRIDE / 2)
        assert found[panel] == pytest.approx(sum(right) / len(right))
    assert probe.summary()["same_place/ref/matching_accuracy"] == found["ref"]


def swapped(function):
    return lambda *args: function(*args).flip(-1)


def spoil_swapped_matches(patch):
    patch.setattr(reading, "unflat_cell", swapped(reading.unflat_cell))


def spoil_swapped_queries(patch):
    patch.setattr(rows, "cell_of_pixels", swapped(rows.cell_of_pixels))


def spoil_cells_without_their_half(patch):
    patch.setattr(attention_correspondence, "cell_centre", lambda cell, stride: cell * stride)


def spoil_queries_rounded(patch):
    patch.setattr(rows, "cell_of_pixels", lambda xy, stride: (xy / stride).round().long())


def spoil_latent_count_for_time(patch):
    patch.setattr(PointTruth, "latent_tracks", lambda truth: truth.tracks[:, :, : len(truth.frame_times)])


def spoil_next_frame(patch):
    patch.setattr(PointTruth, "latent_tracks", lambda truth: truth.tracks.roll(-1, dims=2)[:, :, truth.frame_times])


def spoil_query_time(patch):
    def early(frame, times, place=rows.latent_frame_of):
        lower, upper, weight = place((frame - 2).clamp(min=0), times)
        return lower, upper, weight

    patch.setattr(rows, "latent_frame_of", early)


SPOILERS = [value for name, value in sorted(globals().items()) if name.startswith("spoil_")]


@pytest.mark.filterwarnings("ignore:map 0 is 0 everywhere")
@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__)
def test_nothing_is_found_by_a_probe_that_is_bent(spoil, monkeypatch):
    spoil(monkeypatch)
    probe = probed()
    for panel in PANELS:
        assert not found(probe, panel)
        assert probe.maps()[f"{panel}/accuracy_of_all"][WIRED].max() < 0.9


@pytest.mark.filterwarnings("ignore:map 0 is 0 everywhere")
@pytest.mark.parametrize("bend", [lambda s: s.flip(-1), lambda s: s.roll(1, dims=1)], ids=["x is y", "a frame late"])
def test_nothing_is_found_in_a_toy_that_is_bent(bend):
    probe = probed(toy=Toy(bend(SHIFTS)))
    assert not any(found(probe, panel) for panel in PANELS)


def test_batches_add_up_and_their_order_does_not_matter():
    clip = toy_clip(4)
    halves = [replace(clip, **{"name": clip.name[part], "cameras": clip.cameras[part]} | {
        field: getattr(clip, field)[part] for field in ("video", "tracks", "visible", "point_valid")
    }) for part in (slice(0, 1), slice(1, 4))]  # fmt: skip
    whole, parts, back = (probed(clips=clips).maps() for clips in ([clip], halves, halves[::-1]))
    for key, value in whole.items():
        for other in (parts, back):
            torch.testing.assert_close(other[key], value, rtol=1e-6, atol=1e-7, equal_nan=True)


def test_chosen_steps_of_a_real_trajectory():
    toy = Toy()
    probe = probed(ProbeSpec(trajectory="sampled", sample_steps=5, steps=(0, 3)), toy=toy)
    assert toy.timesteps == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert probe.sigmas == pytest.approx((1.0, 0.4))
    assert probe.maps()["ref/accuracy_of_all"].shape == (NUM_LAYERS, 2)
    assert found(probe, "cross")


def test_chosen_layers():
    probe = probed(ProbeSpec(layers=(3, 2), noise_levels=(0.5,)))
    assert probe.maps()["ref/accuracy_of_all"][1] == 1
    assert probe.summary()["best_layer/ref"] == WIRED
    assert "layer0/ref/confidence" not in probe.summary()


def test_latents_of_before_are_as_good_as_videos():
    clip = toy_clip()
    known = {name: getattr(clip, name) for name in ("cameras", "name", "tracks", "visible", "point_valid")}
    before = LatentClip(latents=EmptyCodec().encode(clip.video), codec=("EmptyCodec",) * 2, **known)
    for key, value in probed(clips=[before]).maps().items():
        assert torch.equal(value.nan_to_num(), probed(clips=[clip]).maps()[key].nan_to_num())


def test_one_layer_at_one_level_is_still_a_map():
    probe = probed(ProbeSpec(layers=(WIRED,), noise_levels=(0.5,)))
    assert probe.maps()["ref/accuracy_of_all"].tolist() == [[1.0]]
    assert probe.head_maps()["ref/accuracy_of_all"].shape == (1, NUM_HEADS, 1)


def test_only_latents_that_are_shown_are_decoded(monkeypatch):
    clip, decoded = toy_clip(3), []
    known = {name: getattr(clip, name) for name in ("cameras", "name", "tracks", "visible", "point_valid")}
    before = LatentClip(latents=EmptyCodec().encode(clip.video), codec=("EmptyCodec",) * 3, **known)

    def decode(codec, latents, plain=EmptyCodec.decode):
        decoded.append(len(latents))
        return plain(codec, latents)

    monkeypatch.setattr(EmptyCodec, "decode", decode)
    for shown, wanted in ((2, [2]), (0, [])):
        decoded.clear()
        probed(ProbeSpec(noise_levels=(0.5,), shown_clips=shown), clips=[before, before])
        assert decoded == wanted
    probed(ProbeSpec(trajectory="sampled", sample_steps=1, shown_clips=2), clips=[clip, clip])
    assert decoded == [2], "what was sampled"


def test_where_nothing_stands_out_there_is_no_best_layer():
    summary = probed(ProbeSpec(layers=(WIRED,), noise_levels=(0.5,))).summary()
    assert math.isnan(summary["best_layer/ref"])


def test_clips_of_which_no_point_is_seen_are_refused():
    probe, clip = CorrespondenceProbe(Toy(), EmptyCodec()), toy_clip()
    probe.test_step(replace(clip, visible=torch.zeros_like(clip.visible)), 0)
    with pytest.raises(InputError, match=r"^data: got no clip with a query point that is seen"):
        probe.on_test_epoch_end()


def test_attention_that_is_not_finite_is_refused(monkeypatch):
    def broken(toy, layer, batch, plain=Toy.tap):
        tap = plain(toy, layer, batch)
        return replace(tap, query=tap.query * torch.nan) if layer == WIRED else tap

    monkeypatch.setattr(Toy, "tap", broken)
    with pytest.raises(InputError, match=f"^tap of layer {WIRED}: got queries or keys that are not finite"):
        probed()


def test_a_clip_without_tracks_is_refused():
    with pytest.raises(InputError, match=r"^toy 0: got a clip without tracks, want"):
        probed(clips=[replace(toy_clip(), tracks=None, visible=None)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ()}, r"probe.layers: got \(\), want at least one"),
        ({"layers": (1, 1)}, r"probe.layers: got \(1, 1\), want .* none twice"),
        ({"noise_levels": (0.0, 0.5)}, r"probe.noise_levels: got .*, want each in \(0, 1\]"),
        ({"sample_steps": 4, "steps": (4,)}, r"probe.steps: got \(4,\), want 0 to 3"),
        ({"cycle_cells": 0.0}, "probe.cycle_cells: got 0.0, want more than 0"),
        ({"num_queries": 0}, "probe.num_queries: got 0, want at least 1"),
    ],
)
def test_bad_options_are_told(options, message):
    with pytest.raises(InputError, match=f"^{message}"):
        ProbeSpec(**options)


def test_a_layer_that_is_not_there_is_told():
    with pytest.raises(InputError, match=r"^probe.layers: got layer 4, want 0 to 3"):
        CorrespondenceProbe(Toy(), EmptyCodec(), probe=ProbeSpec(layers=(4,)))
