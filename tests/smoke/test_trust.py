"""A stranger's configuration runs and imports nothing; a package that its user trusts is used as ours are."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

CONFIG = "configs/debug.yaml"
TINY = "--data.init_args.size={height: 32, width: 32, num_frames: 3, temporal_stride: 1}"
COMMANDS = {
    "fit": ("fit", "-c", CONFIG),
    "validate": ("validate", "-c", CONFIG),
    "test": ("test", "-c", CONFIG),
    "predict": ("predict", "-c", CONFIG, "-c", "configs/data/davis.yaml", TINY),
}
OPTIONS = (
    "trainer.accelerator",
    "trainer.strategy",
    "trainer.callbacks",
    "trainer.logger",
    "trainer.plugins",
    "trainer.profiler",
    "model",
    "model.init_args.codec",
    "model.init_args.backbone",
    "model.init_args.backbone.init_args.extra_conditioning",
    "model.init_args.tracking_head",
    "model.init_args.objectives",
    "model.init_args.training.optimizer",
    "data",
    "data.init_args.scene.cameras",
    "data.init_args.scene.objects",
)
"""Options that take a class, or a list of classes, or a function that makes one."""
LISTS = ("trainer.callbacks", "model.init_args.objectives", "model.init_args.backbone.init_args.extra_conditioning")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return what appears if module ``planted`` is imported or something in it is called."""
    marker = tmp_path / "marker"
    (tmp_path / "planted.py").write_text(
        f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
        "import torch\n"
        "class Optimizer(torch.optim.SGD):\n    pass\n"
        "def make(*args, **kwargs):\n    raise SystemExit(99)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("MVT4G_TRUST", raising=False)
    yield marker
    sys.modules.pop("planted", None)


@pytest.fixture
def refused(
    mvt4g: Callable[..., int], planted: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., str]:
    """Return a call of a command that must be refused in one line, with nothing imported and nothing written."""

    def call(*args: str | Path) -> str:
        capfd.readouterr()
        run = () if args[0] in ("write-clips", "precompute") else ("--run", tmp_path / "run")
        assert mvt4g(*args, *run) == 2
        out, err = capfd.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("mvt4g: ")
        assert not planted.exists()
        assert "planted" not in sys.modules
        assert not (tmp_path / "run").exists()
        return line

    return call


def nested(option: str, value: object) -> dict[str, object]:
    """Return what YAML says of a dotted option."""
    for key in reversed(option.split(".")):
        value = {key: value}
    return value


@pytest.mark.parametrize("form", ["dotted", "spec", "inline", "file"])
@pytest.mark.parametrize("option", OPTIONS)
def test_no_option_imports_what_it_names(refused, tmp_path, option, form):
    spec = {"class_path": "planted.make", "init_args": {"x": 1}}
    value = [spec] if option in LISTS else spec
    if form == "dotted":
        args = (f"--{option}{'+' if option in LISTS else ''}=planted.make",)
    elif form == "spec":
        args = (f"--{option}{'+' if option in LISTS else ''}={yaml.safe_dump(spec, default_flow_style=True).strip()}",)
    elif form == "inline":
        args = ("-c", yaml.safe_dump(nested(option, value)))
    else:
        (tmp_path / "stranger.yaml").write_text(yaml.safe_dump(nested(option, value)))
        args = ("-c", tmp_path / "stranger.yaml")
    refused(*COMMANDS["fit"], *args)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "words",
    [
        ("--model.init_args.training.optimizer", "planted.make"),
        ("--model.init_args.training.optimizer", "os.system"),
        ("--model.init_args.tracking_head", "os.system"),
        ("--model.init_args.training.optimizer", "{class_path: os.system, init_args: {command: 'touch MARKER'}}"),
        ("--model.init_args.tracking_head", "{class_path: subprocess.Popen, init_args: {args: [touch, MARKER]}}"),
        ("--model.init_args.training.optimizer", "mvt4g.formats.atomic.os.system"),
        ("--model.init_args.training.optimizer", "mvt4g.types.planted.make"),
        ("--data.help", "planted.make"),
        ("--model.help", "planted.make"),
        ("--trainer.callbacks.help", "planted.make"),
    ],
)
def test_no_command_runs_what_an_option_names(refused, planted, command, words):
    option, value = words
    refused(*COMMANDS[command], option, value.replace("MARKER", str(planted)))


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("model.init_args.training.optimizer", "mvt4g.systems.schedule.warmup_cosine", "want"),
        ("model.init_args.training.optimizer", "mvt4g.cli.main", "want a class of mvt4g"),
        ("model.init_args.tracking_head", "mvt4g.systems.schedule.warmup_cosine", "TrackingHead"),
        ("model.init_args.codec", "mvt4g.models.backbones.ReCamMaster", "Codec"),
        ("model.init_args.training.optimizer", "mvt4g.models.codec.PatchCodec", "Optimizer"),
        ("trainer.logger", "lightning.pytorch.loggers.WandbLogger", "--trust lightning.pytorch.loggers.wandb"),
        ("model.init_args.evaluation.videos.more", "[{class_path: torchmetrics.text.BERTScore}]", "torchmetrics.text"),
        (
            "model.init_args.evaluation.videos.more",
            "[{class_path: torchmetrics.image.fid.FrechetInceptionDistance}]",
            "fid",
        ),
        ("trainer.callbacks+", "lightning.pytorch.callbacks.LambdaCallback", "lambda_function"),
    ],
)
def test_what_is_allowed_must_be_a_class_that_the_option_wants(refused, option, value, says):
    assert says in refused(*COMMANDS["fit"], f"--{option}={value}")


@pytest.mark.parametrize(
    "value", ["mvt4g.systems.schedule.warmup_cosine", "lightning.pytorch.utilities.rank_zero_info"]
)
def test_functions_are_no_values(refused, value):
    callbacks = f"[{{class_path: lightning.pytorch.callbacks.WeightAveraging, init_args: {{avg_fn: {value}}}}}]"
    assert "avg_fn" in refused(*COMMANDS["fit"], f"--trainer.callbacks={callbacks}")


@pytest.mark.parametrize(
    "content", ["trust: planted", "trust: [planted]", "fit: {trust: planted}", "MVT4G_TRUST: planted"]
)
def test_no_file_can_trust(refused, tmp_path, content):
    (tmp_path / "stranger.yaml").write_text(
        f"{content}\nmodel: {{init_args: {{training: {{optimizer: planted.Optimizer}}}}}}\n"
    )
    refused(*COMMANDS["fit"], "-c", tmp_path / "stranger.yaml")


def test_verbs_import_nothing_either(refused, tmp_path):
    (tmp_path / "scene.yaml").write_text("cameras: {class_path: planted.make}\n")
    refused("write-clips", "--scene", tmp_path / "scene.yaml", "--out", tmp_path / "clips", "--train", "1")
    refused("write-clips", "--scene.objects", "planted.make", "--out", tmp_path / "clips", "--train", "1")
    assert not (tmp_path / "clips").exists()


def test_what_a_variable_says_is_held_to_the_same_rule(refused, monkeypatch):
    monkeypatch.setenv("JSONARGPARSE_DEFAULT_ENV", "true")
    monkeypatch.setenv("MVT4G_FIT__MODEL__INIT_ARGS__OPTIMIZER", "planted.make")
    monkeypatch.setenv("PYTEST_FIT__MODEL", "planted.make")
    refused(*COMMANDS["fit"], "--model.init_args.training.optimizer=planted.make")


@pytest.mark.parametrize("way", ["option", "two words", "variable", "after", "of a part"])
def test_a_trusted_module_is_used(mvt4g, planted, capfd, tmp_path, monkeypatch, way):
    words: tuple[str, ...] = {
        "option": ("--trust=planted",),
        "two words": ("--trust", "planted"),
        "of a part": ("--trust", "other", "--trust", "planted"),
    }.get(way, ())
    if way == "variable":
        monkeypatch.setenv("MVT4G_TRUST", "other,planted")
    after = ("--trust", "planted") if way == "after" else ()
    config = ("-c", CONFIG, "--model.init_args.training.optimizer=planted.Optimizer", "--run", tmp_path / "run")
    with pytest.raises(SystemExit) as left:
        mvt4g("fit", *words, *config, "--print_config", *after)
    assert left.value.code == 0
    assert planted.exists()
    config = yaml.safe_load(capfd.readouterr().out)
    assert config["model"]["init_args"]["training"]["optimizer"]["class_path"] == "planted.Optimizer"


def test_trust_ends_with_its_command(mvt4g, planted, tmp_path, capfd):
    """The words of one command say nothing of the next in the same process, nor does the configuration of a run."""
    run = tmp_path / "run"
    args = (*COMMANDS["fit"], "--model.init_args.training.optimizer=planted.Optimizer", "--trainer.max_steps=1")
    args += ("--data.init_args.num_test=1",)
    assert mvt4g(*args, "--run", run, "--trust", "planted") == 0
    assert mvt4g("test", "-c", run / "config.yaml", "--run", run, "--ckpt_path", "last") == 2
    assert "a module that you trust needs --trust planted" in capfd.readouterr().err
    assert mvt4g("test", "-c", run / "config.yaml", "--run", run, "--ckpt_path", "last", "--trust", "planted") == 0


@pytest.mark.parametrize("name", ["", "no module", "a..b", "jsonargparse", "*"])
def test_only_modules_are_trusted(mvt4g, capfd, tmp_path, name):
    assert mvt4g(*COMMANDS["fit"], "--run", tmp_path / "run", f"--trust={name}") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "--trust" in line


@pytest.mark.slow
def test_a_package_beside_the_user_is_found_by_the_console_script(planted, tmp_path):
    """``python -m mvt4g`` looks in the working directory, a console script does not: ``--trust`` does for both."""
    script = "import sys; sys.path.remove('') if '' in sys.path else None; from mvt4g.cli import main; sys.exit(main())"
    root = Path(__file__).parents[2]
    args = [str(root / word) if word.startswith("configs/") else word for word in COMMANDS["fit"]]
    words = ["--model.init_args.training.optimizer=planted.Optimizer", "--trainer.max_steps=1", "--run", "run"]
    workers = ["--data.init_args.loader.num_workers=2", "--trust", "planted"]
    command = [sys.executable, "-P", "-c", script, *args, *words, *workers]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(root), "PATH": ""}, check=False)
    assert done.returncode == 0
