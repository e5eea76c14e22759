"""JSON from anybody: of bounded length, depth and memory, without two values of one key, without NaN or infinity."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mvt4g.formats.parsing.files import decoded, read_bytes
from mvt4g.formats.parsing.limits import file_limits, size_text, too_large
from mvt4g.types import InputError

_BYTES_OF = {"{": 240, "[": 64, ",": 40, ":": 60, '"': 30}
"""Memory of what CPython makes of each mark, rounded up; an escaped quote is counted too."""
_MOST_DIGITS = 300
"""Of a whole number that float64 holds in any case."""


def read_json(path: Path, want: str, nan: bool = False) -> Any:
    """Read a JSON file in UTF-8.

    Args:
        path: Of the file.
        want: What it should hold, for messages.
        nan: Whether the words NaN, Infinity and -Infinity are numbers, as some programs write them.

    Raises:
        InputError: Naming the file: not there, not regular, too long, or as ``parse_json``.
    """
    return parse_json(read_bytes(path, want, file_limits().json_bytes), str(path), want, nan)


def read_json_object(path: Path, want: str, nan: bool = False) -> dict[str, Any]:
    """Read a JSON file whose top is an object.

    Raises:
        InputError: As ``read_json``, or if the top is something else.
    """
    content = read_json(path, want, nan)
    if not isinstance(content, dict):
        raise InputError(f"{path}: got a JSON {type(content).__name__}, want an object: {want}")
    return content


def parse_json(content: str | bytes, where: str, want: str, nan: bool = False) -> Any:
    """Parse JSON.

    Args:
        content: Bytes must be UTF-8; a byte order mark is taken off.
        where: File, and where in it, for messages.
        want: What it should hold, for messages.
        nan: As in ``read_json``.

    Raises:
        InputError: If it is no JSON, has a key twice in one object, a number beyond float64, NaN or infinity, is nested
            too deeply, or takes too much memory.
    """
    text = decoded(content, where, want) if isinstance(content, bytes) else content
    limits = file_limits()
    # Counted before parsing: a few megabytes of brackets become gigabytes of lists.
    memory = parsed_bytes(text)
    if memory > limits.memory:
        raise too_large(where, f"JSON that takes about {size_text(memory)}", size_text(limits.memory))
    try:
        parsed = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=float if nan else _no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError as error:
        raise _too_deep(where, want) from error
    except ValueError as error:
        raise InputError(f"{where}: cannot be read as JSON ({error}), want {want}") from error
    if not _is_within(parsed, limits.depth):
        raise _too_deep(where, want)
    return parsed


def parsed_bytes(text: str) -> int:
    """Return about what a JSON text takes when parsed, rounded up, by counting its marks; nothing is parsed."""
    return len(text) + sum(text.count(mark) * size for mark, size in _BYTES_OF.items())


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"got key {name!r:.80} twice in one object")
        content[name] = value
    return content


def _no_constant(word: str) -> float:
    raise ValueError(f"got {word}, which is no JSON number; null says that there is none")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"got {text[:40]}, which is beyond the largest number")
    return number


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        _finite(text)
    return int(text)


def _is_within(content: Any, depth: int) -> bool:
    """Say whether nothing lies deeper than ``depth``, level by level: recursion itself must not run out."""
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(depth):
        below = []
        for part in level:
            for value in part.values() if isinstance(part, dict) else part:
                if isinstance(value, dict | list):
                    below.append(value)
        level = below
    return not level


def _too_deep(where: str, want: str) -> InputError:
    most = file_limits().depth
    return InputError(f"{where}: cannot be read as JSON (nested more than {most} levels deep), want {want}")
