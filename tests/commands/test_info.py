"""``mvt4g info``: what is installed, and of a configuration its files, parameters and counted memory."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from mvt4g.cli import main
from mvt4g.cli.pages import FOLDER
from mvt4g.commands.info import Shape, split_options
from mvt4g.commands.step_memory import BatchSize, LatentsOnly, LiveBytes, step_batch
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.errors import InputError
from mvt4g.models.novel_view import NovelViewModel
from tests.models.small_backbones import loud_backbone

ROOT = Path(__file__).parents[2]


@pytest.fixture
def info(monkeypatch, capfd):
    """Return a call that returns the lines of a successful command."""
    monkeypatch.chdir(ROOT)

    def run(*args: str) -> list[str]:
        assert main(["info", *args]) == 0
        return capfd.readouterr().out.splitlines()

    return run


def test_versions_devices_and_extras(info):
    told = "\n".join(info())
    assert told.startswith("mvt4g ")
    assert f"torch {torch.__version__.partition('+')[0]}" in told
    assert re.search(r"^CPU: \d+ cores, [\d.]+ GiB of memory$", told, re.MULTILINE)
    assert re.search(r"^extra wan: ", told, re.MULTILINE)
    assert "model:" not in told


def test_a_missing_package_is_told(info, monkeypatch):
    monkeypatch.setattr("mvt4g.commands.info._version", lambda package: None if package == "pycolmap" else "1.0")
    assert "extra colmap: missing pycolmap" in info()


def test_a_configuration(info, tmp_path):
    weights = tmp_path / "base.ckpt"
    weights.touch()
    base = f"--model.init_args.backbone.init_args.weights={weights}"
    lines = info("-c", "configs/debug.yaml", base, "--data.init_args.loader.batch_size", "2")
    assert f"model.backbone.weights: {weights} (there)" in lines
    (parameters,) = [line for line in lines if line.startswith("parameters:")]
    assert re.fullmatch(r"parameters: [1-9][\d,]+ train, 0 are frozen \(without the codec\)", parameters)
    assert "memory of a step, counted, one device: 2 clips of 3 frames, 32x32, 32-true" in lines


@pytest.mark.slow
def test_memory_grows_with_the_batch_and_weights_do_not(info):
    def counted(*args: str) -> dict[str, float]:
        found = (
            re.fullmatch(r"  (.*?) +([\d.]+) GiB", line) for line in info("-c", "configs/experiment/demo.yaml", *args)
        )
        return {match[1]: float(match[2]) for match in found if match}

    one, four = (counted("--data.init_args.loader.batch_size", clips) for clips in ("1", "4"))
    assert one["weights"] == four["weights"] > 0
    assert four["activations at the peak"] > 2 * one["activations at the peak"]
    assert one["peak"] == pytest.approx(sum(value for name, value in one.items() if name != "peak"), abs=0.01)


def test_frozen_parameters_and_sizes_that_are_not_said(info):
    lines = info("-c", "configs/backbone/wan_1_3b_recammaster.yaml", "-c", "configs/data/latents.yaml")
    (parameters,) = [line for line in lines if line.startswith("parameters:")]
    assert ", 0 are frozen" not in parameters
    assert "model.codec.weights: weights/Wan2.1_VAE.pth (MISSING)" in lines
    assert lines[-1].startswith("memory of a step: not counted, the data do not say frames and size")


def test_living_bytes_are_those_by_hand():
    counter = LiveBytes()
    with counter:
        first = torch.ones(1024)
        second = first + 1
        del first
        third = second * 2
        del second
    assert (counter.total, counter.peak) == (4096, 8192)
    assert third.numel() == 1024


def test_a_batch_has_the_models_shape():
    backbone = loud_backbone()
    grid = backbone.grid
    batch = step_batch(NovelViewModel(backbone, LatentsOnly(grid), FlowMatching()), BatchSize(3, 9, (32, 48), 7))
    rows, columns = 32 // grid.spatial_stride, 48 // grid.spatial_stride
    assert batch.latents.shape == (3, 2, grid.channels, grid.latent_frames(9), rows, columns)
    assert (batch.queries.shape, batch.cameras.intrinsics.shape) == ((3, 7, 4), (3, 2, 9, 3, 3))


def test_examples_of_the_page_parse():
    examples = [line for line in (FOLDER / "info.txt").read_text().splitlines() if line.startswith("  mvt4g info -c")]
    words = shlex.split(examples[-1])[2:]
    assert split_options(words) == (Shape(81, (480, 832)), words[:4])


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--size", "480"], "--size: got 480, want rows x columns such as 480x832"),
        (["--size", "0x8"], "--size: got 0, want"),
        (["--frames", "x"], "--frames: got x, want a number of frames"),
        (["--frames", "9" * 40], "--frames: got"),
        (["--frames"], "--frames"),
    ],
)
def test_bad_options_are_one_line(args, told):
    with pytest.raises(InputError, match=re.escape(told)) as error:
        split_options(args)
    assert "\n" not in str(error.value)
