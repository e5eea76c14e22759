"""Bad input through the command line: exit code 2, one line on stderr that says what and where, no file left behind."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mvt4g.cli.suite import check_run_folder
from mvt4g.formats.video import write_video
from mvt4g.types import InputError

CONFIG = "configs/debug.yaml"
CORR = "mvt4g.losses.correspondence.CorrespondenceObjective"
SIZE = "--data.init_args.size={height: 32, width: 32, num_frames: 3, temporal_stride: 1}"
PREDICT = ("predict", "-c", CONFIG, "-c", "configs/data/davis.yaml", SIZE)


class Code:
    """What a pickle runs when it is read as one."""

    def __reduce__(self):
        return os.system, ("false",)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of bad files, and ``good.mp4`` of 6 frames, 40x48."""
    folder = tmp_path_factory.mktemp("bad")
    write_video(folder / "good.mp4", torch.rand(6, 3, 48, 40), fps=8)
    (folder / "cut.mp4").write_bytes((folder / "good.mp4").read_bytes()[:-500])
    (folder / "text.mp4").write_text("this is no video\n")
    (folder / "empty").mkdir()
    for name in ("broken", "sizes"):
        (folder / name).mkdir()
        for number in range(4):
            Image.fromarray(np.full((48, 40, 3), 40 * number, np.uint8)).save(folder / name / f"{number}.jpg")
    (folder / "broken" / "1.jpg").write_bytes((folder / "broken" / "1.jpg").read_bytes()[:-300])
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "sizes" / "1.jpg")
    for name, count, place, value in (("nan", 3, (0, 3), np.nan), ("skew", 3, (0, 0), 2.0), ("long", 5, (3, 3), 1.0)):
        poses = np.tile(np.eye(4), (count, 1, 1))
        poses[1][place] = value
        (folder / f"{name}.json").write_text(json.dumps({"world_from_cam": poses.tolist()}))
    (folder / "outside.csv").write_text("frame,x,y\n0,5,5\n0,40,5\n")
    (folder / "late.csv").write_text("frame,x,y\n6,5,5\n")
    (folder / "misspelt.yaml").write_text("model: {init_args: {tracking_head: {init_args: {laier: 1}}}}\n")
    (folder / "top.yaml").write_text("traner: {max_steps: 3}\n")
    (folder / "unclosed.yaml").write_text("trainer: [1\n")
    (folder / "binary.yaml").write_bytes(bytes(range(128, 256)))
    (folder / "text.ckpt").write_text("this is no checkpoint\n")
    (folder / "cut.ckpt").write_bytes(b"PK\x03\x04" + bytes(100))
    torch.save({"weights": torch.zeros(2)}, folder / "other.ckpt")
    torch.save({"state_dict": Code(), "global_step": 1}, folder / "code.ckpt")
    return folder


@pytest.fixture
def refused(mvt4g: Callable[..., int], capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Return a call that runs a command which must be refused, and gives the line it says."""

    def call(*args: str | Path, run: Path = tmp_path / "run") -> str:
        before = files(run)
        capfd.readouterr()
        assert mvt4g(*args, "--run", run) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith("mvt4g: ")
        assert files(run) == before
        return line

    return call


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.mp4", "no such file"),
        ("cut.mp4", "want the whole file"),
        ("text.mp4", "cannot be read as a video"),
        ("empty", "got no image"),
        ("broken", "1.jpg: cannot be read as an image"),
        ("sizes", "1.jpg: got a frame of 40x40, want 40x48"),
    ],
)
def test_video(refused, bad, name, says):
    line = refused(*PREDICT, "--data.init_args.video", bad / name)
    assert str(bad / name) in line
    assert says in line


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nan.json", "frame [1]: got NaN"),
        ("skew.json", "frame [1]: got a 3x3 part that is not orthonormal"),
        ("long.json", "got 5 poses, want 3"),
        ("none.json", "no such file"),
    ],
)
def test_trajectory(refused, bad, name, says):
    flags = "--data.init_args.video", bad / "good.mp4", "--data.init_args.trajectory", bad / name
    line = refused(*PREDICT, *flags)
    assert str(bad / name) in line
    assert says in line


@pytest.mark.parametrize(
    ("name", "says"),
    [("outside.csv", "query 1: got x 40, want 0 <= x < 40"), ("late.csv", "query 0: got frame 6, want 0 <= frame < 6")],
)
def test_query_points(refused, bad, name, says):
    line = refused(*PREDICT, "--data.init_args.video", bad / "good.mp4", "--data.init_args.queries", bad / name)
    assert f"{bad / name}: {says}" in line


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.yaml", "File does not exist"),
        ("unclosed.yaml", "did not find expected ',' or ']'"),
        ("binary.yaml", "got byte 0x80, which is no UTF-8"),
        ("misspelt.yaml", "model.tracking_head: got option 'laier', want perhaps layer"),
        ("", "Path is not a file"),
    ],
)
def test_config_file(refused, bad, name, says):
    line = refused("fit", "-c", CONFIG, "-c", bad / name)
    assert str(bad / name) in line
    assert says in line


def test_options_of_other_commands(mvt4g, tmp_path, capfd):
    codec = ("--codec", "mvt4g.models.wan_codec.WanCodec", "--codec.weights", tmp_path / "none.pth")
    assert mvt4g("precompute", "--out", tmp_path / "cache", *codec) == 2
    assert capfd.readouterr().err == f"mvt4g: {tmp_path / 'none.pth'}: no such file, want a file of weights\n"


def test_size_that_no_tokens_cover(mvt4g, bad, tmp_path, capfd):
    odd = "--data.init_args.size={height: 36, width: 32, num_frames: 3, temporal_stride: 1}"
    assert mvt4g(*PREDICT, odd, "--data.init_args.video", bad / "good.mp4", "--run", tmp_path) == 2
    assert capfd.readouterr().err == "mvt4g: video size: got 36x32 (h x w), want multiples of 8\n"


def test_top_level_key(refused, bad):
    assert "got option 'traner.max_steps', want perhaps trainer.max_steps" in refused(
        "fit", "-c", CONFIG, "-c", bad / "top.yaml"
    )


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("model.init_args.tracking_head.init_args.layer=2", "tracking_head.layer: got layer 2, want 0 to 1"),
        (
            f"model.init_args.objectives=[{{class_path: {CORR}, init_args: {{layers: [0, 9]}}}}]",
            "layers: got layer 9, want 0 to 1",
        ),
        ("model.init_args.evaluation.attention_layers=[-1]", "attention_layers: got (-1,), want each at least 0"),
        ("model.init_args.tracking_head.init_args.laier=1", "model.tracking_head: got option 'laier', want"),
        ("model.init_args.backbone.init_args.dit=[1, [2, 3]]", "dit: got [1, [2, 3]], want options by name, those of"),
        ("model.init_args.training={num_querys: 3}", "model.training: got option 'num_querys', want"),
        ("model.init_args.codec.class_path=mvt4g.models.codec.Nope", "model.codec: "),
        ("model.init_args.training.num_queries=0", "training.num_queries: got 0, want at least 1"),
        ("model.init_args.codec.init_args.keep=12", "backbone.grid: got"),
        ("modle=1", "got option '--modle=1', want perhaps model"),
        ("trainer.max_steps=many", "trainer.max_steps: got many, want <class 'int'>"),
        ("trainer.precision=bf16-true", "trainer.precision: got bf16-true, want 32-true or bf16-mixed"),
        ("trainer.precision=int8", "trainer.precision: got int8, want"),
        ("trainer.accelerator=abacus", "abacus"),
    ],
)
def test_option(refused, flag, says):
    assert says in refused("fit", "-c", CONFIG, f"--{flag}")


def test_command(mvt4g, capfd):
    assert [mvt4g(), mvt4g("fti"), mvt4g("fit")] == [2, 2, 2]
    none, unknown, bare = capfd.readouterr().err.splitlines()
    assert "want one of fit, validate, test, predict, write-clips" in none
    assert "'fti'" in unknown
    assert "fit.model" in bare


def test_run_folder_is_asked_for(mvt4g, capfd):
    assert mvt4g("fit", "-c", CONFIG) == 2
    assert capfd.readouterr().err == "mvt4g: --run: got none, want the folder that takes everything the run writes\n"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_run_folder_has_a_name_that_a_folder_can_have(name):
    with pytest.raises(InputError, match=r"^--run: got '.*, want a name of at most 255 bytes without NUL$"):
        check_run_folder(f"runs/{name}/run")


@pytest.mark.parametrize("below", ["", "run"])
def test_run_folder_is_no_file(refused, bad, below):
    line = refused("fit", "-c", CONFIG, run=bad / "text.mp4" / below)
    assert f"--run: got {bad / 'text.mp4' / below}, want a folder, but {bad / 'text.mp4'} is none" in line


@pytest.mark.parametrize("command", ["fit", "test"])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.ckpt", "want a file that exists"),
        ("text.ckpt", "got no file of torch.save, want a file of tensors"),
        ("cut.ckpt", "want a file of tensors"),
        ("code.ckpt", "got a pickle that names posix.system (nothing of it was run), want tensors and plain values"),
        ("other.ckpt", "got weights, want the checkpoint of a fit"),
    ],
)
def test_checkpoint(refused, bad, command, name, says):
    line = refused(command, "-c", CONFIG, "--ckpt_path", bad / name)
    assert f"--ckpt_path: {bad / name}" in line.replace("got /", "/")
    assert says in line


def test_last_checkpoint_of_nothing(refused):
    assert "--ckpt_path: got last but" in refused("test", "-c", CONFIG, "--ckpt_path", "last")


@pytest.mark.parametrize(("command", "sliced"), [("fit", False), ("test", False), ("fit", True)])
def test_checkpoint_of_another_size(refused, trained_run, tmp_path, command, sliced):
    checkpoint = trained_run / "checkpoints" / "step-00000004.ckpt"
    narrower = "--model.init_args.backbone.init_args.dit.ffn_dim=64"
    slices = {
        "class_path": "lightning.pytorch.strategies.ModelParallelStrategy",
        "init_args": {"save_distributed_checkpoint": False},
    }
    strategy = slices if sliced else "auto"
    (tmp_path / "strategy.yaml").write_text(json.dumps({"trainer": {"strategy": strategy, "devices": 1}}))
    line = refused(command, "-c", CONFIG, "-c", tmp_path / "strategy.yaml", narrower, "--ckpt_path", checkpoint)
    assert "--ckpt_path: got weights of another model: " in line
    assert " mis-shaped: model.backbone.dit.blocks.0.ffn.0.weight (96, 48) for (64, 48), " in line


def test_checkpoint_of_another_depth(refused, trained_run):
    checkpoint = trained_run / "checkpoints" / "step-00000004.ckpt"
    line = refused("test", "-c", CONFIG, "--model.init_args.tracking_head=null", "--ckpt_path", checkpoint,
                   f"--model.init_args.objectives=[{{class_path: {CORR}, init_args: {{layers: [1]}}}}]")  # fmt: skip
    assert " unexpected: model.tracking_head.role_embedding, " in line


def test_fit_in_the_folder_of_another_fit(refused, trained_run):
    line = refused("fit", "-c", CONFIG, run=trained_run)
    assert f"--run: {trained_run / 'config.yaml'} holds a fit already; want --ckpt_path last" in line


def test_resumed_fit_with_another_setting(refused, trained_run):
    line = refused("fit", "-c", CONFIG, "--model.init_args.training.optimizer.init_args.lr=1e-2", "--ckpt_path", "last",
                   run=trained_run)  # fmt: skip
    assert "differing: model.init_args.training.optimizer.init_args.lr (was 0.001, got 0.01)" in line


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_meets_in_training(refused, bad, workers):
    flags = f"--data.init_args.cache_dir={bad / 'text.mp4'}", f"--data.init_args.loader.num_workers={workers}"
    assert f"{bad / 'text.mp4'}/" in refused("fit", "-c", CONFIG, *flags)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(
            ("fit", "-c", CONFIG, "--model.init_args.tracking_head.init_args.laier=1"),
            "got option 'laier'",
            marks=pytest.mark.slow,  # the other one starts a process too, and in this one many options are wrong
        ),
        ((*PREDICT, "--data.init_args.loader.num_workers=1", "--data.init_args.video={bad}/broken"), "1.jpg: cannot"),
    ],
    ids=["option", "worker"],
)
def test_in_a_terminal(bad, tmp_path, args, says):
    args = [arg.replace("{bad}", str(bad)) for arg in args]
    done = subprocess.run(
        [sys.executable, "-m", "mvt4g", *args, "--run", tmp_path / "run"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert says in line
    assert not files(tmp_path / "run")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("checkpoint_evry=3", "got option '--checkpoint_evry=3', want perhaps checkpoint_every"),
        ("trainer.max_step=3", "want perhaps trainer.max_steps"),
        ("model.init_args.traning.num_queries=3", "want perhaps training.num_queries"),
        ("model.init_args.evaluation={sample_step: 3}", "model.evaluation: got option 'sample_step', want perhaps"),
        ("model.init_args.tracking_head.init_args.spec.chanels=3", "'--spec.chanels=3', want perhaps spec.channels"),
        ("data.init_args.num_trian=4", "data: got option 'num_trian', want perhaps num_train"),
        ("zzz=3", "got option '--zzz=3', want one that exists"),
    ],
)
def test_a_near_name_is_told_of_a_misspelt_option(refused, option, told):
    assert told in refused("fit", "-c", CONFIG, f"--{option}")
