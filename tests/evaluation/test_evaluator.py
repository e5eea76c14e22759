"""Scores of a batch: what is measured, on what draws, and the controls that must make it worse."""

import weakref
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.evaluation import evaluator as scoring
from mvt4g.evaluation.evaluator import BatchScorer, EvaluationOutput, shift_target_cameras
from mvt4g.evaluation.level_scores import NovelViewScores
from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.matching.rows import argmax_matches
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.systems.novel_view import NovelViewSystem
from mvt4g.types import Cameras, InputError, MultiViewClip
from tests.models.small_backbones import make_loud, small_cameras
from tests.systems.wall import FRAMES, SIZE, wall_batch

SPEC = EvaluationSpec(noise_levels=(0.25, 0.5), num_queries=8, sample_steps=2)
HEADLINE_LAYER = 1


def build(num_layers: int = 2) -> NovelViewModel:
    torch.manual_seed(0)
    codec = PatchCodec()
    sizes = VideoDiTConfig(dim=24, ffn_dim=32, freq_dim=16, text_dim=8, num_heads=1, num_layers=num_layers)
    backbone = ReCamMaster(sizes, codec.grid)
    head = TrackingHead(backbone.tap_shape, layer=HEADLINE_LAYER)
    return make_loud(NovelViewModel(backbone, codec, FlowMatching(shift=1.0), head)).eval()


@pytest.fixture(scope="module")
def model() -> NovelViewModel:
    return build()


def scored(
    model: NovelViewModel,
    *batches: MultiViewClip,
    spec: EvaluationSpec = SPEC,
    sample: bool = True,
    layers: Sequence[int] | None = None,
) -> tuple[dict[str, float], EvaluationOutput]:
    layers = range(model.backbone.num_layers) if layers is None else layers
    scorer, scores = BatchScorer(model, spec, layers, HEADLINE_LAYER), NovelViewScores(spec, layers, HEADLINE_LAYER)
    for batch in batches:
        output = scorer(batch, scores, sample)
    return {key: float(value) for key, value in scores.scores().items()}, output


def test_batches_do_not_change_scores(model):
    whole, _ = scored(model, wall_batch(0, 1, 2, 3))
    split, _ = scored(model, wall_batch(3), wall_batch(1, 0), wall_batch(2))
    assert split == pytest.approx(whole, rel=1e-4, nan_ok=True)
    assert {"loss_diff@0.25", "attention_pck/layer0/cross@0.50", "track_pck_2px/tgt@sampled", "psnr", "ssim"} <= set(
        whole
    )


def test_scoring_twice_gives_the_same(model):
    batch = wall_batch(0, 1)
    assert scored(model, batch)[0] == pytest.approx(scored(model, batch)[0], rel=0, abs=0, nan_ok=True)


def test_output_is_of_the_headline_level_and_layer(model):
    _, output = scored(model, wall_batch(0, 1))
    _, at_headline = scored(model, wall_batch(0, 1), spec=replace(SPEC, noise_levels=(0.5,)))
    reading = output.headline
    assert reading.tap.layer == HEADLINE_LAYER
    assert reading.tracks.tracks.shape == output.truth.tracks.shape == (2, 2, FRAMES, 8, 2)
    assert torch.equal(reading.tracks.tracks, at_headline.headline.tracks.tracks)
    assert torch.equal(reading.matches, at_headline.headline.matches)
    assert output.generated.shape == (2, FRAMES, 3, SIZE, SIZE)
    assert output.generated.min() >= 0
    assert output.generated.max() <= 1


def test_what_hidden_entries_hold_does_not_matter(model):
    """Where a tracker lost a point its position is NaN."""

    def hidden_at(value: float) -> dict[str, float]:
        clip = wall_batch(0, 1)
        visible = clip.visible.clone()
        visible[:, 1, :, :5], visible[:, 0, 1, 7] = False, False
        tracks = clip.tracks.where(visible[..., None], value)
        return scored(model, replace(clip, tracks=tracks, visible=visible), sample=False)[0]

    assert hidden_at(float("nan")) == pytest.approx(hidden_at(3.0), rel=0, abs=0, nan_ok=True)


def test_the_head_is_scored_though_its_layer_is_not(model):
    whole, _ = scored(model, wall_batch(0, 1))
    found, output = scored(model, wall_batch(0, 1), layers=[0])
    of_all = {key for key in whole if not key.startswith("attention_pck/")}
    assert set(found) == of_all | {key for key in whole if "/layer0/" in key or "/same_cell/" in key}
    assert found == pytest.approx({key: whole[key] for key in found}, rel=0, abs=0, nan_ok=True)
    assert output.headline.tap.layer == HEADLINE_LAYER
    assert output.headline.matches is None


@pytest.mark.parametrize("chosen", [(0,), (), (2, 0)])
def test_the_headline_is_scored_whatever_else_is(chosen):
    """The head reads layer 1, which nobody chose."""
    backbone, codec = (getattr(build(num_layers=3), name) for name in ("backbone", "codec"))
    spec = replace(SPEC, attention_layers=chosen, sample_steps=0)
    system = NovelViewSystem(
        backbone, codec, tracking_head=lambda shape: TrackingHead(shape, layer=HEADLINE_LAYER), evaluation=spec
    )
    system.score(wall_batch(0), system._scores("val"), sample=False)
    found = system._scores("val").scores()
    assert found["attention_pck/cross@0.50"] == found["attention_pck/layer1/cross@0.50"]
    assert "tapvid/cross/delta_avg@0.50" in found
    layers = {key.split("/")[1] for key in found if key.startswith("attention_pck/layer")}
    assert layers == {f"layer{layer}" for layer in (1, *chosen)}


def test_taps_are_forgotten_as_soon_as_they_are_scored(monkeypatch):
    """At any time the one being scored is there, and the head's; at full size each takes 403 MB."""
    seen, alive = [], []

    def spy(tap, queries):
        seen.append(weakref.ref(tap))
        alive.append(sum(other() is not None for other in seen))
        return argmax_matches(tap, queries)

    monkeypatch.setattr(scoring, "argmax_matches", spy)
    scored(build(num_layers=4), wall_batch(0))
    assert len(alive) == 4 * (len(SPEC.noise_levels) + 1)
    assert max(alive[:4]) == 2


def test_what_is_not_there_is_not_scored(model):
    bare = replace(wall_batch(0, 1), tracks=None, visible=None, point_valid=None, depth=None)
    scores, output = scored(model, bare, sample=False)
    assert set(scores) == {"loss_diff@0.25", "loss_diff@0.50", "loss"}
    assert output.generated is None
    assert output.truth is None


def test_other_cameras_change_the_loss(model):
    own, _ = scored(model, wall_batch(0, 3), sample=False)
    others, _ = scored(model, wall_batch(0, 3), spec=replace(SPEC, camera_shift=1), sample=False)
    assert own["loss"] != others["loss"]


@pytest.mark.parametrize("shift", [1, 2, -1])
def test_shifted_cameras_stand_as_they_stood_to_their_own_reference(shift):
    cameras = small_cameras(batch=3)
    shifted = shift_target_cameras(cameras, shift)
    for i in range(3):
        donor = (i - shift) % 3
        torch.testing.assert_close(target_from_reference(shifted, i), target_from_reference(cameras, donor))
        assert torch.equal(shifted.intrinsics[i, 1], cameras.intrinsics[donor, 1])
        assert torch.equal(shifted.cam_from_world[i, 0], cameras.cam_from_world[i, 0]), "the reference stays"
    assert not torch.allclose(target_from_reference(shifted, 0), target_from_reference(cameras, 0), atol=0.1)


def target_from_reference(cameras: Cameras, clip: int) -> torch.Tensor:
    """The target's poses relative to the reference's frame 0."""
    return compose(cameras.cam_from_world[clip, 1], invert_pose(cameras.cam_from_world[clip, 0, :1]))


def test_no_shift_changes_nothing():
    cameras = small_cameras(batch=1)
    assert shift_target_cameras(cameras, 0) is cameras


@pytest.mark.parametrize(("batch", "shift"), [(1, 1), (2, 2), (3, -3)])
def test_a_shift_back_to_the_own_cameras_is_refused(batch, shift):
    with pytest.raises(InputError, match=f"camera_shift: got {shift} with a batch of {batch}"):
        shift_target_cameras(small_cameras(batch), shift)
