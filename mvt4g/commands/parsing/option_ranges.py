"""Every number of a parsed configuration held to its range, before anything is built.

An option of ours states its range in its type (``mvt4g.ranges``). Options of Lightning and torch have theirs here, by
name. What has none is finite and at most ``LARGEST`` in size.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Trainer

from mvt4g.commands.parsing.trust import imported
from mvt4g.ranges import MOST, Range, alternatives, check_number, check_value, hints_of
from mvt4g.types import InputError

TOP = {"seed_everything": Range(0, 2**32 - 1), "checkpoint_every": Range(1, MOST), "keep_checkpoints": Range(1, MOST)}
"""Options of a command itself."""
NEVER_NULL = ("checkpoint_every", "keep_checkpoints", "on_nan")
"""Of these, those that must have a value."""
TRAINER = {
    "devices": Range(-1, 1024),
    "num_nodes": Range(1, 2**16),
    "max_epochs": Range(-1, MOST),
    "min_epochs": Range(0, MOST),
    "max_steps": Range(-1, MOST),
    "min_steps": Range(0, MOST),
    "limit_train_batches": Range(0, MOST),
    "limit_val_batches": Range(0, MOST),
    "limit_test_batches": Range(0, MOST),
    "limit_predict_batches": Range(0, MOST),
    "overfit_batches": Range(0, MOST),
    "fast_dev_run": Range(0, MOST),
    "val_check_interval": Range(0, MOST, above=True),
    "check_val_every_n_epoch": Range(1, MOST),
    "num_sanity_val_steps": Range(-1, MOST),
    "log_every_n_steps": Range(0, MOST),
    "accumulate_grad_batches": Range(1, MOST),
    "gradient_clip_val": Range(0),
    "reload_dataloaders_every_n_epochs": Range(0, MOST),
}
OPTIMIZER = {
    "lr": Range(0, 1e3),
    "betas": Range(0, 1, below=True),
    "momentum": Range(0, 1, below=True),
    "dampening": Range(0, 1),
    "alpha": Range(0, 1),
    "rho": Range(0, 1),
    "momentum_decay": Range(0, 1),
    "eps": Range(0, 1),
    "weight_decay": Range(0, 1e3),
    "lr_decay": Range(0, 1e3),
    "lambd": Range(0, 1e3),
    "initial_accumulator_value": Range(0),
    "max_iter": Range(1, MOST),
    "max_eval": Range(1, MOST),
    "history_size": Range(1, 2**10),
    "ns_steps": Range(1, 2**10),
}
OF_LIBRARIES: Mapping[str, Mapping[str, Range]] = {
    "torch.optim": OPTIMIZER,
    "lightning.pytorch.trainer": TRAINER,
}
"""Ranges of the arguments of classes that are not ours, by their module."""


def check_options(config: Namespace, owner: Callable[..., Any] | None = None) -> None:
    """Hold every number of a command's options to its range.

    Args:
        config: Of one command, parsed and with its defaults.
        owner: The function whose arguments these are; None = of a trainer's command.

    Raises:
        InputError: Naming the first option that is out of range.
    """
    hints = {} if owner is None else hints_of(owner)
    for name, value in vars(config).items():
        if name == "trainer":
            _check_arguments(value, Trainer, name)
        elif name in TOP and isinstance(value, int | float) and not isinstance(value, bool):
            check_number(name, value, TOP[name])
        else:
            _check(name, value, object if name in NEVER_NULL else hints.get(name, Any))


def _check(place: str, value: Any, hint: Any) -> None:
    """Check a value and what lies in it.

    Raises:
        InputError: If a list or a single value stands where an object takes options by name, or null where the type
            has none; the parser lets both pass.
    """
    if value is None and not _takes_null(hint):
        raise InputError(f"{place}: got null, want a value of its type, or the option left out")
    kinds = [part for part in alternatives(hint) if part is not type(None)]
    if kinds and all(map(is_dataclass, kinds)) and isinstance(value, list | tuple | str | int | float):
        raise InputError(f"{place}: got {value}, want options by name, those of {kinds[0].__name__}")
    if isinstance(value, Namespace):
        path = value.get("class_path")
        if isinstance(path, str):
            _check_arguments(value.get("init_args"), imported(path), f"{place}.init_args")
            _check_loose(f"{place}.dict_kwargs", value.get("dict_kwargs"))
        else:
            # Without a class path the type has one dataclass at most.
            _check_arguments(value, next(filter(is_dataclass, kinds), None), place)
    elif isinstance(value, list | tuple) and any(isinstance(entry, Namespace) for entry in value):
        for index, entry in enumerate(value):
            _check(f"{place}.{index}", entry, Any)
    elif isinstance(value, dict):
        _check_loose(place, value)
    else:
        check_value(place, value, hint)


def _check_arguments(arguments: Any, owner: Any, place: str) -> None:
    """Check the arguments of a class."""
    if not isinstance(arguments, Namespace):
        return
    hints = _hints(owner)
    module = f"{getattr(owner, '__module__', '')}."
    foreign: Mapping[str, Range] = {}
    for library, ranges in OF_LIBRARIES.items():
        if module.startswith(f"{library}."):
            foreign = ranges
    for name, value in vars(arguments).items():
        if name in foreign and value is not None:
            _check_foreign(f"{place}.{name}", value, foreign[name])
        else:
            _check(f"{place}.{name}", value, hints.get(name, Any))


def _takes_null(hint: Any) -> bool:
    """Say whether a type has null in it; one that is not known may."""
    return any(part in (type(None), None, Any, inspect.Parameter.empty) for part in alternatives(hint))


def _check_foreign(place: str, value: Any, wanted: Range) -> None:
    """Check a number, the entries of a list, or a text that Lightning reads as a number (``devices: "2"``)."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, list | tuple):
        for entry in value:
            _check_foreign(place, entry, wanted)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        check_number(place, value, wanted)


def _check_loose(place: str, value: Any) -> None:
    """Check numbers of which nothing is known but that they are numbers."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            _check_loose(f"{place}.{key}", entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            _check_loose(place, entry)
    else:
        check_value(place, value, Any)


def _hints(owner: Any) -> Mapping[str, Any]:
    """Return the types of what a class is made from; none where they cannot be read."""
    if not owner:
        return {}
    try:
        return hints_of(owner if is_dataclass(owner) else owner.__init__)
    except (AttributeError, NameError, TypeError):  # names that a library imports for type checkers alone
        return {}
