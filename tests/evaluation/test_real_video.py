"""Real videos: what is generated and tracked, and scores that need no truth, by hand."""

from dataclasses import replace

import pytest
import torch

from mvt4g.data.real_clips import RealClip
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.evaluation.real_video import NovelView, RealVideoPass, real_video_metrics
from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import GeneratedVideos, InputError, MultiViewClip
from tests.models.small_backbones import small_cameras

FRAMES, SIZE = 3, 32
SPEC = EvaluationSpec(sample_steps=2)


def build(head: bool) -> NovelViewModel:
    torch.manual_seed(0)
    codec = PatchCodec()
    sizes = VideoDiTConfig(dim=24, ffn_dim=32, freq_dim=16, text_dim=8, num_heads=1, num_layers=2)
    backbone = ReCamMaster(sizes, codec.grid)
    return NovelViewModel(
        backbone, codec, FlowMatching(shift=1.0), TrackingHead(backbone.tap_shape, layer=1) if head else None
    ).eval()


@pytest.fixture
def real() -> RealClip:
    """Return a clip whose left half is an object, with one query on it and one beside it."""
    mask = torch.zeros(1, 1, FRAMES, SIZE, SIZE, dtype=torch.bool)
    mask[..., : SIZE // 2] = True
    clip = MultiViewClip(
        video=torch.rand(1, 1, FRAMES, 3, SIZE, SIZE),
        cameras=small_cameras(batch=1, frames=FRAMES),
        name=("made-up",),
        dynamic=mask,
        fps=(8.0,),
    )
    queries = torch.tensor([[[0.0, 0.0, 8.0, 16.0], [0.0, 1.0, 24.0, 16.0]]])
    return RealClip(clip, queries, torch.arange(2)[None], (), "as it is")


def test_generates_and_tracks_both_views(real):
    made = RealVideoPass(build(head=True), SPEC, layer=1)(real)
    assert isinstance(made, NovelView)
    assert made.video.shape == (FRAMES, 3, SIZE, SIZE)
    assert made.tracks is not None
    assert made.tracks.tracks.shape == (2, FRAMES, 2, 2)
    assert made.tracks.visible.shape == (2, FRAMES, 2)
    assert 0 <= made.video.min() <= made.video.max() <= 1


def test_the_video_follows_name_and_seed_alone(real):
    model = build(head=True)
    first, again = (RealVideoPass(model, SPEC, layer=1)(real).video for _ in range(2))
    other = RealVideoPass(model, replace(SPEC, seed=1), layer=1)(real).video
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.01


def test_without_a_head_there_are_no_tracks(real):
    metrics = real_video_metrics()
    made = RealVideoPass(build(head=False), SPEC, layer=None)(real, metrics)
    assert made.tracks is None
    assert {key for key in metrics.compute() if "num_" not in key} == {"psnr_codec", "epipolar_colour"}
    assert metrics.remarks()["geometry"] == "needs tracks, visible"


def test_every_video_has_a_row_and_means_are_over_the_videos_that_have_the_score():
    metrics, video = real_video_metrics(), torch.full((1, 2, 3, 8, 8), 0.5)
    home = torch.tensor([True, False]).expand(1, 2, 1, 2)
    for name, error, known in (("b", 10**-1.5, {"cycle_home": home}), ("a", 0.1, {})):
        metrics.update(GeneratedVideos((name,), video, codec_output=video + error, codec_input=video, **known))
    scores = {key: round(float(value), 4) for key, value in metrics.compute().items() if "num_" not in key}
    assert scores == {"psnr_codec": 25.0, "cycle_consistency@sampled": 0.5}
    table = metrics.table()
    assert table.names == ("a", "b"), "by name, whatever the order and the rank they came in"
    assert table.scores["psnr_codec"].tolist() == pytest.approx([20.0, 30.0], rel=1e-5)
    assert table.scores["cycle_consistency@sampled"].isnan().tolist() == [True, False]
    assert metrics.remarks()["track_in_mask"] == "needs queries, reference_dynamic, tracks, visible"
    metrics.reset()
    assert not metrics.update_called


@pytest.mark.parametrize(("x", "share"), [(8.0, 1.0), (24.0, 0.0)])
def test_track_in_mask_counts_points_that_started_on_the_object(real, x, share):
    passing = RealVideoPass(build(head=True), SPEC, layer=None)
    tracks = torch.full((1, 2, FRAMES, 2, 2), 16.0)
    tracks[..., 0] = x
    seen = torch.ones(1, 2, FRAMES, 2, dtype=torch.bool)
    latents = passing.model.codec.encode(real.clip.video[:, 0])
    metrics = real_video_metrics()
    passing._score(real, latents, real.clip.video[:, 0], {}, VideoTracks(tracks, seen, tracks[..., 0]), metrics)
    found = {key: float(value) for key, value in metrics.compute().items() if "num_" not in key}
    geometry = {key for key in found if key.startswith("geometry/")}
    assert set(found) - geometry == {"psnr_codec", "track_in_mask", "epipolar_colour"}
    assert {"geometry/epipolar_px_static", "geometry/epipolar_px_dynamic"} <= geometry, "one query on it, one beside it"
    assert found["track_in_mask"] == share, "the query beside the object does not count, nor does the other view"


def test_no_sampling_steps_is_an_error(real):
    with pytest.raises(InputError, match="sample_steps: got 0"):
        RealVideoPass(build(head=True), replace(SPEC, sample_steps=0), layer=1)(real)
