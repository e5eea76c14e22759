"""The tracker on its own, as its users call it: a joint run's checkpoint scored, and read in two given videos."""

import csv
import json

import pytest
import torch
import yaml

from mvt4g.formats.readers.registry import open_source
from mvt4g.formats.track_files import read_tracks
from mvt4g.formats.video import write_video

TRACKER = ("-c", "configs/tracker.yaml")
PAIR = (*TRACKER, "-c", "configs/data/video_pair.yaml")


def joint(run):
    """Return the configuration and the weights of a joint fit."""
    return "-c", run / "config.yaml", "--ckpt_path", run / "checkpoints" / "step-00000004.ckpt"


@pytest.fixture
def videos(tmp_path):
    """Two views of one pattern that moves 1 px a frame to the left; the target sees it 4 px farther left."""
    frames, size = 7, 32
    column, row = torch.meshgrid(torch.arange(size + 16.0), torch.arange(float(size)), indexing="xy")
    pattern = 0.5 + 0.25 * torch.stack(
        [torch.sin(0.7 * column), torch.cos(0.45 * row), torch.sin(0.3 * (column + row))]
    )
    for name, shift in (("left", 0), ("right", 4)):
        video = torch.stack([pattern[:, :, t + shift : t + shift + size] for t in range(frames)])
        write_video(tmp_path / f"{name}.mp4", video, fps=8)
    return tmp_path / "left.mp4", tmp_path / "right.mp4"


@pytest.mark.parametrize("method", ["head", "soft_argmax"])
def test_a_joint_runs_checkpoint_is_scored(mvt4g, trained_run, tmp_path, method):
    """By the diffusion process that it was trained with."""
    joint_flow = tmp_path / "flow.yaml"
    joint_flow.write_text(
        "model: {class_path: mvt4g.systems.novel_view.NovelViewSystem, init_args: {flow: {bf16_timestep: true}}}"
    )
    flags = f"--model.init_args.tracker.method={method}", "--model.init_args.tracker.evaluation.num_queries=8"
    run = tmp_path / "run"
    assert mvt4g("test", *joint(trained_run), "-c", joint_flow, *TRACKER, "--run", run, *flags) == 0
    assert yaml.safe_load((run / "test" / "config.yaml").read_text())["model"]["init_args"]["flow"]["bf16_timestep"]
    metrics = json.loads((run / "test" / "metrics.json").read_text())
    for kind in ("ref", "tgt", "cross", "cross_static"):
        assert 0 <= metrics[f"test/tapvid/{kind}/delta_avg@0.10"] <= 1
        assert 0 <= metrics[f"test/track_pck_2px/{kind}@0.10"] <= 1
    with (run / "test" / "videos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["video"].endswith(("/reference", "/target")) for row in rows)
    with (run / "test" / "scores.csv").open(newline="") as file:
        means = {row["score"]: row["mean"] for row in csv.DictReader(file)}
    for key in ("tapvid/cross/delta_avg", "track_pck_2px/cross"):
        assert float(means[key]) == pytest.approx(metrics[f"test/{key}@0.10"], abs=1e-6)


def test_two_videos_are_tracked_in_windows_and_exported(mvt4g, trained_run, tmp_path, videos, capfd):
    reference, target = videos
    flags = [
        f"--data.init_args.reference={reference}",
        f"--data.init_args.target={target}",
        "--data.init_args.queries=grid:2",
        "--data.init_args.size={height: 32, width: 32, num_frames: 101}",
        "--model.init_args.tracker.window=3",
    ]
    assert mvt4g("predict", *joint(trained_run), *PAIR, "--run", tmp_path / "run", *flags) == 0
    assert "reference 32x32 as it is; target 32x32 as it is; cameras unknown" in capfd.readouterr().out
    folder = tmp_path / "run" / "predict" / "left" / "right-s0"
    files = {"reference.mp4", "target.mp4", "tracks.npz", "tracks.json", "overlay.mp4", "provenance.json"}
    assert {path.name for path in folder.iterdir()} == files
    tracks = read_tracks(folder / "tracks.npz")
    assert tracks.tracks.shape == (2, 7, 4, 2)
    assert tracks.tracks.isfinite().all()
    assert tracks.confidence is not None
    torch.testing.assert_close(read_tracks(folder / "tracks.json").tracks, tracks.tracks, rtol=0, atol=1e-4)

    assert mvt4g("export-tracks", folder) == 0
    assert mvt4g("export-tracks", folder, "--format", "cotracker", "--out", tmp_path / "co") == 0
    for source in (open_source(folder / "tapvid.pkl"), open_source(tmp_path / "co")):
        assert [name.rpartition("/")[2] for name in source.names] == ["left_right-s0_reference", "left_right-s0_target"]
        torch.testing.assert_close(source[1].tracks[0], tracks.tracks[1], rtol=0, atol=1e-3)


def test_training_the_head_alone_leaves_the_backbone(mvt4g, trained_run, tmp_path):
    weights = trained_run / "checkpoints" / "step-00000004.ckpt"
    flags = (
        "--ckpt_path=null",
        "--model.init_args.tracker_training.trainable=[tracking_head]",
        f"--model.init_args.backbone.init_args.weights={weights}",
        "--trainer.max_steps=2",
        "--trainer.limit_val_batches=1",
    )
    assert mvt4g("fit", "-c", trained_run / "config.yaml", *TRACKER, "--run", tmp_path, *flags) == 0
    before = torch.load(weights, weights_only=True)["callbacks"]["EMA"]["average"]
    after = torch.load(tmp_path / "checkpoints" / "step-00000002.ckpt", weights_only=True)["state_dict"]
    changed = {name: not torch.equal(value, after[name]) for name, value in before.items()}
    assert not any(moved for name, moved in changed.items() if "tracking_head" not in name)
    assert any(moved for name, moved in changed.items() if "tracking_head" in name)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--data.init_args.target=none.mp4",), "none.mp4: no such file"),
        (("--data.init_args.queries=mask",), "queries: got 'mask' for a pair of videos"),
        (("--data.init_args.cameras=none.json",), "none.json: no such file"),
        (("--model.init_args.tracker.window=4", "--model.init_args.tracker.overlap=4"), "tracker.overlap: got 4 of 4"),
    ],
)
def test_bad_input_is_one_line(mvt4g, trained_run, tmp_path, videos, capfd, flags, says):
    given = f"--data.init_args.reference={videos[0]}", f"--data.init_args.target={videos[1]}"
    args = "predict", "-c", trained_run / "config.yaml", *PAIR, "--run", tmp_path / "run", *given, *flags
    assert mvt4g(*args) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert says in line


def test_one_video_is_not_enough(mvt4g, trained_run, tmp_path, videos, capfd):
    flags = "--data.init_args.video", videos[0], "--data.init_args.size={height: 32, width: 32, num_frames: 3}"
    config = "-c", trained_run / "config.yaml", *TRACKER, "-c", "configs/data/davis.yaml"
    assert mvt4g("predict", *config, "--run", tmp_path, *flags) == 2
    assert "want those of both views to track in" in capfd.readouterr().err
