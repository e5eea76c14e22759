"""Networks that are run and never trained, filled from local files under whichever names these come."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from mvt4g.formats.weights import INDEX_SUFFIX, name_faults, read_weights, tensors_of
from mvt4g.types import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What weights may be kept in."""


def choose_device(device: str) -> str:
    """Return the name of a device that an option ``--device`` asks for, of "auto" that of a GPU if there is one.

    Raises:
        InputError: As ``usable_device``.
    """
    return str(usable_device(None if device == "auto" else device, "--device"))


def usable_device(device: str | torch.device | None, option: str) -> torch.device:
    """Return a device that can be computed on; None = a GPU if there is one.

    Args:
        device: As torch names it.
        option: What asks for it, for the message.

    Raises:
        InputError: If torch knows no such device, this machine has none, or it holds no numbers (meta).
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.zeros(1, device=place).item()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise InputError(f"{option}: got {device} ({reason}), want one that this machine has") from error
    return place


def read_pretrained(path: Path) -> dict[str, Shaped[Tensor, "..."]]:
    """Read the tensors of a file, or of a folder as diffusers and transformers write them.

    Raises:
        InputError: If there is none, or it is broken, or no state dict.
    """
    if path.is_dir():
        # An index names several files: where there is one, they are read through it.
        candidates = sorted(path.glob(f"*{INDEX_SUFFIX}")) or sorted(path.glob("*.safetensors"))
        if len(candidates) != 1:
            raise InputError(f"{path}: got {len(candidates)} .safetensors there, want one, or the index of several")
        path = candidates[0]
    return tensors_of(read_weights(path), path)


def fill_frozen(
    make: Callable[[], nn.Module],
    found: Mapping[str, Shaped[Tensor, "..."]],
    path: Path,
    dtype: torch.dtype,
    original_name: Callable[[str], str] = str,
    tied: Collection[str] = (),
) -> nn.Module:
    """Build a network around weights: it is never there without them, so that it takes no more memory than they do.

    Args:
        make: Builds it.
        found: Weights, under its own names or under those of the original checkpoint.
        path: Of the weights, for messages.
        dtype: What they are kept in.
        original_name: Turns a name of the network's into the original checkpoint's.
        tied: Names that stand for a weight under another name; files leave them out, the caller ties them.

    Raises:
        InputError: Naming the file and what is missing, unexpected, mis-shaped, or not finite.
    """
    with torch.device("meta"):
        net = make()
    wanted = {name: value for name, value in net.state_dict().items() if name not in tied}
    own_names = {original_name(name): name for name in wanted}
    weights = {}
    for name, value in found.items():
        if name not in tied:
            weights[own_names.get(name, name)] = value
    if faults := name_faults(weights, wanted):
        raise InputError(f"{path}: got weights of another network than {type(net).__name__}: {faults}")
    for name, value in weights.items():
        if not value.isfinite().all():
            raise InputError(f"{path}: got values that are not finite in {name}, want numbers")
        weights[name] = value.to(dtype)
    # assign: the network's own tensors are on the meta device and have no memory to copy to.
    net.load_state_dict(weights, strict=False, assign=True)
    return net.requires_grad_(False).eval()
