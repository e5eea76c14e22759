"""Clips without tracks beside clips with them: L_diff alone, exact zeros that keep the graph, losses by source."""

import logging
from dataclasses import replace
from functools import partial

import lightning
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mvt4g.data.mixture import keep_common, name_after
from mvt4g.data.points import take_points
from mvt4g.losses.correspondence import CorrespondenceObjective
from mvt4g.losses.noise_gate import NoiseGate
from mvt4g.losses.step_gate import StepGate
from mvt4g.losses.track import TrackObjective
from mvt4g.matching.pairs import VIEW_PAIRS
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.systems.novel_view import NovelViewSystem
from mvt4g.systems.settings import TrainingSpec
from mvt4g.types import MultiViewClip
from tests.systems.wall import wall_clip

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore::DeprecationWarning")
BOTH = 1.0


def tracked(number):
    return sample(name_after("tracked", wall_clip(number)))


def video_only(number):
    clip = wall_clip(number)
    return sample(name_after("videos", MultiViewClip(clip.video, clip.cameras, clip.name)))


def bare(number):
    """Without even a place for points: all clips of a rank may be so while another rank's have tracks."""
    clip = wall_clip(number)
    return name_after("videos", MultiViewClip(clip.video, clip.cameras, clip.name))


def sample(clip):
    return keep_common(take_points(clip, 8, np.random.default_rng(0)))


class Gradients(lightning.Callback):
    """Keeps the gradients of the only step, by parameter."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        named = pl_module.named_parameters()
        self.found = {name: None if value.grad is None else value.grad.clone() for name, value in named}


def step(
    *clips, weight_track=BOTH, weight_corr=BOTH, track_gate=NoiseGate(), corr_gate=NoiseGate(),
    track_steps=StepGate(), corr_steps=StepGate(),
):  # fmt: skip
    """Train one step; return what was logged and the gradients."""
    torch.manual_seed(0)
    codec = PatchCodec()
    sizes = VideoDiTConfig(dim=24, ffn_dim=32, freq_dim=16, text_dim=8, num_heads=1, num_layers=2)
    system = NovelViewSystem(
        ReCamMaster(sizes, codec.grid), codec,
        tracking_head=lambda shape: TrackingHead(shape, layer=1),
        objectives=[
            partial(TrackObjective, weight=weight_track, gate=track_gate, steps=track_steps),
            partial(CorrespondenceObjective, weight=weight_corr, gate=corr_gate, steps=corr_steps),
        ],
        training=TrainingSpec(num_queries=8),
    )  # fmt: skip
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    gradients = Gradients()
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[gradients],
    )  # fmt: skip
    trainer.fit(system, DataLoader([MultiViewClip.stack(clips)], batch_size=None))
    return {key: float(value) for key, value in trainer.callback_metrics.items()}, gradients.found


@pytest.mark.parametrize("made", [video_only, bare])
def test_clips_without_tracks_teach_l_diff_alone(made):
    logged, gradients = step(made(0), made(1))
    assert logged["train/loss"] == logged["train/loss_diff"] > 0
    assert logged["train/loss_track"] == logged["train/loss_corr"] == 0
    assert logged["train/empty_track"] == logged["train/empty_corr"] == 1
    head = {name: value for name, value in gradients.items() if ".tracking_head." in name}
    assert len(head) > 10
    assert all(value is not None and not value.any() for value in head.values()), "a graph, of exact zeros"
    _, without = step(made(0), made(1), weight_track=0.0, weight_corr=0.0)
    rest = gradients.keys() - head.keys()
    assert all(torch.equal(gradients[name], without[name]) for name in rest if without[name] is not None)


def test_clips_with_tracks_do_more():
    logged, gradients = step(tracked(0), tracked(1))
    assert logged["train/loss"] > logged["train/loss_diff"]
    assert any(value.any() for name, value in gradients.items() if ".tracking_head." in name)


def test_gates_close_a_loss_at_noise_levels_and_log_it_still():
    """The step's two clips draw sigmas inside (0.01, 0.99); a gate beyond them leaves L_diff and the logs alone."""
    logged, gradients = step(tracked(0), tracked(1))
    closed = NoiseGate(low=0.9999)
    shut, silent = step(tracked(0), tracked(1), track_gate=closed, corr_gate=closed)
    assert shut["train/loss"] == shut["train/loss_diff"] == logged["train/loss_diff"]
    assert (shut["train/loss_track"], shut["train/loss_corr"]) == (
        logged["train/loss_track"],
        logged["train/loss_corr"],
    )
    head = [name for name in gradients if ".tracking_head." in name]
    assert all(not silent[name].any() for name in head)
    half, _ = step(tracked(0), tracked(1), track_gate=closed, corr_gate=NoiseGate(power=1.0))
    assert logged["train/loss_diff"] < half["train/loss"] < logged["train/loss"] - logged["train/loss_track"]


def test_a_loss_that_is_let_go_weighs_less_and_is_then_left_out(monkeypatch):
    monkeypatch.setattr(NovelViewSystem, "global_step", 6)
    logged, _ = step(tracked(0), tracked(1))
    corr, track = logged["train/loss_corr"], logged["train/loss_track"]
    half, _ = step(tracked(0), tracked(1), corr_steps=StepGate(fall_from=2, fall_to=10))
    assert half["train/loss_corr"] == corr
    assert half["train/loss"] == pytest.approx(logged["train/loss"] - corr / 2)
    without, _ = step(tracked(0), tracked(1), corr_steps=StepGate(fall_to=6))
    assert without["train/loss"] == pytest.approx(logged["train/loss"] - corr)
    assert "train/loss_corr" not in without
    alone, gradients = step(tracked(0), tracked(1), track_steps=StepGate(fall_to=6), corr_steps=StepGate(fall_to=5))
    assert alone["train/loss"] == alone["train/loss_diff"]
    assert track > 0
    assert all(value is None for name, value in gradients.items() if ".tracking_head." in name)


def test_an_empty_clip_counts_in_the_divisor_and_not_in_its_source_s_mean():
    logged, _ = step(tracked(0), video_only(1))
    assert logged["train/empty_track"] == logged["train/empty_corr"] == 0.5
    for term in ("track", "corr"):
        assert logged[f"train/loss_{term}/tracked"] == pytest.approx(2 * logged[f"train/loss_{term}"], rel=1e-5)
        assert f"train/loss_{term}/videos" not in logged
    by_source = [logged[f"train/loss_diff/{source}"] for source in ("tracked", "videos")]
    assert sum(by_source) / 2 == pytest.approx(logged["train/loss_diff"], rel=1e-5)
    assert by_source[0] != by_source[1]


def test_parts_are_means_over_the_clips_that_have_them():
    logged, _ = step(tracked(0), video_only(1))
    mean = logged["train/loss_corr/tracked"]
    pairs = [logged[key] for pair in VIEW_PAIRS if (key := f"train/loss_corr/{pair}") in logged]
    assert min(pairs) <= mean <= max(pairs), "the clip's total is a mean over its terms, each of one pair"
    for term in ("track", "corr"):
        bins = [value for key, value in logged.items() if key.startswith(f"train/loss_{term}/sigma_")]
        assert bins == [pytest.approx(logged[f"train/loss_{term}/tracked"])]


def test_a_pair_that_no_clip_has_is_not_logged():
    clip = tracked(0)
    logged, _ = step(replace(clip, visible=clip.visible & torch.tensor([True, False])[:, None, None]))
    assert {pair for pair in VIEW_PAIRS if f"train/loss_corr/{pair}" in logged} == {"ref_ref"}
    assert logged["train/loss_corr/ref_ref"] == pytest.approx(logged["train/loss_corr"], rel=1e-5)


def test_clips_without_a_source_are_logged_as_they_have_always_been():
    logged, _ = step(*(replace(tracked(number), name=f"synthetic-{number}") for number in (0, 1)))
    assert not [key for key in logged if key.startswith("train/loss_diff/")]
