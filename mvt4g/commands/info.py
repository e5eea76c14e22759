"""``mvt4g info [-c CONFIG ...]``: what is installed here, and what a configuration needs."""

import argparse
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mvt4g import __version__
from mvt4g.cli.suite import SuiteCLI, start
from mvt4g.commands.step_memory import GIB, BatchSize, LatentsOnly, count_step
from mvt4g.formats.parsing.class_paths import named_class
from mvt4g.formats.parsing.yaml_files import parse_yaml
from mvt4g.inference.reader import AUTOCAST, build_model
from mvt4g.inference.saved_config import mapping_at
from mvt4g.losses.correspondence import CorrespondenceLoss
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.shipped import PREFIX as BUILTIN
from mvt4g.models.shipped import place_of
from mvt4g.models.trainable import count_groups, freeze_others, total_count
from mvt4g.ranges import Range, check_number, memory_limit
from mvt4g.types import InputError

LIBRARIES = ("torch", "lightning", "torchmetrics", "numpy", "av", "open3d", "mujoco", "tensorboard")
OWN = "mvt4g"
FRAMES = Range(1, 2**20)
SIDE = Range(1, 2**16)
SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")
CORRESPONDENCE = "mvt4g.losses.correspondence.CorrespondenceObjective"


class Shape(NamedTuple):
    """Frames, rows and columns of the clips that a configuration trains on; None = it does not say."""

    frames: int | None
    size: tuple[int, int] | None


class ParsedFit(SuiteCLI):
    """Parses the command line of a fit, and builds nothing."""

    def _parse_ckpt_path(self) -> None:
        """Leave checkpoints alone."""

    def _set_seed(self) -> None:
        """Leave this process's random numbers alone."""

    def instantiate_classes(self) -> None:
        """Build nothing."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Stop here."""


def main(argv: Sequence[str]) -> int:
    """Print the table and return the exit code 0.

    Args:
        argv: As after ``mvt4g info``: a configuration and options as ``fit`` takes them, ``--frames``, ``--size``.

    Raises:
        InputError: If an option does not exist or has no such value.
    """
    own, rest = split_options(argv)
    lines = [*_installed(), *_devices(), *_extras()]
    if rest:
        lines += _of_configuration(rest, own)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def split_options(argv: Sequence[str]) -> tuple[Shape, list[str]]:
    """Return what ``--frames`` and ``--size`` say, and the other words, which are a command line of ``fit``.

    Raises:
        InputError: If a value is missing, no number or out of range.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--frames")
    parser.add_argument("--size")
    try:
        given, rest = parser.parse_known_args(argv)
    except (argparse.ArgumentError, SystemExit) as error:
        raise InputError(f"--frames, --size: {error}, want a value") from error
    frames = None
    if given.frames is not None:
        if not given.frames.isdecimal():
            raise InputError(f"--frames: got {given.frames}, want a number of frames")
        frames = int(given.frames[:30])
        check_number("--frames", frames, FRAMES)
    size = None
    if given.size is not None:
        found = SIZE.fullmatch(given.size)
        if found is None:
            raise InputError(f"--size: got {given.size:.40}, want rows x columns such as 480x832")
        size = int(found[1]), int(found[2])
        for side in size:
            check_number("--size", side, SIDE)
    return Shape(frames, size), rest


def _installed() -> Iterator[str]:
    yield f"mvt4g {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    versions = []
    missing = []
    for name in LIBRARIES:
        version = _version(name)
        if version is None:
            missing.append(name)
        else:
            versions.append(f"{name} {version}")
    line = f"libraries: {', '.join(versions)}"
    yield f"{line}; missing: {', '.join(missing)}" if missing else line


def _devices() -> Iterator[str]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield f"CPU: {cores} cores, {memory_limit() / GIB:.1f} GiB of memory"
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        yield f"GPU {number}: {properties.name}, {properties.total_memory / GIB:.1f} GiB"
    if not torch.cuda.device_count():
        yield "GPU: none"


def _extras() -> Iterator[str]:
    """Yield of every extra which of its packages are missing."""
    needed: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires(OWN) or []:
        name, _, condition = requirement.partition(";")
        group = re.search(r"extra == ['\"]([\w-]+)['\"]", condition)
        package = re.match(r"[\w.-]+", name.strip())
        if group and package and package[0] != OWN:
            needed.setdefault(group[1], []).append(package[0])
    for extra, packages in needed.items():
        missing = ", ".join(name for name in packages if _version(name) is None)
        yield f"extra {extra}: missing {missing}" if missing else f"extra {extra}: there"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _of_configuration(args: Sequence[str], asked: Shape) -> Iterator[str]:
    """Yield what a configuration says: files, parameters, memory."""
    cli = start(["fit", *args], ParsedFit)
    settings = cli.config["fit"]
    yield ""
    yield f"model: {settings.model.class_path}"
    yield from _files("model", settings.model)
    text = cli._parser("fit").dump(settings, "yaml", skip_unset=False, skip_link_targets=False, skip_validation=True)
    content = parse_yaml(text, "configuration", "options")
    options = mapping_at(content["model"], "init_args", "model")
    if "backbone" not in options:
        yield "parameters: it trains none"
        return
    training = mapping_at(options, "training", "model") or mapping_at(options, "tracker_training", "model")
    model = _shape_of_model(options)
    if training.get("trainable") is not None:
        freeze_others(model, training["trainable"], "training.trainable")
    trainable, frozen = total_count(count_groups(model))
    yield f"parameters: {trainable.numbers:,} train, {frozen.numbers:,} are frozen (without the codec)"
    yield from _memory(model, content, options, training, asked)


def _files(where: str, value: Any) -> Iterator[str]:
    """Yield every file that a parsed configuration names, and whether it is there."""
    if isinstance(value, argparse.Namespace | dict):
        parts = vars(value) if isinstance(value, argparse.Namespace) else value
        for name, part in parts.items():
            yield from _files(f"{where}.{name}".replace(".init_args", ""), part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _files(where, part)
    elif isinstance(value, Path):
        state = "there" if place_of(value).exists() else "MISSING"
        if str(value).startswith(BUILTIN):
            state = "shipped"
        yield f"{where}: {value} ({state})"


def _shape_of_model(options: Mapping[str, Any]) -> NovelViewModel:
    """Return the model on the meta device, where nothing has numbers, with no codec."""
    with torch.device("meta"):
        return build_model(options, "model", make_codec=lambda backbone: LatentsOnly(backbone.grid))


def _memory(
    model: NovelViewModel,
    content: Mapping[str, Any],
    options: Mapping[str, Any],
    training: Mapping[str, Any],
    asked: Shape,
) -> Iterator[str]:
    """Yield the counted memory of a training step on one device."""
    data = mapping_at(mapping_at(content, "data", "fit"), "init_args", "data")
    said = _shape_of_clips(data)
    frames = asked.frames or said.frames
    size = asked.size or said.size
    if frames is None or size is None:
        yield "memory of a step: not counted, the data do not say frames and size (--frames 81 --size 480x832)"
        return
    clips = mapping_at(data, "loader", "data").get("batch_size") or 1
    shape = BatchSize(clips, frames, size, training.get("num_queries") or 32)
    corr = None
    layers: set[int] = set()
    for spec in options.get("objectives") or []:
        if spec["class_path"] == CORRESPONDENCE:
            corr = CorrespondenceLoss()
            layers.update(mapping_at(spec, "init_args", "objectives").get("layers") or [])
    if model.tracking_head is not None:
        layers.add(model.tracking_head.layer)
    precision = str(mapping_at(content, "trainer", "fit").get("precision") or "32-true")
    optimizer = training["optimizer"]
    kind = named_class(optimizer["class_path"], "training.optimizer")
    arguments = optimizer.get("init_args") or {}
    counted = count_step(
        model,
        shape,
        sorted(layers),
        corr,
        make_optimizer=lambda parameters: kind(parameters, **arguments),
        autocast=AUTOCAST.get(precision),
    )
    yield f"memory of a step, counted, one device: {clips} clips of {frames} frames, {size[0]}x{size[1]}, {precision}"
    for name, value in counted.items():
        yield f"  {name:24}{value:9.3f} GiB"


def _shape_of_clips(data: Mapping[str, Any]) -> Shape:
    """Return frames and size of the clips, from the options of a datamodule."""
    size = mapping_at(data, "size", "data")
    if size:
        return Shape(size.get("num_frames"), (size["height"], size["width"]))
    scene = mapping_at(data, "scene", "data")
    if not scene:
        return Shape(None, None)
    height, width = scene["image_size"]
    return Shape(scene.get("num_frames"), (height, width))
