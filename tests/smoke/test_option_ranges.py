"""Every number of a command's options has a range, and what is out of it is one line before anything is built."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonargparse import Namespace

from mvt4g.cli.suite import start
from mvt4g.commands.parsing.option_ranges import check_options
from mvt4g.types import InputError
from tests.fuzz.option_walk import Parsed, Stop, leaves

CONFIG = "configs/debug.yaml"
COMMANDS = [
    ("fit", "-c", CONFIG),
    ("test", "-c", "configs/experiment/demo.yaml", "-c", "configs/experiment/probe.yaml"),
    ("predict", "-c", CONFIG, "-c", "configs/data/davis.yaml"),
    ("fit", "-c", CONFIG, "-c", "configs/data/movi_f.yaml"),
]


def parsed(args: tuple[str, ...]) -> Namespace:
    try:
        start([*args, "--run", "unused"], Parsed)
    except Stop as stop:
        return stop.config
    raise AssertionError


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: "-".join(Path(arg).stem for arg in args if arg != "-c"))
def test_no_number_may_be_anything(mvt4g, args):
    """NaN, infinity, 1e30 and 10^30 are refused in the place of every number and of every entry of a list."""
    config = parsed(args)
    check_options(config)
    seen = 0
    for option, value in leaves(config):
        entries = isinstance(value, list | tuple) and len(value) > 0 and is_number(value[0])
        if not (is_number(value) or entries):
            continue
        seen += 1
        for odd in (math.nan, math.inf, -math.inf, 1e30, 10**30):
            config[option] = (*value[:-1], odd) if entries else odd
            with pytest.raises(InputError) as error:
                check_options(config)
            assert str(error.value).startswith(f"{option}: got ")
        config[option] = value
    assert seen > 50


def test_null_stands_only_where_a_type_has_it(mvt4g):
    """The parser lets null pass in the place of any list, number or text."""
    config = parsed(COMMANDS[0])
    model = "model.init_args"
    for option in (
        f"{model}.objectives", f"{model}.codec.init_args.keep", f"{model}.backbone.init_args.extra_conditioning",
        f"{model}.training.optimizer.init_args.lr", f"{model}.evaluation.noise_levels", "data.init_args.scene.fps",
        "trainer.max_steps", "checkpoint_every", "on_nan",
    ):  # fmt: skip
        value, config[option] = config[option], None
        with pytest.raises(InputError, match=f"^{option}: got null, want "):
            check_options(config)
        config[option] = value
    for option in ("trainer.max_time", "trainer.callbacks", f"{model}.tracking_head", f"{model}.training.lora"):
        value, config[option] = config[option], None
        check_options(config)
        config[option] = value


@pytest.mark.parametrize(
    ("option", "value"), [("devices", 100000), ("devices", "100000"), ("devices", [0, 100000]), ("num_nodes", 10**6)]
)
def test_no_option_starts_processes_without_end(option, value):
    """Asked of the check alone: if it failed, a command would start them."""
    with pytest.raises(InputError, match=rf"^trainer\.{option}: got "):
        check_options(Namespace(trainer=Namespace({option: value})))


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("seed_everything", "-1", "want at least 0"),
        ("seed_everything", "4294967296", "want at most 4294967295"),
        ("checkpoint_every", "0", "want at least 1"),
        ("trainer.val_check_interval", "0", "want more than 0"),
        ("trainer.val_check_interval", ".nan", "want more than 0"),
        ("trainer.accumulate_grad_batches", "0", "want at least 1"),
        ("trainer.gradient_clip_val", "-1", "want at least 0"),
        ("trainer.devices", "0", "devices"),
        ("trainer.num_nodes", "0", "want at least 1"),
        ("trainer.max_steps", "-2", "want at least -1"),
        ("trainer.precision", "16", "tracks and cameras must stay in fp32"),
        ("trainer.precision", "8-true", "precision"),
        ("trainer.accelerator", "abacus", "accelerator"),
        ("trainer.strategy", "chess", "strategy"),
        ("model.init_args.training.optimizer.init_args.lr", "-1", "want in [0, 1000]"),
        ("model.init_args.training.optimizer.init_args.lr", ".nan", "want in [0, 1000]"),
        ("model.init_args.training.optimizer.init_args.betas", "[0.9, 1.0]", "want in [0, 1)"),
        ("model.init_args.training.optimizer.init_args.betas", "[.inf, 0.9]", "betas"),
        ("model.init_args.backbone.init_args.dit.dim", "0", "want at least 1"),
        ("model.init_args.backbone.init_args.dit.num_layers", "1000000", "want at most 1024"),
        ("model.init_args.backbone.init_args.grid.channels", "0", "grid.channels: got 0"),
        ("model.init_args.codec.init_args.block", "65536", "GiB"),
        ("model.init_args.training.num_queries", "0", "want at least 1"),
        ("model.init_args.training.num_queries", "1000000000", "want at most"),
        ("model.init_args.tracking_head.init_args.spec.radius", "1000", "GiB"),
        ("data.init_args.scene.num_frames", "0", "want at least 1"),
        ("data.init_args.scene.image_size", "[65536, 65536]", "GiB"),
        ("data.init_args.scene.image_size", "[0, 32]", "want each at least 1"),
        ("data.init_args.scene.points.count", "0", "want at least 1"),
        ("data.init_args.loader.batch_size", "0", "want at least 1"),
    ],
)
def test_through_the_command_line(
    mvt4g: Callable[..., int], capfd: pytest.CaptureFixture[str], tmp_path: Path, option: str, value: str, says: str
):
    assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path / "run", f"--{option}={value}") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert says in line
    assert len(line) <= 400
    assert not (tmp_path / "run").exists()


def test_a_network_that_no_memory_holds_is_not_begun(mvt4g, capfd, tmp_path):
    dit = "--model.init_args.backbone.init_args.dit={dim: 1048576, ffn_dim: 1048576, num_heads: 1024, num_layers: 1024}"
    assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path / "run", dit) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "dit: got layers 1024 x weights of a layer" in line


@pytest.mark.parametrize(
    "optimizer",
    [
        "{class_path: torch.optim.SparseAdam}",
        "{class_path: torch.optim.Muon}",
        "{class_path: torch.optim.AdamW, init_args: {fused: true, foreach: true}}",
    ],
)
def test_what_an_optimizer_refuses_is_one_line(mvt4g, capfd, tmp_path, optimizer):
    assert (
        mvt4g("fit", "-c", CONFIG, "--run", tmp_path / "run", f"--model.init_args.training.optimizer={optimizer}") == 2
    )
    (line,) = capfd.readouterr().err.splitlines()
    assert "optimizer" in line


def test_a_long_line_keeps_both_its_ends(mvt4g, capfd, tmp_path):
    name = "x" * 3000
    assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path / "run", f"--model.init_args.backbone={name}") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert len(line) <= 400
    assert line.startswith("mvt4g: model")
    assert "..." in line
    # What was given is cut at its beginning, since a path ends with its name.
    assert line.endswith("x, want the class path of a class")


def test_no_warning_of_another_library_stands_beside_what_is_said(mvt4g, capfd, tmp_path):
    """Pinned memory without a GPU, of which torch warns; pytest's own catching of warnings is put aside."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        options = ("--data.init_args.loader.pin_memory=true", "--trainer.max_steps=1", "--trainer.val_check_interval=1")
        assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path / "run", *options) == 0
        warnings.warn_explicit("beside a line", UserWarning, "x.py", 1, module="PIL.Image")
        with pytest.warns(UserWarning, match="ours"):
            warnings.warn_explicit("ours", UserWarning, "x.py", 1, module="mvt4g.made_up")
    assert capfd.readouterr().err == ""
