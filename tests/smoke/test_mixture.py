"""Two sources in one fit, one of them video and cameras alone: config file, losses by source, resume, bad input."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mvt4g.formats.clip_cache import write_clip
from tests.data.made_up_clips import moving_clip, video_and_cameras

CONFIG = "configs/debug.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of clips on disk and of ``mixture.yaml``, which lays them over the debug config."""
    folder = tmp_path_factory.mktemp("clips")
    for name, make in (("videos", video_and_cameras), ("tracked", moving_clip), ("one_view", video_and_cameras)):
        for number in range(2):
            clip = make(views=1 if name == "one_view" else 3, frames=6, height=40, width=48, seed=number)
            write_clip(folder / name / f"{number}.npz", clip)
    (folder / "empty").mkdir()
    sources = [
        {"name": "scenes", "weight": 1.5},
        {"path": str(folder / "videos")},
        {"path": str(folder / "tracked"), "split": "val"},
        {"path": str(folder / "videos"), "split": "val"},
    ]
    sampling = {
        "sources": sources,
        "frames": {"count": 3, "strides": [1, 2]},
        "crop": {"size": [32, 32], "share": [0.7, 1.0]},
        "num_points": 12,
        "augment": {"recolour": True, "jitter": {"probability": 0.5}, "eraser": {"probability": 0.5}},
    }
    data = {"init_args": {"scene": {"num_frames": 5}, "loader": {"batch_size": 4}, "sampling": sampling}}
    (folder / "mixture.yaml").write_text(yaml.safe_dump({"data": data}))
    return folder


def test_fit_resume_and_validation(mvt4g, folder, tmp_path):
    args = ("fit", "-c", CONFIG, "-c", folder / "mixture.yaml")
    through, resumed = tmp_path / "through", tmp_path / "resumed"
    assert mvt4g(*args, "--run", through, "--data.init_args.loader.num_workers=1") == 0
    args += ("--trainer.limit_val_batches=0", "--run", resumed)  # weights are compared, which no validation changes
    assert mvt4g(*args, "--trainer.max_steps=2") == 0
    assert mvt4g(*args, "--ckpt_path", "last") == 0
    one, other = (
        torch.load(run / "checkpoints" / "step-00000004.ckpt", weights_only=True)["state_dict"]
        for run in (through, resumed)
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())

    found = EventAccumulator(str(through))
    found.Reload()
    tags = set(found.Tags()["scalars"])
    assert {"train/loss_diff/scenes", "train/loss_diff/videos", "train/loss_track/scenes"} <= tags
    assert {"train/loss_corr/scenes", "train/empty_track", "val/attention_pck/cross@0.50", "val/loss"} <= tags
    assert not {"train/loss_track/videos", "train/loss_corr/videos"} & tags
    assert list((through / "val" / "media").glob("videos-*.png"))


def test_test_scores_generated_scenes_still(mvt4g, folder, tmp_path):
    assert mvt4g("test", "-c", CONFIG, "-c", folder / "mixture.yaml", "--run", tmp_path) == 0
    assert json.loads((tmp_path / "test" / "metrics.json").read_text())["test/psnr"] > 0


def in_training(path: Path | str, **more) -> str:
    return "sampling.sources=" + json.dumps([{"path": str(path), **more}])


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        (lambda folder: in_training(folder / "none"), "{folder}/none: no such file"),
        (lambda folder: in_training(folder / "empty"), "{folder}/empty: got no"),
        (lambda folder: in_training(folder / "videos", format="nonsense"), "format: got 'nonsense', want one of"),
        (lambda folder: in_training(folder / "one_view"), "one_view/{one}.npz: got 1 view, want a reference and a"),
        (lambda folder: in_training(folder / "videos", wieght=2), "wieght"),
        (
            lambda folder: in_training(folder / "videos", weight=0),
            "sampling.sources.0.init_args.weight: got 0.0, want more than 0",
        ),
        (lambda folder: in_training(folder / "videos", split="dev"), "dev"),
        (lambda _: "sampling.frames.count=0", "sampling.frames.count: got 0, want at least 1"),
        (lambda _: "sampling.frames.count=9", "got 5 frames, want at least 9 (sampling.frames)"),
        (lambda _: "sampling.crop.flip=true", "flip"),
        (lambda _: "sampling.augment.jitter.alike=pixel", "pixel"),
    ],
)
def test_bad_input_is_one_line(mvt4g, folder, tmp_path, capfd, flag, says):
    args = ("fit", "-c", CONFIG, "-c", folder / "mixture.yaml", "--run", tmp_path / "run")
    assert mvt4g(*args, f"--data.init_args.{flag(folder)}") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert any(says.format(folder=folder, one=one) in line for one in (0, 1)), line
    assert not (tmp_path / "run" / "config.yaml").exists()
