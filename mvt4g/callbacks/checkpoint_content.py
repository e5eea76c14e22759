"""Checks of what a checkpoint must hold, before anything is loaded: what is odd is told in one line."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import lightning
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mvt4g.formats.weights import first_names, name_faults
from mvt4g.types import InputError

VERSION = "pytorch-lightning_version"
OF_A_FIT: dict[str, type] = {"loops": dict, "optimizer_states": list, "lr_schedulers": list, "callbacks": dict}
"""What a fit needs beside weights and step, and of which kind."""
OF_A_SCHEDULE = {"last_epoch", "base_lrs", "lr_lambdas"}
"""What torch needs of a schedule's state; other entries come and go with its versions."""


def check_content(content: Mapping[str, Any], path: str, command: str) -> None:
    """Check that a checkpoint is one that Lightning wrote, and for ``fit`` that all is there to go on.

    Raises:
        InputError: Naming the file and what is missing or odd in it.
    """
    where = f"--ckpt_path: {path}"
    version = content.get(VERSION)
    found = re.match(r"(\d+)\.\d+", version) if isinstance(version, str) else None
    newest = int(lightning.__version__.partition(".")[0])
    if found is None or not 2 <= int(found[1]) <= newest:
        raise InputError(f"{where}: got {VERSION} {version!r}, want that of a fit by Lightning 2 to {newest}")
    step = content["global_step"]
    weights = content["state_dict"]
    if not isinstance(step, int) or isinstance(step, bool) or step < 0:
        raise InputError(f"{where}: got global_step {step!r}, want a number of steps")
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{where}: got a state_dict that is none, want names and tensors")
    if command != "fit":
        return
    for key, kind in OF_A_FIT.items():
        if not isinstance(content.get(key), kind):
            want = "want a whole checkpoint of a fit (backbone.weights starts a new fit from weights alone)"
            raise InputError(f"{where}: got {key} {_kind(content.get(key))}, {want}")
    _check_loops(content["loops"], where)
    done = _steps_done(content["loops"])
    if done != step:
        raise InputError(f"{where}: got global_step {step}, but its loops did {done} steps, want the same")


def _check_loops(loops: Mapping[str, Any], where: str) -> None:
    """Check that every part of every loop is a state by name, as Lightning takes it.

    Raises:
        InputError: Naming the part that is not.
    """
    for name, loop in loops.items():
        parts = loop.items() if isinstance(loop, Mapping) else [("", loop)]
        for part, value in parts:
            if not isinstance(value, Mapping):
                raise InputError(f"{where}: got {name}.{part} {_kind(value)} among its loops, want a state by name")


def check_optimizer(states: Sequence[Mapping[str, Any]], model: nn.Module, optimizer: Optimizer) -> None:
    """Check that the state of an optimizer in a checkpoint fits this one.

    Args:
        states: One a optimizer, parameters numbered in the order of all the model's or of the trainable ones.
        model: Holds the parameters.
        optimizer: As configured, without a state.

    Raises:
        InputError: Naming what differs.
    """
    where = "--ckpt_path: got an optimizer's state"
    try:
        (state,) = states
        counts = [len(group["params"]) for group in state["param_groups"]]
        wanted = [len(group["params"]) for group in optimizer.param_groups]
        missing = sorted(optimizer.param_groups[0].keys() - state["param_groups"][0].keys())
        faults = _shape_faults(_state_by_name(state, model, optimizer), dict(model.named_parameters()))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        want = "that of one optimizer"
        raise InputError(f"{where} that cannot be understood ({error!r}), want {want}") from error
    if counts != wanted:
        want = f"{wanted}, as the model trains"
        raise InputError(f"{where} of {counts} parameters a group, want {want}")
    if missing:
        want = f"that of {type(optimizer).__name__}"
        raise InputError(f"{where} without {', '.join(missing)}, want {want}")
    if faults:
        raise InputError(f"{where} of another model: {first_names(faults)}")


def check_schedule(states: Sequence[Any], schedule: LRScheduler) -> None:
    """Check that the state of a learning rate's schedule in a checkpoint is one that this schedule can take.

    Args:
        states: One a schedule.
        schedule: As configured.

    Raises:
        InputError: If there is not exactly one, or an entry is missing or of another kind.
    """
    where = "--ckpt_path: got a learning rate's schedule"
    if len(states) != 1 or not isinstance(states[0], Mapping):
        raise InputError(f"{where} that cannot be understood, want the state of one {type(schedule).__name__}")
    (state,) = states
    own = schedule.state_dict()
    missing = sorted(OF_A_SCHEDULE & own.keys() - state.keys())
    if missing:
        raise InputError(f"{where} without {', '.join(missing)}, want that of {type(schedule).__name__}")
    for key in sorted(own.keys() & state.keys()):
        if not isinstance(state[key], type(own[key])):
            raise InputError(f"{where} with {key} {_kind(state[key])}, want {type(own[key]).__name__}")


def check_average(average: Any, model: nn.Module, for_fit: bool) -> None:
    """Check that an average of weights fits a model.

    Args:
        average: By name.
        model: Holds the parameters.
        for_fit: The average must have every parameter that trains; else it may have some of them alone.

    Raises:
        InputError: Naming what is missing, unknown or of another shape.
    """
    if not isinstance(average, Mapping) or not all(isinstance(value, Tensor) for value in average.values()):
        raise InputError(f"--ckpt_path: got an EMA average {_kind(average)}, want names and tensors")
    parameters = dict(model.named_parameters())
    wanted = {}
    for name, value in parameters.items():
        if name in average or (for_fit and value.requires_grad):
            wanted[name] = value
    if faults := name_faults(average, wanted):
        raise InputError(f"--ckpt_path: got the EMA average of another model: {faults}")


def _state_by_name(state: Mapping[str, Any], model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Return what an optimizer's state holds of every parameter, by the parameter's name."""
    names = {id(value): name for name, value in model.named_parameters()}
    by_name = {str(number): values for number, values in state["state"].items()}
    for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=False):
        # The state knows parameters by their numbers alone, which count through the groups.
        for number, parameter in zip(saved["params"], own["params"], strict=False):
            if str(number) in by_name:
                by_name[names[id(parameter)]] = by_name.pop(str(number))
    return by_name


def _shape_faults(
    values: Mapping[str, Mapping[str, Any]], parameters: Mapping[str, Shaped[Tensor, "..."]]
) -> list[str]:
    """Return which entries are of another shape than their parameter.

    An entry of as many axes as its parameter holds a number for each of its elements (Adam's moments) or, where an axis
    has size 1, for all along it (Adafactor's factors). Others are counters, in shapes of their own.
    """
    faults = []
    for name, entries in values.items():
        if name not in parameters:
            faults.append(f"{name} is no parameter that trains")
            continue
        shape = parameters[name].shape
        for key, value in entries.items():
            if not isinstance(value, Tensor) or value.ndim != len(shape):
                continue
            if any(size not in (1, full) for size, full in zip(value.shape, shape, strict=True)):
                faults.append(f"{name}'s {key} {tuple(value.shape)} for {tuple(shape)}")
    return faults


def _steps_done(loops: Mapping[str, Any]) -> int | None:
    """Return how many optimizer steps the loops of a checkpoint counted; None where they do not say."""
    try:
        progress = loops["fit_loop"]["epoch_loop.automatic_optimization.optim_progress"]
        return int(progress["optimizer"]["step"]["total"]["completed"])
    except (KeyError, TypeError, ValueError):
        return None


def _kind(value: Any) -> str:
    return "missing" if value is None else f"of kind {type(value).__name__}"
