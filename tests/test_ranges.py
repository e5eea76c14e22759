"""Ranges by hand: their ends, NaN and infinity, what they say, lists and unions, and sizes that no memory holds."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pytest

from mvt4g.ranges import (
    Count,
    Natural,
    Positive,
    PositiveShare,
    Range,
    Share,
    check_allocation,
    check_number,
    check_ranges,
    check_value,
    check_word,
    memory_limit,
)
from mvt4g.types import InputError


@dataclass(frozen=True)
class Spec:
    count: Count = 1
    share: Share = 0.5
    length: Positive | None = None
    pair: tuple[PositiveShare, Natural] = (1.0, 0)
    many: tuple[Natural, ...] = ()
    free: float = 0.0
    flag: bool = True
    name: str = ""
    word: Literal["a", "b"] | None = "a"
    words: tuple[Literal["a", "b"], ...] = ()
    word_or_text: Literal["a"] | str = "a"


def check(**changes: object) -> None:
    check_ranges(replace(Spec(), **changes), "spec")


@pytest.mark.parametrize(
    "good",
    [
        {"count": 1},
        {"count": 2**31 - 1},
        {"share": 0.0},
        {"share": 1.0},
        {"length": 1e-9},
        {"length": None},
        {"pair": (1.0, 0)},
        {"many": (0, 1, 2)},
        {"many": ()},
        {"free": -1e12},
        {"flag": False},
        {"word": "b"},
        {"word": None},
        {"words": ("b", "a")},
        {"word_or_text": "any"},
    ],
)
def test_what_lies_in_a_range_is_taken(good):
    check(**good)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"count": 0}, "spec.count: got 0, want at least 1"),
        ({"count": 2**31}, "spec.count: got 2147483648, want at most 2147483647"),
        ({"count": 10**40}, "spec.count: got about 10^40, want at most 2147483647"),
        ({"share": 1.5}, "spec.share: got 1.5, want in [0, 1]"),
        ({"share": math.nan}, "spec.share: got nan, want in [0, 1]"),
        ({"length": 0.0}, "spec.length: got 0.0, want more than 0"),
        ({"length": math.inf}, "spec.length: got inf, want at most 1000000"),
        ({"pair": (0.0, 0)}, "spec.pair: got (0.0, 0), want each in (0, 1]"),
        ({"pair": (1.0, -1)}, "spec.pair: got (1.0, -1), want each at least 0"),
        ({"many": (0, -1)}, "spec.many: got (0, -1), want each at least 0"),
        ({"free": math.nan}, "spec.free: got nan, want a finite number, at most 1e+12 in size"),
        ({"free": 1e30}, "spec.free: got 1e+30, want a finite number, at most 1e+12 in size"),
        ({"free": -math.inf}, "spec.free: got -inf, want a finite number, at most 1e+12 in size"),
        ({"word": "c"}, "spec.word: got 'c', want one of a, b"),
        ({"words": ("a", "c")}, "spec.words: got ('a', 'c'), want each one of a, b"),
    ],
)
def test_what_does_not_is_named(bad, says):
    with pytest.raises(InputError) as error:
        check(**bad)
    assert str(error.value) == says


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, 10**400])
def test_no_range_holds_what_is_not_finite(value):
    for wanted in (Range(), Range(0), Range(0, 1), Range(0, 1, above=True, below=True)):
        with pytest.raises(InputError):
            check_number("x", value, wanted)


def test_open_ends():
    assert 0 not in Range(0, 1, above=True)
    assert 1 not in Range(0, 1, below=True)
    assert 0 in Range(0, 1)
    assert 1 in Range(0, 1)


def test_lists_within_lists():
    hint = tuple[tuple[Share, Share], ...]
    check_value("x", ((0.0, 1.0), (0.5, 0.5)), hint)
    with pytest.raises(InputError, match=r"want each in \[0, 1\]"):
        check_value("x", ((0.0, 1.0), (0.5, 2.0)), hint)


def test_a_type_within_a_union_and_none_of_its_own():
    check_value("x", None, Annotated[int, Range(1)] | None)
    check_value("x", "auto", Annotated[int, Range(1)] | str)
    with pytest.raises(InputError):
        check_value("x", 0, str | Annotated[int, Range(1)] | None)


def test_a_word_is_one_of_its_type():
    check_word("x", "b", Literal["a", "b"])
    with pytest.raises(InputError, match=r"^x: got None, want one of a, b$"):
        check_word("x", None, Literal["a", "b"])


def test_sizes_that_no_memory_holds():
    check_allocation("x", {"rows": 1000, "columns": 1000})
    with pytest.raises(InputError, match=r"^x: got rows 1048576 x columns 1048576, which takes 4.1e\+03 GiB, want"):
        check_allocation("x", {"rows": 2**20, "columns": 2**20})
    assert 2**28 < memory_limit() < 2**50
