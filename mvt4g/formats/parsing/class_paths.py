"""The modules whose classes a configuration may name; every reader of configurations holds names against them.

``commands/parsing/trust.py`` says how the command line holds it, ``inference/saved_config.py`` how Python does.
"""

import importlib
import inspect
import os
from collections.abc import Sequence
from typing import Any

from mvt4g.types import InputError

VARIABLE = "MVT4G_TRUST"
"""Environment variable that adds modules, divided by commas or colons."""
TRUSTED = (
    "mvt4g",
    "torch.optim",
    "lightning.pytorch",
    "torchmetrics",
    # lightning.pytorch.plugins shows some of these as its own.
    "lightning.fabric.plugins",
    # The shortest names of what lies in lightning.pytorch.
    "lightning.Callback",
    "lightning.LightningDataModule",
    "lightning.LightningModule",
)
"""Modules whose classes a configuration may name."""
DISTRUSTED = (
    "mvt4g.cli",
    "mvt4g.commands",
    "mvt4g.sweeps",
    "lightning.pytorch.cli",
    "lightning.pytorch.serve",  # starts a server
    "lightning.pytorch.demos",  # download
    # It calls what it is given.
    "lightning.pytorch.callbacks.lambda_function",
    # These send what a run logs to a server that their arguments name.
    "lightning.pytorch.loggers.comet",
    "lightning.pytorch.loggers.litlogger",
    "lightning.pytorch.loggers.mlflow",
    "lightning.pytorch.loggers.neptune",
    "lightning.pytorch.loggers.wandb",
    # These fetch networks, some of them by a name that their arguments give.
    "torchmetrics.audio",
    "torchmetrics.functional.multimodal",
    "torchmetrics.functional.text",
    "torchmetrics.image.arniqa",
    "torchmetrics.image.dists",
    "torchmetrics.image.fid",
    "torchmetrics.image.inception",
    "torchmetrics.image.kid",
    "torchmetrics.image.lpip",
    "torchmetrics.image.mifid",
    "torchmetrics.image.perceptual_path_length",
    "torchmetrics.multimodal",
    "torchmetrics.text",
)
"""Modules among them that run programs, call functions by name or reach a network."""


def trusted_modules() -> list[str]:
    """Return the modules that the environment variable MVT4G_TRUST names, divided by commas or colons."""
    names = os.environ.get(VARIABLE, "").replace(":", ",").split(",")
    return [name for name in names if name.strip()]


def is_within(module: str, others: Sequence[str]) -> bool:
    """Say whether a dotted name is one of some modules, or lies within one."""
    return any(f"{module}.".startswith(f"{other}.") for other in others)


def named_class(path: Any, where: str) -> type:
    """Import the class that a configuration names.

    The name is held against the list before anything is imported. The place where the class is defined is held against
    it too: ``mvt4g.cli.entry.Path`` is ``pathlib.Path``.

    Args:
        path: The class path, as the configuration gives it.
        where: Key of the configuration, for messages.

    Raises:
        InputError: If it is no class path, is not on the list, does not exist, or is no class.
    """
    if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")) or "." not in path:
        want = "a class path such as mvt4g.models.codec.PatchCodec"
        raise InputError(f"{where}: got {path!r}, want {want}")
    _check_allowed(path, where)
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{where}: got {path}, which cannot be imported ({error})") from error
    if not inspect.isclass(found):
        want = "the class path of a class: functions are not called by name"
        raise InputError(f"{where}: got {path}, want {want}")
    _check_allowed(f"{found.__module__}.{found.__qualname__}", where)
    return found


def _check_allowed(path: str, where: str) -> None:
    added = trusted_modules()
    allowed = is_within(path, added) or (is_within(path, TRUSTED) and not is_within(path, DISTRUSTED))
    if not allowed:
        raise InputError(
            f"{where}: got {path}, want a class of mvt4g, torch.optim, lightning.pytorch or torchmetrics;"
            f" a module that you trust needs the environment variable {VARIABLE}"
        )
