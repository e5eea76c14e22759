"""Kinds of JSON fields: each reads a value or refuses it in one line, and writes the JSON Schema of what it takes.

A form that is told once, as a table of fields, cannot differ between its reader and its schema.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mvt4g.types import InputError

REQUIRED = object()
"""Default of a field that must be there."""


class FieldKind(ABC):
    """What a field may hold."""

    @abstractmethod
    def read(self, where: str, value: Any) -> Any:
        """Return the value as Python holds it.

        Raises:
            InputError: Naming where, if it is another one.
        """

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of it."""


@dataclass(frozen=True)
class NumberField(FieldKind):
    """A finite number in [low, high].

    Attributes:
        low: Least number.
        high: Largest number.
        above: ``low`` itself is out.
        whole: No fraction.
    """

    low: float | int
    high: float | int
    above: bool = False
    whole: bool = False

    def read(self, where: str, value: Any) -> float | int:
        """Return the number."""
        is_number = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        if not is_number or not (self.low < value <= self.high or (value == self.low and not self.above)):
            noun = "a whole number" if self.whole else "a number"
            limits = f"{'(' if self.above else '['}{self.low:g}, {self.high:g}]"
            raise InputError(f"{where}: got {value!r:.60}, want {noun} in {limits}")
        return int(value) if self.whole else float(value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of it."""
        least = "exclusiveMinimum" if self.above else "minimum"
        return {"type": "integer" if self.whole else "number", least: self.low, "maximum": self.high}


@dataclass(frozen=True)
class WordField(FieldKind):
    """One of some words.

    Attributes:
        words: All of them; none = any text.
    """

    words: tuple[str, ...] = ()

    def read(self, where: str, value: Any) -> str:
        """Return the word."""
        if not isinstance(value, str) or (self.words and value not in self.words):
            want = f"one of {', '.join(self.words)}" if self.words else "text"
            raise InputError(f"{where}: got {value!r:.60}, want {want}")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of it."""
        return {"enum": list(self.words)} if self.words else {"type": "string"}


@dataclass(frozen=True)
class ListField(FieldKind):
    """Some values of one kind.

    Attributes:
        item: Of each.
        least: How few there may be.
        most: How many.
    """

    item: FieldKind
    least: int
    most: int

    def read(self, where: str, value: Any) -> tuple[Any, ...]:
        """Return the values."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            got = f"{len(value)} entries" if isinstance(value, list) else f"{value!r:.60}"
            count = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            raise InputError(f"{where}: got {got}, want a list of {count}")
        values = []
        for index, entry in enumerate(value):
            values.append(self.item.read(f"{where}[{index}]", entry))
        return tuple(values)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of it."""
        return {"type": "array", "items": self.item.schema(), "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True)
class ObjectField(FieldKind):
    """An object of named fields and of no others.

    Attributes:
        fields: Kind of each, and its default or ``REQUIRED``.
        one_of: Of these exactly one must be there.
        title: What the object is, for the schema.
    """

    fields: Mapping[str, tuple[FieldKind, Any]]
    one_of: Sequence[str] = ()
    title: str = ""

    def read(self, where: str, value: Any) -> dict[str, Any]:
        """Return all fields by name, those left out by their defaults."""
        # After the file's name comes a colon, between names of fields a point.
        at = f"{where}: " if ":" not in where else f"{where}."
        if not isinstance(value, dict):
            want = f"an object of {', '.join(self.fields)}"
            raise InputError(f"{where}: got {value!r:.60}, want {want}")
        for name in value:
            if name not in self.fields:
                want = f"one of {', '.join(self.fields)}"
                raise InputError(f"{at}{name:.60}: no such field, want {want}")
        given = [name for name in self.one_of if name in value]
        if self.one_of and len(given) != 1:
            got = " and ".join(given) or "none"
            raise InputError(f"{where}: got {got} of {', '.join(self.one_of)}, want one")
        found = {}
        for name, (kind, default) in self.fields.items():
            if name in value:
                found[name] = kind.read(f"{at}{name}", value[name])
            elif default is REQUIRED:
                raise InputError(f"{at}{name}: missing, got {', '.join(value) or 'no field'}")
            else:
                found[name] = default
        return found

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of it."""
        described: dict[str, Any] = {"title": self.title} if self.title else {}
        described |= {
            "type": "object",
            "properties": {name: kind.schema() for name, (kind, _) in self.fields.items()},
            "required": [name for name, (_, default) in self.fields.items() if default is REQUIRED],
            "additionalProperties": False,
        }
        if self.one_of:
            described["oneOf"] = [{"required": [name]} for name in self.one_of]
        return described


@dataclass(frozen=True)
class VariantField(FieldKind):
    """An object whose field ``kind`` says which other fields it has.

    Attributes:
        kinds: Fields of each kind, without ``kind`` itself.
    """

    kinds: Mapping[str, ObjectField]

    def read(self, where: str, value: Any) -> dict[str, Any]:
        """Return all fields by name, ``kind`` among them."""
        if not isinstance(value, dict):
            raise InputError(f"{where}: got {value!r:.60}, want an object with a kind")
        kind = WordField(tuple(self.kinds)).read(f"{where}.kind", value.get("kind"))
        others = {name: content for name, content in value.items() if name != "kind"}
        return {"kind": kind, **self.kinds[kind].read(where, others)}

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of it."""
        variants = []
        for kind, fields in self.kinds.items():
            described = fields.schema()
            described["properties"] = {"kind": {"const": kind}, **described["properties"]}
            described["required"] = ["kind", *described["required"]]
            variants.append(described)
        return {"oneOf": variants}


COORDINATE = NumberField(-1e6, 1e6)
POINT = ListField(COORDINATE, 3, 3)
ANGLE_DEG = NumberField(-3600.0, 3600.0)
SHARE = NumberField(0.0, 1.0)


def increasing(where: str, numbers: Sequence[float | int]) -> tuple[float, ...]:
    """Return numbers that increase.

    Raises:
        InputError: Naming where, if they do not.
    """
    for before, after in itertools.pairwise(numbers):
        if not after > before:
            raise InputError(f"{where}: got {after:g} after {before:g}, want increasing numbers")
    return tuple(float(number) for number in numbers)
