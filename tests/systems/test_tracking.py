"""The tracker as a system: what it scores, and what it refuses."""

from dataclasses import replace
from functools import partial

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.inference.tracker import TrackerSpec
from mvt4g.losses.correspondence import CorrespondenceObjective
from mvt4g.losses.noise_gate import NoiseGate
from mvt4g.losses.step_gate import StepGate
from mvt4g.losses.track import TrackObjective
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.systems.settings import TrackerTraining
from mvt4g.systems.tracking import MultiViewTracking
from mvt4g.types import InputError, LatentClip, TapShape
from tests.models.small_backbones import make_loud
from tests.systems.wall import wall_batch

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore::DeprecationWarning")


def head(shape: TapShape) -> TrackingHead:
    return TrackingHead(shape, layer=1)


def system(tracking_head=None, num_layers=2, **options) -> MultiViewTracking:
    torch.manual_seed(0)
    codec = PatchCodec()
    sizes = VideoDiTConfig(dim=24, ffn_dim=32, freq_dim=16, text_dim=8, num_heads=1, num_layers=num_layers)
    return MultiViewTracking(ReCamMaster(sizes, codec.grid), codec, tracking_head=tracking_head, **options).eval()


def test_scores_do_not_depend_on_batches():
    tracked = system(head)
    scores = []
    for batches in ([wall_batch(0, 1)], [wall_batch(1), wall_batch(0)]):
        tracked.scores["test"].reset()
        for batch in batches:
            tracked._score(batch, "test")
        scores.append({key: float(value) for key, value in tracked.scores["test"].compute().items()})
    assert scores[0] == pytest.approx(scores[1], nan_ok=True, rel=1e-4)
    assert 0 <= scores[0]["tapvid/cross/delta_avg"] <= 1


def test_clips_without_tracks_are_refused():
    bare = replace(wall_batch(0), tracks=None, visible=None, point_valid=None)
    with pytest.raises(InputError, match="data: got clips without tracks"):
        system(head)._score(bare, "test")
    with pytest.raises(InputError, match="data: got clips without tracks"):
        system(head).training_step(bare, 0)


def test_there_must_be_something_to_train():
    zero_shot = system(tracker=TrackerSpec(method="argmax", layer=0))
    with pytest.raises(InputError, match="objectives: got none that counts"):
        zero_shot.on_fit_start()
    supervised = system(tracker=TrackerSpec(method="argmax", layer=0), objectives=[CorrespondenceObjective])
    supervised.on_fit_start()
    assert supervised.objectives[0].layers == (0,)


@pytest.mark.parametrize(
    ("gates", "says"),
    [
        ({"steps": StepGate(fall_from=2, fall_to=4)}, "objectives: got gates by step that close before the fit ends"),
        ({"gate": NoiseGate(low=0.5)}, r"objectives\.corr\.gate: got noise levels 0\.5 to 1\.0, want some of"),
    ],
)
def test_a_gate_that_never_opens_is_refused(gates, says):
    """Nothing else is trained by here: the fit would go on with a loss of 0."""
    supervised = system(head, objectives=[partial(CorrespondenceObjective, **gates)])
    with pytest.raises(InputError, match=says):
        supervised.on_fit_start()


@pytest.mark.parametrize(("layers", "wanted"), [(None, (1,)), ((0, 1), (0, 1))])
def test_attention_is_supervised_where_the_head_reads_it(layers, wanted):
    """Whatever layer a zero-shot method reads in test."""
    tracked = system(
        head,
        tracker=TrackerSpec(method="argmax", layer=0),
        objectives=[partial(CorrespondenceObjective, layers=layers)],
    )
    assert tracked.objectives[0].layers == wanted


def test_the_backbone_is_told_of_noise_as_its_flow_says():
    """Which is 300 or 302 thousandths where bf16 has no 301."""
    clip, found = wall_batch(0), []
    for flow in (FlowMatching(), FlowMatching(bf16_timestep=True)):
        tracked = make_loud(system(tracker=TrackerSpec(method="soft_argmax", layer=1, sigma=0.301), flow=flow))
        found.append(tracked.tracker(clip, torch.tensor([[[0.0, 0.0, 8.0, 16.0]]])).confidence)
    assert not torch.equal(*found)


@pytest.mark.parametrize("corr", [None, CorrespondenceObjective, partial(CorrespondenceObjective, layers=[0, 2])])
@pytest.mark.parametrize("trainable", [None, ("tracking_head",), ("self_attn", "tracking_head")])
def test_every_parameter_that_trains_is_reached_by_a_step(corr, trainable):
    """Else two ranks of DDP stop with an error; what lies beyond the last layer that is looked at is frozen."""
    tracked = system(
        head, num_layers=4, objectives=[TrackObjective, *([] if corr is None else [corr])],
        tracker_training=TrackerTraining(trainable=trainable),
    )  # fmt: skip
    reached = set()
    for name, value in tracked.named_parameters():
        if value.requires_grad:
            value.register_hook(lambda _, name=name: reached.add(name))
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(tracked, DataLoader([wall_batch(0)], batch_size=None))
    assert reached == {name for name, value in tracked.named_parameters() if value.requires_grad}
    assert any(name.startswith("model.backbone") for name in reached) == (trainable != ("tracking_head",))


def first_losses(batch) -> dict[str, float]:
    """Return what a first step logs."""
    tracked = system(head, objectives=[TrackObjective, CorrespondenceObjective])
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(tracked, DataLoader([batch], batch_size=None))
    return {key: float(value) for key, value in trainer.callback_metrics.items()}


def test_latents_that_were_encoded_before_train_and_score_as_their_videos():
    clip, codec = wall_batch(0, 1), PatchCodec()
    cached = LatentClip(
        latents=codec.encode(clip.video), cameras=clip.cameras, codec=(codec.identity,) * 2, name=clip.name,
        tracks=clip.tracks, visible=clip.visible, point_valid=clip.point_valid,
    )  # fmt: skip
    losses = first_losses(clip)
    assert losses["train/loss_track"] > 0
    assert first_losses(cached) == losses
    tracked, scores = system(head), []
    for batch in (clip, cached):
        tracked.scores["test"].reset()
        tracked._score(batch, "test")
        scores.append({key: float(value) for key, value in tracked.scores["test"].compute().items()})
    assert {key: scores[0][key] for key in scores[1]} == pytest.approx(scores[1], nan_ok=True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sigmas": (0.5, 0.2)}, "sigmas: got"),
        ({"num_queries": 0}, "num_queries: got 0"),
        ({"warmup_steps": 5, "decay_steps": 5}, "decay_steps: got 5"),
    ],
)
def test_bad_specs_are_named(options, says):
    with pytest.raises(InputError, match=f"tracker_training.{says}"):
        TrackerTraining(**options)
