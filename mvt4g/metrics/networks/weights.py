"""Weights of foreign networks from local files: nothing downloaded, nothing executed, nothing left unmatched."""

from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Shaped
from torch import Tensor, nn

from mvt4g.formats.checksums import sha256_of
from mvt4g.formats.weights import name_faults, read_weights, tensors_of
from mvt4g.types import InputError

WRAPPERS = ("state_dict", "model_state_dict", "model", "params")
"""Keys under which training scripts put the state dict beside other things."""


def read_state_dict(path: str | Path, sha256: str | None = None) -> dict[str, Shaped[Tensor, "..."]]:
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
    if sha256 is not None and path.is_file():
        check_sha256(path, sha256)
    content = read_weights(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    return tensors_of(content, path)


def check_sha256(path: Path, sha256: str) -> None:
    """Check a file's checksum.

    Raises:
        InputError: Naming the file and both checksums.
    """
    found = sha256_of(path)
    if found != sha256.lower():
        raise InputError(f"{path}: got sha256 {found}, want {sha256.lower()}")


def load_strict(
    net: nn.Module,
    state_dict: Mapping[str, Shaped[Tensor, "..."]],
    path: str | Path,
) -> None:
    """Load weights of which every one has a place, every place a weight, and every shape fits.

    Args:
        path: Where the weights came from, for the message.

    Raises:
        InputError: Naming the file and the first of what is missing, unexpected and mis-shaped.
    """
    if faults := name_faults(state_dict, net.state_dict()):
        raise InputError(f"{path}: got weights that do not fit {type(net).__name__}: {faults}")
    net.load_state_dict(state_dict)
