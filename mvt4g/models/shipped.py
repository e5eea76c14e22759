"""Weights that the package ships, and what a file of weights says of the model that it was trained in."""

from collections.abc import Mapping
from pathlib import Path

from mvt4g.types import InputError

PREFIX = "builtin:"
FOLDER = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"


def place_of(weights: Path) -> Path:
    """Return the file that ``weights`` means: that of the package for ``builtin:NAME``, itself otherwise.

    Raises:
        InputError: If the package ships none of that name.
    """
    written = str(weights)
    if not written.startswith(PREFIX):
        return weights
    names = sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))
    name = written.removeprefix(PREFIX)
    if name not in names:
        known = " or ".join(f"{PREFIX}{known}" for known in names)
        raise InputError(f"weights: got {written}, want {known}, or a file")
    return FOLDER / f"{name}{SUFFIX}"


def check_made_with(made_with: Mapping[str, str], here: Mapping[str, str], what: str) -> None:
    """Check what shapes do not tell: that weights are used as they were trained.

    Args:
        made_with: What the file says, by name; what it does not say is not checked.
        here: What the model has, under the same names.
        what: The option that named the file.

    Raises:
        InputError: Naming the first that differs.
    """
    for name, value in here.items():
        if name in made_with and made_with[name] != value:
            raise InputError(f"{what}: got weights made with {name} {made_with[name]!r}, want {value!r}, this model's")
