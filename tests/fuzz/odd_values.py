"""Values that stand where others should, and pickles that would do something."""

import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz.harness import MARK

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e300, 10**400, 2**63, 0.5, "", "x", "nan", "\u2028", "x" * 100_000, [], {}, [[]], {"a": 1},
    [1, [2, 3]], [None], "../../etc/passwd", float("nan"), float("inf"), -0.0, [0] * 1000, "1,5",
    {"class_path": "os.system"},
)  # fmt: skip


class _Call:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def evil_pickles(folder: Path) -> list[tuple[str, bytes]]:
    """Return pickles that would leave the mark, or take memory, if they were carried out."""
    mark = str(_mark_of(folder))
    return [
        ("pickle of os.system", pickle.dumps(_Call(os.system, f"touch {mark}"))),
        ("pickle of eval", pickle.dumps(_Call(eval, f"open({mark!r}, 'w')"))),
        ("pickle of open", pickle.dumps({"a": _Call(open, mark, "w")})),
        ("pickle that remembers number 2**31", b"\x80\x02" + b"]r" + struct.pack("<I", 2**31 - 1) + b"."),
        ("pickle of 2**40 bytes", b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x."),
        ("pickle of deep lists", b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b"."),
        ("pickle of a number", pickle.dumps(3)),
        ("pickle of nothing", b""),
    ]


def _mark_of(folder: Path) -> Path:
    """Return where the mark of a case lies, from any folder of it."""
    case = next((place for place in (folder, *folder.parents) if (place / "stranger_module.py").exists()), folder)
    return case / MARK


def change_entry(draw: random.Random, content: Any) -> str:
    """Change, drop or add one entry somewhere in nested mappings and lists."""
    places = [place for place in _places(content) if place[1] is not None]
    if not places:
        return "nothing to change"
    parent, key, where = draw.choice(places)
    action = draw.random()
    if action < 0.15:
        del parent[key]
        return f"{where} dropped"
    if action < 0.25 and isinstance(parent, dict):
        parent[f"{key}_odd"] = parent[key]
        return f"{where}_odd added"
    value = draw.choice(ODD_VALUES)
    parent[key] = value
    return f"{where} = {value!r:.40}"


def _places(content: Any, where: str = "") -> list[tuple[Any, Any, str]]:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    found: list[tuple[Any, Any, str]] = []
    for key, value in list(items)[:40]:
        place = f"{where}.{key}"
        found += [(content, key, place), *_places(value, place)]
    return found
