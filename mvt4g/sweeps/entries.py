"""Entries of a sweep's YAML file: their kinds, their placeholders, the line of each."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import UnionType
from typing import Any

import yaml

Place = tuple[str | int, ...]
"""Where something stands in the file: keys and list indices from the top."""


def fill(value: Any, words: Mapping[str, str]) -> Any:
    """Return a value with the placeholders in its texts replaced."""
    if isinstance(value, str):
        for placeholder, word in words.items():
            value = value.replace(placeholder, word)
        return value
    if isinstance(value, list):
        return [fill(entry, words) for entry in value]
    if isinstance(value, dict):
        return {key: fill(entry, words) for key, entry in value.items()}
    return value


def _is_plain(value: Any) -> bool:
    """Say whether a value can stand on a command line; YAML reads an unquoted date as one of Python's."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return _has_all(value, str) and all(map(_is_plain, value.values()))
    return value is None or isinstance(value, str | int | float)


def _has_all(values: Iterable[Any], kind: type[Any] | UnionType) -> bool:
    return all(isinstance(value, kind) for value in values)


def _is_list(value: Any, kind: type[Any] | UnionType) -> bool:
    return isinstance(value, list) and _has_all(value, kind)


def _is_whole_numbers(value: Any) -> bool:
    """Say whether a value is a list of whole numbers; Python takes true and false for some too."""
    return _is_list(value, int) and bool not in map(type, value)


KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "a list": lambda value: isinstance(value, list),
    "a list of texts": lambda value: _is_list(value, str),
    "a list of words": lambda value: bool(value) and _is_list(value, str | int | float),
    "a list of whole numbers": _is_whole_numbers,
    "a mapping": lambda value: isinstance(value, dict),
    "texts by name": lambda value: isinstance(value, dict) and _has_all(value.values(), str),
    "text, a number, true, false, null, or lists and mappings of these": _is_plain,
}
"""What an entry of the file may have to be."""


class EntryError(Exception):
    """What is wrong with an entry's name, and in which line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


_TEXT_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


def entry_lines(node: yaml.Node | None, place: Place) -> Iterator[tuple[Place, int]]:
    """Yield (place, line) of every entry; YAML itself lets a later entry of one name replace the first."""
    if isinstance(node, yaml.MappingNode):
        names = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = key.value
            if key.tag not in _TEXT_KEYS:
                raise EntryError(line, f"got the name {name}, which YAML takes for no text, want it in quotes")
            if name in names:
                raise EntryError(line, f"two entries of one name {name!r}, want one")
            names.add(name)
            yield (*place, name), line
            yield from entry_lines(value, (*place, name))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*place, index), value.start_mark.line + 1
            yield from entry_lines(value, (*place, index))
