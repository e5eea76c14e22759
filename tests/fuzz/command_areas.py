"""What is fed with broken input: configurations, options, class paths, checkpoints, verbs and whole fits."""

import os
import random
import shutil
from pathlib import Path
from typing import Any

import yaml

from mvt4g.cli.entry import main
from mvt4g.cli.exits import exit_code
from mvt4g.cli.suite import SuiteCLI, start
from mvt4g.commands.parsing.config_files import config_text
from tests.fuzz.area import Area
from tests.fuzz.harness import MARK, STRANGER, Case
from tests.fuzz.mutations import mutate_tree, mutate_yaml

ROOT = Path(__file__).parents[2]
CONFIGS = (
    "configs/debug.yaml",
    "configs/experiment/nano.yaml",
    "configs/experiment/tracking.yaml",
)


class Built(SuiteCLI):
    """Builds what a command line names, and stops there."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Stop here."""


def _built(args: list[str]) -> int:
    return exit_code(lambda: start(args, Built))


def _copy_configs(folder: Path) -> None:
    for name in CONFIGS:
        if (ROOT / name).exists():
            (folder / Path(name).name).write_text(config_text(ROOT / name))


def _make_config(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    name = draw.choice(sorted(path.name for path in base.iterdir()))
    path = Path(shutil.copy(base / name, folder / "c.yaml"))
    if valid:
        told = ""
    elif draw.random() < 0.8:
        told = mutate_yaml(draw, path)
    else:
        told = mutate_tree(draw, path)
    args = ["fit", "-c", str(path), "--run", "run", "--trainer.accelerator", "cpu"]
    return Case(f"{name}: {told}" if told else "", lambda: _built(args))


ODD_TEXTS = (
    "nan", ".nan", "inf", "-.inf", "-1", "0", "1e30", "1000000000000000000000000000000", "4294967296", "true", "null",
    "[]", "{}", "[1, 2, 3]", "x", "", "[[[[[]]]]]", "[" * 2000, "{a: 1, a: 2}", "&a [*a]", "0.5", "'",
    "!!python/object/apply:os.system ['touch ran.mark']", "{class_path: os.system}", "x" * 5000, "\u2028", "-0.0",
)  # fmt: skip


def leaves(content: Any, where: str = "") -> list[str]:
    """Return the dotted options of a configuration."""
    if isinstance(content, dict) and content:
        return [leaf for key, value in content.items() for leaf in leaves(value, f"{where}.{key}" if where else key)]
    return [] if where.endswith("class_path") or ".callbacks" in where else [where]


MORE_OPTIONS = (
    "trainer.devices", "trainer.precision", "trainer.accumulate_grad_batches", "trainer.val_check_interval",
    "trainer.limit_test_batches", "trainer.num_nodes", "trainer.max_time", "trainer.strategy", "trainer.accelerator",
    "model.init_args.optimizer.init_args.betas", "model.init_args.optimizer.init_args.weight_decay",
    "model.init_args.evaluation.noise_levels", "model.init_args.codec.init_args.block", "ckpt_path", "run",
    "model.init_args.tracking_head.init_args.spec.radius", "model.init_args.tracking_head.init_args.spec.scales",
    "model.init_args.training.track_gate.low", "data.init_args.cache_dir", "data.init_args.scene.num_views",
    "data.init_args.train", "data.init_args.views.reference", "model.init_args.backbone.init_args.weights",
)  # fmt: skip


def _make_option(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    path = base / "debug.yaml"
    args = ["fit", "-c", str(path), "--run", "run"]
    if valid:
        return Case("", lambda: _built([*args, "--trainer.max_steps", "3"]))
    option = draw.choice([*leaves(yaml.safe_load(path.read_text())), *MORE_OPTIONS])
    value = draw.choice(ODD_TEXTS)
    return Case(f"--{option}={value:.40}", lambda: _built([*args, f"--{option}={value}"]))


_EVIL = (
    ("os.system", {"command": f"touch {MARK}"}),
    ("subprocess.Popen", {"args": ["touch", MARK]}),
    ("subprocess.run", {"args": ["touch", MARK]}),
    ("builtins.exec", {"source": f"open('{MARK}', 'w')"}),
    ("builtins.eval", {"source": f"open('{MARK}', 'w')"}),
    ("builtins.open", {"file": MARK, "mode": "w"}),
    ("pathlib.Path.touch", {"self": MARK}),
    ("runpy.run_path", {"path_name": f"{STRANGER}.py"}),
    (f"{STRANGER}.Anything", {}),
    (f"{STRANGER}", {}),
    ("mvt4g.formats.atomic.os.system", {"command": f"touch {MARK}"}),
    ("mvt4g.cli.main", {"args": ["--help"]}),
    ("lightning.pytorch.callbacks.LambdaCallback", {"on_fit_start": "os.system"}),
    ("torch.hub.load", {"repo_or_dir": ".", "model": "x", "source": "local"}),
    ("torch.load", {"f": "x", "weights_only": False}),
    ("torch.optim.Nothing", {}),
    ("mvt4g.types.InputError", {}),
    ("", {}),
    ("os", {}),
    ("..", {}),
    ("a" * 3000, {}),
    (3, {}),
    (None, {}),
    ("torch.optim.AdamW", {"lr": "os.system"}),
)
_PLACES = (
    ("model",), ("data",), ("model", "init_args", "optimizer"), ("model", "init_args", "tracking_head"),
    ("model", "init_args", "codec"), ("model", "init_args", "backbone"), ("model", "init_args", "correspondence_loss"),
    ("trainer", "callbacks", 0), ("trainer", "logger"), ("trainer", "plugins"), ("trainer", "strategy"),
    ("trainer", "profiler"), ("data", "init_args", "scene"), ("model", "init_args", "evaluation"), ("optimizer",),
    ("model", "init_args", "backbone", "init_args", "extra_conditioning", 0),
)  # fmt: skip


def _make_class_path(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    content = yaml.safe_load((base / "debug.yaml").read_text())
    command = "fit" if valid else draw.choice(["fit", "test", "predict", "validate"])
    told = ""
    if not valid:
        name, arguments = draw.choice(_EVIL)
        place = draw.choice(_PLACES)
        parent = content
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = {"class_path": name, "init_args": arguments} if arguments else {"class_path": name}
        told = f"{'.'.join(map(str, place))}: {name!r:.60} in {command}"
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(content))
    return Case(told, lambda: _built([command, "-c", str(path), "--run", "run"]))


# ---- runs


def _fit(base: Path) -> None:
    os.chdir(base)  # a resumed fit must be of the same folder by name
    assert main(["fit", "-c", str(ROOT / "configs/debug.yaml"), "--run", "run", "--trainer.max_steps", "2"]) == 0


def _make_checkpoint(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    run = folder / "run"
    shutil.copytree(base / "run", run)
    told = "" if valid else mutate_tree(draw, run, ("*.ckpt", "*.ckpt", "config.yaml"))
    if draw.random() < 0.5:
        args = ["fit", "-c", str(run / "config.yaml"), "--ckpt_path", "last", "--trainer.max_steps", "3"]
    else:
        args = ["validate", "-c", str(run / "config.yaml"), "--ckpt_path", "last", "--trainer.limit_val_batches", "1"]
    return Case(told, lambda: main([*args, "--run", "run"]))


def _make_fit(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    content = yaml.safe_load((base / "debug.yaml").read_text())
    told = ""
    if not valid:
        option = draw.choice([leaf for leaf in leaves(content) if leaf.startswith(("model", "data", "trainer"))])
        *way, last = option.split(".")
        parent = content
        for key in way:
            parent = parent[int(key)] if isinstance(parent, list) else parent[key]
        value = draw.choice([0, 1, 2, 3, 5, 7, -1, 0.5, 1e30, None, True, "x", [], [1], 10**9, 1e-30])
        parent[last] = value
        told = f"{option} = {value!r}"
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(content))
    return Case(told, lambda: main(["fit", "-c", str(path), "--run", "run", "--trainer.max_steps=1"]))


def _prepare_verbs(folder: Path) -> None:
    from tests.fuzz.areas import _write_formats, _write_tracks, _write_weights

    for name, write in (("clips", _write_formats), ("tracks", _write_tracks), ("weights", _write_weights)):
        (folder / name).mkdir()
        write(folder / name)
    (folder / "run" / "predict" / "bear").mkdir(parents=True)


def _make_verb(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    commands: list[list[str]] = [
        ["write-clips", "--out", "out", "--train", "1", "--val", "0", "--test", "0", "--workers", "0",
         "--scene.num_frames", "2", "--scene.image_size", "[16, 16]", "--scene.points.count", "8"],
        ["validate-clips", str(base / "clips" / "clip_cache"), "--sheet", "null", "--limit", "1"],
        ["precompute", "--out", "out", "--scene.num_frames", "1", "--scene.image_size", "[8, 8]", "--cache.most", "1",
         "--device", "cpu", "--scene.points.count", "4"],
        ["export-weights", "--weights", str(base / "weights" / "fit.ckpt"), "--out", "w.safetensors", "--format",
         "recammaster"],
    ]  # fmt: skip
    args = draw.choice(commands)
    if valid:
        return Case("", lambda: main(args))
    places = [index for index, arg in enumerate(args) if index and not arg.startswith("--")]
    action = draw.random()
    if action < 0.6:
        place, value = draw.choice(places), draw.choice([*ODD_TEXTS, "/dev/null", "/proc/self/mem", "/"])
        told, args = f"{args[place - 1]} {value:.40}", [*args[:place], value, *args[place + 1 :]]
    elif action < 0.8:
        place = draw.randrange(1, len(args))
        told, args = f"without {args[place]:.40}", [*args[:place], *args[place + 1 :]]
    else:
        extra = draw.choice(
            ["--nothing", "--scene", "--help.x", "-c", "--out=", "--seed=nan", "--scene={", "--format=x"]
        )
        told, args = f"with {extra}", [*args, extra]
    return Case(f"{args[0]}: {told}", lambda: main(args))


COMMAND_AREAS = (
    Area("configurations", 60, _copy_configs, _make_config),
    Area("option values", 60, _copy_configs, _make_option),
    Area("class paths", 50, _copy_configs, _make_class_path),
    Area("checkpoints", 30, _fit, _make_checkpoint),
    Area("fits", 16, _copy_configs, _make_fit),
    Area("verbs", 40, _prepare_verbs, _make_verb),
)
