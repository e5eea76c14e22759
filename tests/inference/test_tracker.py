"""The tracker on given videos: what it reads, at what noise, in which windows."""

from dataclasses import replace

import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.tracker import Tracker, TrackerSpec
from mvt4g.matching.rows import argmax_matches, cycle_consistent
from mvt4g.matching.soft_matches import soft_matches
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import TARGET, InputError, MultiViewClip, TapRequest
from tests.models.small_backbones import make_loud
from tests.systems.wall import FRAMES, wall_batch

LAYER = 1
QUERIES = torch.tensor([[0.0, 0.0, 8.0, 16.0], [1.0, 2.0, 20.0, 5.0], [0.0, 1.0, 30.0, 30.0]]).repeat(2, 1, 1)


def build(head: bool = True) -> NovelViewModel:
    torch.manual_seed(0)
    codec = PatchCodec()
    sizes = VideoDiTConfig(dim=24, ffn_dim=32, freq_dim=16, text_dim=8, num_heads=1, num_layers=2)
    backbone = ReCamMaster(sizes, codec.grid)
    made = TrackingHead(backbone.tap_shape, layer=LAYER) if head else None
    return make_loud(NovelViewModel(backbone, codec, FlowMatching(), made)).eval()


@pytest.fixture(scope="module")
def model() -> NovelViewModel:
    return build()


def taps_at(model, clip, sigma, layer=LAYER):
    latents = model.codec.encode(clip.video)
    noise = clip_noise(clip.name, 0, latents.shape[2:], latents.device)
    return model.noisy_pass(
        latents, clip.cameras, torch.full((len(latents),), sigma), noise, taps=TapRequest([layer])
    ).taps


def test_the_head_is_read_at_the_noise_level_asked_for(model):
    clip = wall_batch(0, 1)
    found = Tracker(model, TrackerSpec(sigma=0.3))(clip, QUERIES)
    direct = model.track(taps_at(model, clip, 0.3), QUERIES, clip.cameras)
    assert torch.equal(found.tracks, direct.tracks[-1]), "latent frames are video frames with this codec"
    assert torch.equal(found.visible, direct.visible_probability() > 0.6)
    likely = Tracker(model, TrackerSpec(sigma=0.3, seen="visibility"))(clip, QUERIES)
    assert torch.equal(likely.visible, direct.visible_logit[-1] > 0)
    assert not torch.equal(likely.visible, found.visible)
    other = Tracker(model, TrackerSpec(sigma=0.9))(clip, QUERIES)
    assert (found.tracks - other.tracks).abs().max() > 1e-3


@pytest.mark.parametrize(("method", "find"), [("argmax", argmax_matches), ("soft_argmax", soft_matches)])
def test_zero_shot_reads_attention_of_the_layer_asked_for(method, find):
    model, clip = build(head=False), wall_batch(0, 1)
    found = Tracker(model, TrackerSpec(method=method, layer=0))(clip, QUERIES)
    tap = taps_at(model, clip, 0.1, layer=0)[0]
    matches = find(tap, QUERIES)
    assert torch.equal(found.tracks, matches.pixels)
    assert torch.equal(found.visible, cycle_consistent(tap, QUERIES, matches))
    assert torch.equal(found.confidence, matches.probability)


def test_the_target_video_is_looked_at(model):
    clip = wall_batch(0, 1)
    video = clip.video.clone()
    video[:, TARGET] = video[:, TARGET].flip(-1)
    tracker = Tracker(model, TrackerSpec(method="argmax"))
    assert not torch.equal(tracker(clip, QUERIES).tracks, tracker(replace(clip, video=video), QUERIES).tracks)


@pytest.mark.parametrize("method", ["head", "argmax"])
def test_windows_are_clips_of_their_own(model, method):
    """In a window without carried queries the answer is that of the window's frames alone."""
    clip = wall_batch(0, 1)
    queries = QUERIES.clone()
    queries[..., 1] = 2.0  # their home is the window of frames 1 and 2
    queries[:, 0, 1] = 0.0
    windowed = Tracker(model, TrackerSpec(method=method, window=2, overlap=1))(clip, queries)
    assert windowed.tracks.shape == (2, 2, FRAMES, 3, 2)
    assert windowed.tracks.isfinite().all()
    alone = Tracker(model, TrackerSpec(method=method))
    for i in range(2):
        first = MultiViewClip(clip.video[i : i + 1, :, :2], clip.cameras[i : i + 1, :, :2], (clip.name[i],))
        expected = alone(first, queries[i : i + 1, :1])
        torch.testing.assert_close(windowed.tracks[i, :, :2, 0], expected.tracks[0, :, :, 0])


def test_a_window_as_long_as_the_video_is_one_pass(model):
    clip = wall_batch(0, 1)
    whole, windowed = (Tracker(model, TrackerSpec(window=window))(clip, QUERIES) for window in (None, FRAMES))
    assert torch.equal(whole.tracks, windowed.tracks)


@pytest.mark.parametrize(
    ("spec", "head", "says"),
    [
        (lambda: TrackerSpec(sigma=1.5), True, "tracker.sigma: got 1.5"),
        (lambda: TrackerSpec(overlap=2), True, "tracker.overlap: got 2 without a window"),
        (lambda: TrackerSpec(window=4, overlap=4), True, "tracker.overlap: got 4 of 4 frames"),
        (lambda: TrackerSpec(window=1), True, "tracker.overlap: got 0 of 1 frames"),
        (TrackerSpec, False, "tracker.method: got 'head' without a tracking head"),
        (lambda: TrackerSpec(method="argmax"), False, "tracker.layer: got null without a tracking head"),
        (lambda: TrackerSpec(method="argmax", layer=2), False, "tracker.layer: got layer 2, want 0 to 1"),
    ],
)
def test_bad_specs_are_named(spec, head, says):
    with pytest.raises(InputError, match=says):
        Tracker(build(head), spec())


@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        (0, 2.0, "view 2 and frame 2"),
        (0, 0.5, "view 0.5 and frame 2"),
        (1, 3.0, "view 1 and frame 3"),
        (1, -1.0, "view 1 and frame -1"),
        (1, 1.5, "view 1 and frame 1.5"),
        (1, float("nan"), "view 1 and frame nan"),
    ],
)
def test_queries_that_no_view_or_frame_answers_are_refused(model, window, column, value, says):
    queries = QUERIES.clone()
    queries[1, 1, column] = value
    tracker = Tracker(model, TrackerSpec(method="argmax", window=window))
    with pytest.raises(InputError, match=f"queries: got {says} .clip 1, query 1., want whole numbers, view 0 to 1 and"):
        tracker(wall_batch(0, 1), queries)
    with pytest.raises(InputError, match="queries: got none"):
        tracker(wall_batch(0, 1), QUERIES[:, :0])


def test_positions_outside_the_image_are_answered(model):
    queries = QUERIES.clone()
    queries[..., 2:] = torch.tensor([-40.0, 500.0])
    assert Tracker(model, TrackerSpec())(wall_batch(0, 1), queries).tracks.isfinite().all()


def test_soft_matches_by_hand():
    """One head, keys that make the row's probabilities known: the mean over the cells beside the best one."""
    model, clip = build(head=False), wall_batch(0)
    tap = taps_at(model, clip, 0.1)[LAYER]
    height, width = tap.key.shape[3:5]
    key, query = torch.zeros_like(tap.key), torch.zeros_like(tap.query)
    query[..., 0] = tap.query.shape[-1] ** 0.5
    key[..., 1, 1, :, 0], key[..., 1, 2, :, 0], key[..., 0, 0, :, 0] = 3.0, 2.0, 1.0
    tap = replace(tap, key=key, query=query, rotary=torch.zeros_like(tap.rotary))
    found = soft_matches(tap, QUERIES[:1])
    weight = torch.zeros(height, width)
    weight[:3, :3] = 1.0
    weight[1, 1], weight[1, 2], weight[0, 0] = 2.718281828**3, 2.718281828**2, 2.718281828
    column, row = torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy")
    expected = torch.stack([(weight * column).sum(), (weight * row).sum()]) / weight.sum() * tap.stride
    assert found.cells[0, 0, 0, 0].tolist() == [1, 1]
    torch.testing.assert_close(found.pixels, expected.expand_as(found.pixels))
    argmax = argmax_matches(tap, QUERIES[:1])
    torch.testing.assert_close(found.probability, argmax.probability)
    torch.testing.assert_close(soft_matches(tap, QUERIES[:1], reach=0).pixels, argmax.pixels)
    torch.testing.assert_close(soft_matches(tap, QUERIES[:1], max_logits=1).pixels, found.pixels)
