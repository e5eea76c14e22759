"""Arguments of an option that a later configuration or option gives another class: kept, or dropped and said.

The rule: what was written for the old class stays where the new class takes it, and what the new class does not take is
dropped and said. The old class's defaults, which nobody wrote, never pass on: what was written is parsed alone first,
and defaults are those of the class that it came to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jsonargparse._typehints as typehints
from jsonargparse import Namespace


@dataclass
class ClassChanges:
    """What was dropped while configurations were laid over each other.

    Attributes:
        dropped: Arguments by old and new class path, in the order they were met.
    """

    dropped: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return a line for each change of class that dropped something."""
        lines = []
        for (old, new), arguments in self.dropped.items():
            change = f"{_name(new)} in place of {_name(old)}"
            lines.append(f"{change}: dropped {', '.join(arguments)}, no arguments of {_name(new)}")
        return lines


@contextmanager
def recording() -> Iterator[ClassChanges]:
    """Note what of a previous class's arguments is dropped while what was written is parsed."""
    original = typehints.discard_init_args_on_class_path_change
    changes = ClassChanges()

    def discard(parser_or_action: Any, previous: Any, value: Any) -> None:
        dropped = _arguments(previous)
        original(parser_or_action, previous, value)
        for name in _arguments(previous):  # what is left there stays
            dropped.pop(name, None)
        if dropped:
            noted = changes.dropped.setdefault((previous["class_path"], value["class_path"]), {})
            noted.update(dropped)

    with _in_place_of_jsonargparse(discard):
        yield changes


@contextmanager
def without_defaults_of_others() -> Iterator[None]:
    """Drop all arguments of a previous class: once only defaults are filled in, they are another class's defaults."""

    def discard(parser_or_action: Any, previous: Any, value: Any) -> None:
        if previous and "init_args" in previous and previous["class_path"] != value["class_path"]:
            previous["init_args"] = Namespace()

    with _in_place_of_jsonargparse(discard):
        yield


@contextmanager
def _in_place_of_jsonargparse(discard: Any) -> Iterator[None]:
    """Let jsonargparse, which has no setting for it, drop a previous class's arguments by a rule of ours."""
    original = typehints.discard_init_args_on_class_path_change
    typehints.discard_init_args_on_class_path_change = discard
    try:
        yield
    finally:
        typehints.discard_init_args_on_class_path_change = original


def _arguments(spec: Any) -> dict[str, Any]:
    arguments = spec.get("init_args") if spec else None
    return dict(vars(arguments)) if isinstance(arguments, Namespace) else {}


def _name(class_path: str) -> str:
    return class_path.rpartition(".")[2]
