"""Rows are read whole or refused by line: nothing is dropped, nothing moves into another column."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvt4g.formats.parsing.rows import finite_number, read_lines, read_table, whole_number
from mvt4g.types import InputError


def _table(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return [row.fields for row in read_table(tmp_path / "t.csv", ("a", "b"), ("c",))]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,x\n2,y\n",
        b"\xef\xbb\xbfa,b\r\n1,x\r\n2,y\r\n",
        "a,b\r1,x\r2,y",
        "a, b\n1, x\n\n2, y\n\n",
        'a,b\n"1","x"\n2,"y"',
    ],
)
def test_one_table_in_many_hands(tmp_path, content):
    assert _table(tmp_path, content) == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


def test_columns_stand_in_any_order_and_others_are_kept_apart(tmp_path):
    assert _table(tmp_path, "note,b,a\nn,x,1\n") == [{"note": "n", "b": "x", "a": "1"}]
    assert _table(tmp_path, 'a,b\n1,"x, ""y"" 5"\n') == [{"a": "1", "b": 'x, "y" 5'}]
    assert _table(tmp_path, 'a,b\n1,5" wide\u2028still\n') == [{"a": "1", "b": '5" wide\u2028still'}]


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ("", "got an empty file, want a header c,a,b and a row a line"),
        ("\n\n", "got an empty file"),
        ("a,b\n", "got no row below the header"),
        ("1,2\n3,4\n", r"line 1: got header \['1', '2'\]"),
        ("a;b\n1;2\n", r"line 1: got header \['a;b'\]"),
        ("a\tb\n1\t2\n", r"line 1: got header \['a\\tb'\]"),
        ("a,b,a\n1,2,3\n", "line 1: got header"),
        ("a,b,\n1,2,\n", "line 1: got header"),
        ("a,b\n1,2\n3\n", "line 3: got 1 fields, want 2: a,b"),
        ("a,b\n1,2\n3,4,5\n", "line 3: got 3 fields, want 2"),
        ("a,b\n1,2,5\n", "line 2: got 3 fields, want 2"),
        ('a,b\n1,"x\n2,y\n3,z\n', "line 4: cannot be read as CSV"),
        ('a,b\n1,"x\n2,y"\n3,z\n', "line 3: got a quoted field over several lines"),
        ('a,b\n1,"x"y\n', "line 2: cannot be read as CSV"),
        ("a,b\n1," + "x" * 200_000, "line 2: cannot be read as CSV"),
        ("a,b\n1,\0\n", "line 2: got a NUL"),
        ("a,b\n1,é\n".encode("latin-1"), "line 2: got byte 0xe9"),
        ("a,b\n1,2\n".encode("utf-16"), "got text in UTF-16"),
    ],
)
def test_what_is_refused(tmp_path, content, got):
    with pytest.raises(InputError, match=rf"t\.csv: {got}"):
        _table(tmp_path, content)


FIELDS = st.text(st.characters(exclude_characters="\n\r\0", codec="utf-8"), min_size=1).filter(
    lambda text: not text.startswith(" ")
)


@given(st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=6))
def test_what_pythons_writer_writes_is_read(tmp_path_factory, rows):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerows([("a", "b"), *rows])
    folder = tmp_path_factory.mktemp("rows")
    assert [tuple(row.values()) for row in _table(folder, buffer.getvalue())] == rows


def test_lines_end_where_editors_end_them(tmp_path):
    (tmp_path / "l.txt").write_bytes("\ufeffone\r\ntwo\u2028still\x0ctwo\r\rfour\n".encode())
    lines = read_lines(tmp_path / "l.txt", "names")
    assert [line.text for line in lines] == ["one", "two\u2028still\x0ctwo", "", "four"]
    assert lines[3].where.endswith("l.txt: line 4")


@pytest.mark.parametrize(("text", "want"), [(" 1.5 ", 1.5), ("-2", -2.0), (".5", 0.5), ("1e-3", 1e-3), ("+1.", 1.0)])
def test_numbers(text, want):
    assert finite_number(text, "here") == want


@pytest.mark.parametrize("text", ["", "one", "1,5", "nan", "inf", "1e999", "1_000", "١", "0x10", "1 2", "1.5.2"])
def test_other_words_are_no_numbers(text):
    with pytest.raises(InputError, match=r"here: got .*, want a finite number"):
        finite_number(text, "here")
    with pytest.raises(InputError, match=r"here: got .*, want a whole number"):
        whole_number(text, "here")


def test_a_decimal_comma_is_told():
    with pytest.raises(InputError, match="want a finite number with a decimal point"):
        finite_number("1,5", "here")
