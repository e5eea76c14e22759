"""Fields of foreign files, checked as they are read: every fault names file and field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Shaped

from mvt4g.formats.axes import bind_axes
from mvt4g.formats.parsing import json_files
from mvt4g.types import InputError

_KINDS = {"number": "fiu", "whole": "iu", "bool": "b"}
Kind = Literal["number", "whole", "bool"]


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a data set's JSON file whose top is an object; NaN in fields that nobody looks at is let pass.

    Raises:
        InputError: If it is missing, no JSON or something else.
    """
    return json_files.read_json_object(path, "a data set's fields", nan=True)


def field(what: str, content: Any, name: str) -> Any:
    """Return a required entry of a dict.

    Args:
        what: File, and where in it.
        content: Should be the dict.
        name: The entry.

    Raises:
        InputError: If ``content`` is no dict or lacks the entry.
    """
    if not isinstance(content, Mapping):
        want = f"named fields, {name} among them"
        raise InputError(f"{what}: got a {type(content).__name__}, want {want}")
    if name not in content:
        raise InputError(f"{what}: {name}: missing, got {sorted(map(str, content))[:20]}")
    return content[name]


def array(what: str, value: Any, axes: str, sizes: dict[str, int], kind: Kind = "number") -> Shaped[np.ndarray, "..."]:
    """Return a field as an array of the axes it must have.

    Args:
        what: File and field.
        value: Lists, a number or an array.
        axes: Names or numbers, as "v t n 2"; "" for a single number.
        sizes: Sizes known so far by name. A name met for the first time is entered.
        kind: What the entries are: "number" (given back as float64), "whole" (int64) or "bool".

    Raises:
        InputError: If it is ragged, of another type, or an axis has another size.
    """
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{what}: got ragged lists, want an array ({axes})") from error
    if not bind_axes(axes, found.shape, sizes):
        told = ", ".join(f"{name}={sizes[name]}" for name in axes.split() if name in sizes)
        want = f"({axes}){f' with {told}' if told else ''}"
        raise InputError(f"{what}: got shape {found.shape}, want {want}")
    if found.dtype.kind not in _KINDS[kind]:
        raise InputError(f"{what}: got entries of type {found.dtype}, want {kind} entries")
    types = {"number": np.float64, "whole": np.int64, "bool": np.bool_}
    # A damaged NaN is still one.
    with np.errstate(invalid="ignore"):
        return found.astype(types[kind])


def member(
    what: Path | str, content: Any, name: str, axes: str, sizes: dict[str, int], kind: Kind = "number"
) -> Shaped[np.ndarray, "..."]:
    """Return the array of a name in a file or in a dict.

    Args:
        what: The file.
        content: Should be a dict.
        name: The field.
        axes: As in ``array``.
        sizes: As in ``array``.
        kind: As in ``array``.

    Raises:
        InputError: As ``field`` and ``array``.
    """
    return array(f"{what}: {name}", field(str(what), content, name), axes, sizes, kind)


def finite(what: str, values: Shaped[np.ndarray, " *s"]) -> Shaped[np.ndarray, " *s"]:
    """Return the array if all of it is finite, as float32 too.

    Raises:
        InputError: Naming the first entry that is not.
    """
    faulty = ~fits_float32(values)
    if faulty.any():
        index = np.argwhere(faulty)[0].tolist()
        raise InputError(f"{what}: got {values[tuple(index)]} at {index}, want finite numbers")
    return values


def fits_float32(values: Shaped[np.ndarray, " *s"]) -> Bool[np.ndarray, " *s"]:
    """Say where numbers are finite and stay so as float32."""
    return np.asarray(np.abs(values) <= np.finfo(np.float32).max)


def whole_size(what: str, value: Any) -> tuple[int, int]:
    """Return (height, width) of a picture size given as [width, height].

    Raises:
        InputError: If it is anything else.
    """
    pair = array(what, value, "2", {}, "whole")
    if (pair < 1).any():
        raise InputError(f"{what}: got {pair.tolist()}, want [width, height]")
    return int(pair[1]), int(pair[0])
