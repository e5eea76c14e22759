"""Checkpoints that a backbone starts from: what a file's names say it is, checked name by name and shape by shape."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mvt4g.formats.weights import read_weights, tensors_of
from mvt4g.models.layers.lora import merge_lora
from mvt4g.types import InputError

OWN_PREFIX = "model.backbone."
"""Where a system's checkpoint keeps its backbone."""
SHOWN_NAMES = 5


def load_weights(backbone: nn.Module, path: Path, may_lack: Collection[str] = ()) -> None:
    """Copy a file's weights into a backbone, every one of them, or none when something does not fit.

    Args:
        backbone: Keeps its own dtype and device.
        path: The checkpoint of a fit, of which its exponential average is taken where it has one.
        may_lack: Parts, by the name they go under (such as "plucker"), that the file may lack as a whole; they stay as
            they are.

    Raises:
        InputError: Naming the file and what is missing, unexpected, of another shape, or not finite.
    """
    found = backbone_weights(path)
    wanted = backbone.state_dict()
    present = {part for name in found for part in name.split(".")}
    lacking = set(may_lack) - present
    wanted = {name: value for name, value in wanted.items() if lacking.isdisjoint(name.split("."))}
    if faults := name_faults(found, wanted):
        raise InputError(f"{path}: got weights of another model than {type(backbone).__name__}: {faults}")
    if broken := [name for name, value in found.items() if not value.isfinite().all()]:
        raise InputError(f"{path}: got values that are not finite in {_first(broken)}, want numbers")
    with torch.no_grad():
        for name, place in wanted.items():
            place.copy_(found[name])


def backbone_weights(path: Path) -> dict[str, Tensor]:
    """Read a file's weights, under the names that a backbone gives them; adapters are merged.

    Raises:
        InputError: If it cannot be read or holds no backbone.
    """
    content = read_weights(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        state = tensors_of(content["state_dict"], path) | _average(content)
        own = {name.removeprefix(OWN_PREFIX): value for name, value in state.items() if name.startswith(OWN_PREFIX)}
        if own:
            return merge_lora(own)
        raise InputError(f"{path}: got a checkpoint without {OWN_PREFIX}*, want one of a fit with a backbone")
    raise InputError(f"{path}: got weights under names unknown here, want the checkpoint of a fit")


def name_faults(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Return which names are missing, unexpected or mis-shaped, as one line; empty if all fit."""
    faults = {
        "missing": [name for name in wanted if name not in found],
        "unexpected": [name for name in found if name not in wanted],
        "mis-shaped": [
            f"{name} {tuple(found[name].shape)} for {tuple(place.shape)}"
            for name, place in wanted.items()
            if name in found and found[name].shape != place.shape
        ],
    }
    return "; ".join(f"{len(names)} {kind}: {_first(names)}" for kind, names in faults.items() if names)


def _average(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return what the EMA callback of a fit left in its checkpoint: trainable parameters alone, fp32."""
    return dict(content.get("callbacks", {}).get("EMA", {}).get("average", {}))


def _first(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more
