"""The whole path at the smallest size: fit, validate, test, predict, and what they leave behind."""

import json
import math
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mvt4g.formats.track_files import read_tracks
from mvt4g.formats.video import read_video, write_video

CONFIG = "configs/debug.yaml"


@pytest.fixture(scope="module")
def events(trained_run: Path) -> EventAccumulator:
    found = EventAccumulator(str(trained_run))
    found.Reload()
    return found


def test_fit_leaves_config_events_and_checkpoints(trained_run):
    assert (trained_run / "config.yaml").is_file()
    kept = ["step-00000002.ckpt", "step-00000004.ckpt"]
    assert sorted(path.name for path in (trained_run / "checkpoints").iterdir()) == kept, "the last two"
    assert not list(Path(trained_run).rglob("*.part*")), "no half-written file"


def test_fit_logs_every_term_by_name_and_noise_level(events):
    tags = set(events.Tags()["scalars"])
    terms = {"loss", "loss_diff", "loss_track", "loss_corr", "empty_track", "empty_corr"}
    terms |= {f"loss_track/{part}" for part in ("position", "occluded_position", "visibility", "confidence")}
    terms |= {f"loss_corr/{pair}" for pair in ("ref_ref", "tgt_tgt", "ref_tgt", "tgt_ref")}
    assert {f"train/{term}" for term in terms} <= tags
    assert any(tag.startswith("train/loss_corr/sigma_") for tag in tags)
    assert {
        f"val/attention_pck/layer{layer}/{kind}@0.50" for layer in (0, 1) for kind in ("ref", "tgt", "cross")
    } <= tags


def test_fit_shows_videos_and_matches(events):
    assert {"val/videos", "val/matches"} <= set(events.Tags()["images"])


def test_test_writes_metrics(mvt4g, trained_run):
    assert mvt4g("test", "-c", CONFIG, "--run", trained_run, "--ckpt_path", "last") == 0
    metrics = json.loads((trained_run / "test" / "metrics.json").read_text())
    for key in (
        "loss",
        "psnr",
        "psnr_codec",
        "ssim",
        "warp_error",
        "warp_error_dyn",
        "epipolar_colour",
        "geometry/num_pairs",
        "attention_pck/cross@0.50",
        "track_pck_2px/cross@0.50",
        "tapvid/ref/delta_avg@0.25",
        "tapvid/cross/average_jaccard@0.75",
        "tapvid/cross_static/occlusion_accuracy@sampled",
    ):
        assert math.isfinite(metrics[f"test/{key}"]), key
    assert "test/attention_pck/cross@sampled" in metrics
    assert metrics["test/warp_error_truth"] < metrics["test/warp_error"]
    assert (trained_run / "test" / "config.yaml").is_file()


def test_test_uses_the_average_and_not_the_training_weights(mvt4g, trained_run, tmp_path):
    content = torch.load(trained_run / "checkpoints" / "step-00000004.ckpt", weights_only=True)
    content["callbacks"]["EMA"]["average"] = {
        name: torch.zeros_like(value) for name, value in content["callbacks"]["EMA"]["average"].items()
    }
    torch.save(content, tmp_path / "zeroed.ckpt")
    scores = []
    for checkpoint in (trained_run / "checkpoints" / "step-00000004.ckpt", tmp_path / "zeroed.ckpt"):
        run = tmp_path / checkpoint.stem
        assert mvt4g("test", "-c", CONFIG, "--run", run, "--ckpt_path", checkpoint) == 0
        scores.append(json.loads((run / "test" / "metrics.json").read_text())["test/loss"])
    assert scores[0] != scores[1]


def test_validate_writes_its_config(mvt4g, trained_run):
    assert mvt4g("validate", "-c", CONFIG, "--run", trained_run, "--ckpt_path", "last") == 0
    assert (trained_run / "validate" / "config.yaml").is_file()


def test_predict_from_the_runs_own_config(mvt4g, trained_run, tmp_path):
    video = tmp_path / "clip.mp4"
    write_video(video, torch.rand(6, 3, 48, 40), fps=8)
    args = ["predict", "-c", trained_run / "config.yaml", "-c", "configs/data/davis.yaml", "--ckpt_path", "last"]
    size = "--data.init_args.size={height: 32, width: 32, num_frames: 3, temporal_stride: 1}"
    assert mvt4g(*args, size, "--data.init_args.video", video, "--data.init_args.queries", "grid:2") == 0
    folder = trained_run / "predict" / "clip" / "arc_left-s0"
    files = {"generated.mp4", "reference.mp4", "tracks.npz", "tracks.json", "overlay.mp4", "cameras.json"}
    assert {path.name for path in folder.iterdir()} == {*files, "provenance.json"}
    assert read_video(folder / "generated.mp4")[0].shape == (3, 3, 32, 32)
    assert read_tracks(folder / "tracks.npz").tracks.shape == (2, 3, 4, 2)


@pytest.mark.parametrize(
    ("weights", "logged"),
    [((0, 0), set()), ((0.01, 0), {"track"}), ((0, 0.01), {"corr"}), ((0.01, 0.01), {"track", "corr"})],
)
def test_each_term_is_a_matter_of_a_flag(mvt4g, tmp_path, weights, logged):
    classes = "mvt4g.losses.track.TrackObjective", "mvt4g.losses.correspondence.CorrespondenceObjective"
    entries = [
        f"{{class_path: {kind}, init_args: {{weight: {weight}}}}}"
        for kind, weight in zip(classes, weights, strict=True)
    ]
    flags = [f"--model.init_args.objectives=[{', '.join(entries)}]"]
    length = ["--trainer.max_steps", "1", "--trainer.limit_val_batches", "0"]
    assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path, *flags, *length) == 0
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()["scalars"]
    assert {name for name in ("track", "corr") if f"train/loss_{name}" in tags} == logged
