"""What fit a command line of tune stands for, and the video that it goes through."""

import pytest
import torch
import yaml

from mvt4g.commands.tune import fit_options
from mvt4g.data.camera_paths import CameraAssumption
from mvt4g.data.frame_selection import FrameSelection
from mvt4g.data.tuning_datamodule import VideoTuningDataModule
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.video import write_video
from mvt4g.types import InputError

MODEL = "--model.init_args."


@pytest.fixture
def run(tmp_path):
    """A run of a model trained on 3 frames of 48x32, and its last checkpoint."""
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    for step in (2, 10):
        (folder / "checkpoints" / f"step-{step:08d}.ckpt").touch()
    grid = {"temporal_stride": 2}
    content = {
        "model": {"init_args": {"backbone": {"init_args": {"grid": grid, "weights": "old.ckpt"}}}},
        "data": {"init_args": {"scene": {"num_frames": 3, "image_size": [48, 32]}}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return folder


def options(run, *more):
    return fit_options(["-c", str(run / "config.yaml"), "--video", "v.mp4", "--run", "out", *more])


def value(given, name):
    """Return what the last of the options of a name says."""
    return [option.partition("=")[2] for option in given if option.startswith(f"{name}=")][-1]


def test_a_run_is_tuned_from_its_last_checkpoint_at_its_size(run):
    given = options(run, "--depth", "d.npz", "--steps", "7", "--data.init_args.seed=3")
    assert given[2:8] == ["--run", "out", "--ckpt_path", "last", "--checkpoint_every", "25"], "after the configuration"
    assert value(given, "--trainer.max_steps") == "7"
    assert value(given, f"{MODEL}backbone.init_args.weights") == str(run / "checkpoints" / "step-00000010.ckpt")
    size = {"height": 48, "width": 32, "num_frames": 3, "temporal_stride": 2}
    assert yaml.safe_load(value(given, "--data.init_args.size")) == size
    assert value(given, "--data.init_args.camera.depth") == "d.npz"
    assert value(given, f"{MODEL}training.lifted.pairs") == "[double_reprojection]"
    assert value(given, f"{MODEL}training.trainable") == "null"
    assert given[-1] == "--data.init_args.seed=3", "what else is given comes last"


def test_weights_depth_and_adapters_are_as_asked_for(run):
    given = options(run, "--depth", "plane", "--weights", "builtin:tiny", "--lora", "4", "--lr", "0.002")
    assert value(given, f"{MODEL}backbone.init_args.weights") == "builtin:tiny"
    assert yaml.safe_load(value(given, f"{MODEL}training.lora")) == {"rank": 4, "alpha": 4}
    assert value(given, f"{MODEL}training.trainable") == "[lora_, patch_embedding]"
    for part in ("training.lifted", "evaluation"):
        assert value(given, f"{MODEL}{part}.depth") == "{kind: plane}"
    optimizer = yaml.safe_load(value(given, f"{MODEL}training.optimizer"))
    assert optimizer["init_args"]["lr"] == 0.002
    network = options(run, "--depth_model", "net")
    assert value(network, f"{MODEL}evaluation.depth") == "{kind: model, model: net}"
    own = options(run, "--data.init_args.camera.depth=d.npz")
    assert own[-1] == "--data.init_args.camera.depth=d.npz"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), "--depth: got none, want a file of the video's depth, plane, or --depth_model FOLDER"),
        (("--depth", "plane", "--depth_model", "net"), "--depth: got plane beside --depth_model, want either"),
        (("--depth", "plane", "--steps", "0"), "--steps: got 0, want at least 1"),
        (("--depth", "plane", "--steps", "many"), "argument --steps: invalid int value: 'many'"),
        (("--depth", "plane", "--lora", "0"), "--lora: got 0, want at least 1"),
        (("--depth", "plane", "--lr", "-1"), "--lr: got -1.0, want more than 0"),
        (("--depth", "plane", "--lr", "nan"), "--lr: got nan, want more than 0"),
        (("--depth", "plane", "--weights", "."), "--weights: got . without a checkpoint, want a run"),
    ],
)
def test_what_is_missing_or_bad_is_a_line(run, tmp_path, monkeypatch, more, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        options(run, *more)
    assert str(error.value).startswith(says)


def test_a_video_a_run_and_a_model_are_needed(run, tmp_path):
    with pytest.raises(InputError, match="-c: got none, want the configuration of the model"):
        fit_options(["--video", "v.mp4", "--run", "out"])
    with pytest.raises(InputError, match="--video: got none, want the video to tune on"):
        fit_options(["-c", "x.yaml", "--run", "out"])
    with pytest.raises(InputError, match="--run: got none, want the folder that takes everything"):
        fit_options(["-c", "x.yaml", "--video", "v.mp4"])
    (tmp_path / "fresh.yaml").write_text("model: {init_args: {backbone: {init_args: {weights: null}}}}")
    with pytest.raises(InputError, match="--weights: got none, want a checkpoint to tune, a run's folder"):
        fit_options(["-c", str(tmp_path / "fresh.yaml"), "--video", "v.mp4", "--run", "out", "--depth", "plane"])


# The video


@pytest.fixture
def video(tmp_path):
    """Six frames, frame t of brightness t / 10."""
    frames = torch.arange(6.0)[:, None, None, None].expand(6, 3, 32, 32) / 10
    write_video(tmp_path / "v.mp4", frames, fps=8)
    return tmp_path / "v.mp4"


def windows(video, **size):
    size = VideoSize(height=32, width=32, num_frames=3, temporal_stride=1, **size)
    data = VideoTuningDataModule(video, size=size, camera=CameraAssumption(), seed=5)
    data.setup("fit")
    return data.samples("train")


def first_frame(clip):
    return round(10 * clip.video[0, 0].mean().item())


def test_samples_are_runs_of_frames_and_follow_their_number(video):
    samples = windows(video)
    starts = [first_frame(samples[number]) for number in range(20)]
    assert set(starts) == {0, 1, 2, 3}
    assert [first_frame(windows(video)[number]) for number in (3, 11)] == [starts[3], starts[11]]
    clip = samples[0]
    assert clip.video.shape == (2, 3, 3, 32, 32)
    assert torch.equal(clip.video[0], clip.video[1])
    assert torch.equal(clip.cameras.cam_from_world[0], clip.cameras.cam_from_world[1])
    steps = clip.video[0, 1:].mean(dim=(1, 2, 3)) - clip.video[0, :-1].mean(dim=(1, 2, 3))
    assert ((steps - 0.1).abs() < 0.03).all()


def test_selections_of_frames_hold(video):
    assert {first_frame(windows(video, frames=FrameSelection(start=2))[number]) for number in range(9)} == {2, 3}
    assert {first_frame(windows(video, frames=FrameSelection(step=2))[number]) for number in range(9)} == {0}
    assert {first_frame(windows(video, time="spread")[number]) for number in range(9)} == {0}


def test_what_it_cannot_do_is_told(video, tmp_path):
    data = VideoTuningDataModule(video)
    with pytest.raises(InputError, match="got VideoTuningDataModule for validate, want clips whose target view"):
        data.setup("validate")
    with pytest.raises(InputError, match=r"want trainer\.limit_val_batches 0"):
        data.samples("val")
    write_video(tmp_path / "w.mp4", torch.zeros(3, 3, 32, 32), fps=8)
    with pytest.raises(InputError, match="which is 2 videos, want one to tune on"):
        VideoTuningDataModule(tmp_path).setup("fit")
