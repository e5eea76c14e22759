"""JSON that is right is read as Python's own parser reads it; what it would let pass in silence is refused."""

import json
import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvt4g.formats.parsing.json_files import parse_json, parsed_bytes, read_json, read_json_object
from mvt4g.formats.parsing.limits import VARIABLE
from mvt4g.types import InputError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_was_written_is_read(value):
    assert parse_json(json.dumps(value), "here", "values") == value


def test_a_byte_order_mark_is_taken_off(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa9"}')
    assert read_json_object(tmp_path / "a.json", "values") == {"a": "é"}


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ('{"a": 1,}', "cannot be read as JSON"),
        ("[1] [2]", r"Extra data: line 1 column 5"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "got key 'c' twice in one object"),
        ("[NaN]", "got NaN, which is no JSON number"),
        ("[-Infinity]", "got -Infinity"),
        ("[1e999]", "got 1e999, which is beyond the largest number"),
        ("[" + "9" * 400 + "]", "got 9+, which is beyond the largest number"),
        ("[" + "9" * 5000 + "]", "cannot be read as JSON"),
        ("[" * 65 + "]" * 65, "nested more than 64 levels deep"),
        ("[" * 100_000, "nested more than 64 levels deep"),
        ('{"a":' * 100_000, "nested more than 64 levels deep"),
    ],
)
def test_what_is_refused(text, got):
    with pytest.raises(InputError, match=rf"here: .*{got}.*want values"):
        parse_json(text, "here", "values")


def test_the_deepest_nesting_allowed():
    assert parse_json("[" * 64 + "]" * 64, "here", "values")


def test_numbers_that_are_none_where_data_sets_have_them():
    (number, *infinities) = parse_json("[NaN, Infinity, -Infinity]", "here", "values", nan=True)
    assert math.isnan(number)
    assert infinities == [math.inf, -math.inf]


@pytest.mark.parametrize("part", ["[]", "{}", '{"a":1}', '"abcdef"', "1.5", "[1.5,2.5]", '{"b":{"c":[]}}', '{"":[{}]}'])
def test_memory_is_estimated_from_above(part):
    text = f"[{','.join([part] * 5000)}]"
    tracemalloc.start()
    parsed = json.loads(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(parsed) == 5000
    assert peak <= parsed_bytes(text) <= 8 * peak


def test_memory_is_refused_before_it_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "0.0625")
    (tmp_path / "a.json").write_text("[" + "[]," * 1_000_000 + "0]")
    with pytest.raises(
        InputError, match=r"got JSON that takes about 10.\.. MiB, want at most 64\.0 MiB; --file-memory"
    ):
        read_json(tmp_path / "a.json", "values")
    (tmp_path / "b.json").write_text(" " * (2**23 + 1))
    with pytest.raises(InputError, match=r"got a file of 8\.0 MiB, want at most 8\.0 MiB; --file-memory"):
        read_json(tmp_path / "b.json", "values")


def test_a_top_of_another_kind_is_named(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(InputError, match=r"a\.json: got a JSON list, want an object: values"):
        read_json_object(tmp_path / "a.json", "values")
