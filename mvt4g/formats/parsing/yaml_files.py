"""YAML from anybody: plain values, of bounded length, depth and number, aliases unfolded, no key twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mvt4g.formats.parsing.files import read_text
from mvt4g.formats.parsing.limits import file_limits, too_large
from mvt4g.types import InputError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Of plain values alone; libyaml's is 20 times as fast, where PyYAML was built with it."""
_MERGE = "tag:yaml.org,2002:merge"
_WHOLE = "tag:yaml.org,2002:int"
_MOST_DIGITS = 300
"""Of a whole number: float64 holds it in any case."""
_FAULTS = (
    yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError,
)  # fmt: skip


class _YamlError(ValueError):
    """What is wrong with a text, and in which line."""

    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.problem_mark = mark


def read_yaml(path: Path, want: str) -> Any:
    """Read a YAML file in UTF-8, of one document.

    Raises:
        InputError: Naming the file: not there, not regular (a pipe or device is not opened), too long, or as
            ``parse_yaml``.
    """
    return parse_yaml(read_yaml_text(path, want), str(path), want)


def read_yaml_text(path: Path, want: str) -> str:
    """Return the text of a YAML file that ``parse_yaml`` would accept, for a parser of another's.

    Raises:
        InputError: As ``read_yaml``.
    """
    text = read_text(path, want, file_limits().yaml_bytes)
    parse_yaml(text, str(path), want)
    return text


def parse_yaml(text: str, where: str, want: str) -> Any:
    """Parse one YAML document of plain values.

    Args:
        text: The document.
        where: File, for messages.
        want: What it should hold, for messages.

    Raises:
        InputError: Naming the line: no YAML, a tag that makes something else than plain values, a key twice in one
            mapping, an alias of something that it lies in, nested too deeply, or too many values once every alias
            stands for all that it means.
    """
    return parse_yaml_nodes(text, where, want)[1]


def parse_yaml_nodes(text: str, where: str, want: str) -> tuple[yaml.Node | None, Any]:
    """Parse as ``parse_yaml``; return PyYAML's nodes, which know their lines, beside the values.

    Raises:
        InputError: As ``parse_yaml``.
    """
    try:
        _check_events(text, where)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, None
            for part in _nodes(node):
                if isinstance(part, yaml.MappingNode):
                    _check_keys(loader, part)
                elif part.tag == _WHOLE and len(part.value) > _MOST_DIGITS:
                    raise _YamlError(f"a whole number of {len(part.value)} digits", part.start_mark)
            return node, loader.construct_document(node)
        finally:
            loader.dispose()
    except InputError:
        raise
    except _FAULTS as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f"line {mark.line + 1}: "
        reason = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
        told = " ".join(reason.split()) or type(error).__name__
        raise InputError(f"{where}: {line}cannot be read as YAML ({told}), want {want}") from error


def _check_events(text: str, where: str) -> None:
    """Check depth and number of values as they come: neither needs recursion, and the first fault ends the parsing."""
    limits = file_limits()
    counted = _Counted()
    for event in yaml.parse(text, Loader=_Loader):
        counted.add(event)
        if len(counted.open_parts) > limits.depth:
            raise _YamlError(f"nested more than {limits.depth} levels deep", event.start_mark)
        if counted.total > limits.yaml_nodes:
            raise too_large(where, "more YAML values, aliases counted as what they mean", f"{limits.yaml_nodes}")


class _Counted:
    """Values met so far, each alias counted as all that it means.

    Attributes:
        total: How many.
        open_parts: Lists and mappings that have not ended: their anchor, and how many values came before.
    """

    def __init__(self) -> None:
        self.total = 0
        self.open_parts: list[tuple[str | None, int]] = []
        self._sizes: dict[str, int] = {}

    def add(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, _ in self.open_parts):
                raise _YamlError(f"alias {event.anchor!r:.40} of something that it lies in", event.start_mark)
            self.total += self._sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            self.total += 1
            self._keep(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.open_parts.append((event.anchor, self.total))
            self.total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self.open_parts.pop()
            self._keep(anchor, self.total - before)

    def _keep(self, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self._sizes[anchor] = size


def _nodes(node: yaml.Node) -> Iterator[yaml.Node]:
    """Yield every value and key once, wherever its aliases stand."""
    waiting = [node]
    visited = set()
    while waiting:
        part = waiting.pop()
        if id(part) in visited:  # an alias is the node itself
            continue
        visited.add(id(part))
        yield part
        if isinstance(part, yaml.MappingNode):
            for pair in part.value:
                waiting += pair
        elif isinstance(part, yaml.SequenceNode):
            waiting += part.value


def _check_keys(loader: Any, mapping: yaml.MappingNode) -> None:
    """Refuse a key that stands twice, and keys that are no words or numbers."""
    values: set[Any] = set()
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _YamlError("a list or mapping as a key", key.start_mark)
        if key.tag == _MERGE:
            continue
        value = loader.construct_object(key)
        if value in values:
            raise _YamlError(f"key {key.value!r:.80} twice in one mapping", key.start_mark)
        values.add(value)
