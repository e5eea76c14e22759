"""Weights of foreign networks from local files: nothing downloaded, nothing executed, nothing left unmatched."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mvt4g.types import InputError

WRAPPERS = ("state_dict", "model_state_dict", "model", "params")
"""Keys under which training scripts put the state dict beside other things."""


def read_state_dict(path: str | Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read the tensors of a ``.safetensors`` file or of a ``.pth``, ``.pt`` or ``.ckpt`` pickle, on the CPU.

    Pickles are read with ``weights_only=True``, so a file cannot run code. A state dict lying under one of
    ``WRAPPERS`` is taken out.

    Args:
        path: A local file.
        sha256: Its checksum, where the caller insists on these very weights.

    Raises:
        InputError: Naming the file: missing, of another checksum, unreadable, or no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights")
    if sha256 is not None:
        check_sha256(path, sha256)
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{path}: got {type(content).__name__}, want a state dict: names and tensors only")
    return dict(content)


def check_sha256(path: Path, sha256: str) -> None:
    """Check a file's checksum.

    Raises:
        InputError: Naming the file and both checksums.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise InputError(f"{path}: got sha256 {found}, want {sha256.lower()}")


def load_strict(net: nn.Module, state_dict: Mapping[str, Tensor], path: str | Path) -> None:
    """Load weights of which every one has a place, every place a weight, and every shape fits.

    Args:
        path: Where the weights came from, for the message.

    Raises:
        InputError: Naming the file and the first missing keys, unexpected keys and wrong shapes.
    """
    places = net.state_dict()
    faults = {
        "missing": [key for key in places if key not in state_dict],
        "unexpected": [key for key in state_dict if key not in places],
        "wrong shape": [
            f"{key} {tuple(state_dict[key].shape)} for {tuple(place.shape)}"
            for key, place in places.items()
            if key in state_dict and state_dict[key].shape != place.shape
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{kind}: {_first(names)}" for kind, names in faults.items() if names)
        raise InputError(f"{path}: got weights that do not fit {type(net).__name__}: {listed}")
    net.load_state_dict(state_dict)


def _first(names: list[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises five kinds for what is no file of tensors
        reason = str(error).strip().partition("\n")[0][:200]
        raise InputError(f"{path}: got {reason}, want a file of tensors (a state dict or .safetensors)") from error


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: safetensors is not installed, want `pip install safetensors`") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: got {error}, want a .safetensors file") from error
