"""Ranges of numbers and choices of words, stated in a type and checked in one place.

A field ``num_frames: Count`` says in its type what it takes: ``--help`` prints it, ``check_ranges`` holds a spec to it
when it is made, and the command line holds every option to it before anything is built. A number without a range of its
own is finite and at most LARGEST in size.
"""

import math
import os
import resource
import types
import typing
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal

import torch

from mvt4g.types import InputError

LARGEST = 1e12
"""Size of the largest number that any option takes."""
MOST = 2**31 - 1
"""Largest count."""
WIDE = 1000
"""A range that ends beyond this is called by its beginning: the end keeps memory and time in bounds."""


class Range:
    """Numbers from ``low`` to ``high``; NaN is in none.

    Args:
        low: Least number.
        high: Largest number.
        above: ``low`` itself is out.
        below: ``high`` itself is out.
    """

    def __init__(
        self, low: float | int = -LARGEST, high: float | int = LARGEST, above: bool = False, below: bool = False
    ) -> None:
        self.low = low
        self.high = high
        self.above = above
        self.below = below

    def __contains__(self, value: float | int) -> bool:
        is_high_enough = value > self.low if self.above else value >= self.low
        is_low_enough = value < self.high if self.below else value <= self.high
        return is_high_enough and is_low_enough

    def __repr__(self) -> str:
        if self.low <= -LARGEST and self.high >= LARGEST:
            return f"a finite number, at most {LARGEST:g} in size"
        if self.high > WIDE:
            return f"more than {self.low:g}" if self.above else f"at least {self.low:g}"
        opening = "(" if self.above else "["
        closing = ")" if self.below else "]"
        return f"in {opening}{self.low:g}, {self.high:g}{closing}"

    def wanted_of(self, value: float | int) -> str:
        """Return what to say to a value that is out of it."""
        if self.low <= -LARGEST and self.high >= LARGEST:
            return f"{self!r}"
        if self.high > WIDE and value > self.high:
            return f"at most {self.high:.10g}"
        if self.low < -WIDE and value < self.low:
            return f"at least {self.low:.10g}"
        return f"{self!r}"


ANY = Range()
Count = Annotated[int, Range(1, MOST)]
"""How many of something that must be there."""
Natural = Annotated[int, Range(0, MOST)]
"""How many of something that may be absent; also an index."""
Seed = Annotated[int, Range(0, 2**32 - 1)]
Side = Annotated[int, Range(1, 2**16)]
"""Of an image, pixels; also of a stride or a patch."""
Frames = Annotated[int, Range(1, 2**20)]
Views = Annotated[int, Range(1, 2**10)]
Points = Annotated[int, Range(1, 2**24)]
Width = Annotated[int, Range(1, 2**20)]
"""Of a layer: channels, features, tokens of a text."""
Depth = Annotated[int, Range(1, 2**10)]
"""How often something is repeated in a network: blocks, heads, iterations, steps of a sampler."""
Few = Annotated[int, Range(0, 2**10)]
"""How many of something that costs a process, a body or a step each."""
Share = Annotated[float, Range(0, 1)]
OpenShare = Annotated[float, Range(0, 1, above=True, below=True)]
PositiveShare = Annotated[float, Range(0, 1, above=True)]
ShareBelowOne = Annotated[float, Range(0, 1, below=True)]
Positive = Annotated[float, Range(0, 1e6, above=True)]
NonNegative = Annotated[float, Range(0, 1e6)]
Elevation = Annotated[float, Range(-90, 90)]
"""Degrees above the ground."""
Angle = Annotated[float, Range(0, 360)]
"""Size of a turn, degrees."""
FieldOfView = Annotated[float, Range(0, 180, above=True, below=True)]
"""Degrees."""
Port = Annotated[int, Range(1, 65535)]


def check_ranges(spec: Any, place: str) -> None:
    """Hold the fields of a dataclass to the ranges and words that their types state; dataclasses within it hold theirs.

    Args:
        spec: What was made.
        place: What configurations call it; messages do too.

    Raises:
        InputError: Naming the first field that is out of range, or none of its words.
    """
    hints = hints_of(type(spec))
    for field in fields(spec):
        value = getattr(spec, field.name)
        if not is_dataclass(value):
            check_value(f"{place}.{field.name}", value, hints[field.name])


def check_value(name: str, value: Any, hint: Any) -> None:
    """Hold a value, or the entries of a list, to the range or the words that its type states.

    Raises:
        InputError: Naming value, got and wanted.
    """
    # True is an int to Python, yet no number here.
    if isinstance(value, int | float) and not isinstance(value, bool):
        check_number(name, value, _range_in(hint))
    elif isinstance(value, str):
        if (words := _words_in(hint)) is not None:
            check_word(name, value, words)
    elif isinstance(value, list | tuple):
        for entry, entry_hint in zip(value, _entry_hints(hint, len(value)), strict=True):
            try:
                check_value(name, entry, entry_hint)
            except InputError as error:
                # The entry's message names the entry alone; the list is what was given.
                wanted = str(error).rpartition(", want ")[2].removeprefix("each ")
                raise InputError(f"{name}: got {_short(value)}, want each {wanted}") from error


def check_number(name: str, value: float | int, wanted: Range = ANY) -> None:
    """Hold a number to a range.

    Raises:
        InputError: If it is out of it, or not finite.
    """
    if value not in wanted:
        raise InputError(f"{name}: got {_short(value)}, want {wanted.wanted_of(value)}")


def check_word(name: str, value: Any, words: Any) -> None:
    """Hold a value to the words of a ``Literal``.

    Raises:
        InputError: Naming all of them, if it is none.
    """
    known = typing.get_args(words)
    if value not in known:
        raise InputError(f"{name}: got {value!r}, want one of {', '.join(known)}")


def check_allocation(name: str, sizes: dict[str, int], bytes_each: int = 4) -> None:
    """Refuse a product of sizes that no memory of this machine holds, before it is allocated.

    Nothing is allocated on torch's meta device, where any size will do.

    Args:
        name: What messages call it.
        sizes: Of its axes, by name.
        bytes_each: Of an entry.

    Raises:
        InputError: Naming the sizes, the bytes they come to and the bytes there are.
    """
    wanted = math.prod(sizes.values()) * bytes_each
    if wanted > memory_limit() and torch.get_default_device().type != "meta":
        product = " x ".join(f"{axis} {_short(size)}" for axis, size in sizes.items())
        raise InputError(f"{name}: got {product}, which takes {_gib(wanted)}, want at most {_gib(memory_limit())}")


@cache
def memory_limit() -> int:
    """Return the bytes that a process of this machine can have: physical memory, a cgroup's or the shell's limit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limits.append(int(file.read()))
    except (OSError, ValueError):
        pass  # no such control group, or one without a limit
    return min(limits)


def hints_of(owner: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields or of a function's arguments, with the ranges that they state."""
    return _read_hints(owner)


@cache
def _read_hints(owner: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(owner, include_extras=True)


def is_pair(hint: Any) -> bool:
    """Say whether a type is that of two numbers, (least, largest), and not of a list of any length."""
    entries = typing.get_args(hint)
    plain = [typing.get_args(entry)[0] if typing.get_origin(entry) is Annotated else entry for entry in entries]
    return typing.get_origin(hint) is tuple and len(plain) == 2 and all(entry in (int, float) for entry in plain)


def alternatives(hint: Any) -> Iterator[Any]:
    """Yield the types that a union stands for, or the type itself."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for part in typing.get_args(hint):
            yield from alternatives(part)
    else:
        yield hint


def _range_in(hint: Any) -> Range:
    """Return the range that a number's type states, also within a union."""
    for part in alternatives(hint):
        if typing.get_origin(part) is Annotated:
            for stated in typing.get_args(part)[1:]:
                if isinstance(stated, Range):
                    return stated
    return ANY


def _words_in(hint: Any) -> Any:
    """Return the ``Literal`` that a type is, or is beside None; None if it takes other values too."""
    found = None
    for part in alternatives(hint):
        part = typing.get_args(part)[0] if typing.get_origin(part) is Annotated else part
        if typing.get_origin(part) is Literal and found is None:
            found = part
        elif part is not type(None):
            # Another type beside the words may take any text.
            return None
    return found


def _entry_hints(hint: Any, count: int) -> Sequence[Any]:
    """Return the type of each entry of a list or tuple."""
    for part in alternatives(hint):
        part = typing.get_args(part)[0] if typing.get_origin(part) is Annotated else part
        entries = typing.get_args(part)
        if typing.get_origin(part) is Literal or not entries:
            continue
        if len(entries) == count and entries[-1] is not Ellipsis:
            return entries
        return [entries[0]] * count
    return [Any] * count


def _short(value: Any) -> str:
    """Return a value as messages show it; of a long number its size, of a long list its beginning."""
    text = str(value)
    if isinstance(value, list | tuple):
        return text if len(text) <= 80 else f"{text[:60]} ..."
    if len(text) <= 24:
        return text
    return f"{value:.3g}" if isinstance(value, float) else f"about 10^{len(text.lstrip('-')) - 1}"


def _gib(count: float | int) -> str:
    return f"{count / 2**30:.3g} GiB"
