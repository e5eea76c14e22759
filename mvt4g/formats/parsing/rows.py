"""Text of rows or lines, read whole or refused: CSV with a header, and lines of words.

A row with too few or too many fields, a quote left open, a number with a decimal comma: each is refused, naming file
and line. Nothing is dropped and nothing moves into another column.
"""

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mvt4g.formats.parsing.files import read_text
from mvt4g.types import InputError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LINE_END = re.compile(r"\r\n|\r|\n")


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        where: File and line, for messages.
        fields: Text by column.
    """

    where: str
    fields: dict[str, str]

    def number(self, column: str) -> float:
        """Return a finite number.

        Raises:
            InputError: As ``finite_number``.
        """
        return finite_number(self.fields[column], f"{self.where}: {column}")


class Line(NamedTuple):
    """A line of a text.

    Attributes:
        where: File and line, for messages.
        text: Without the end of the line.
    """

    where: str
    text: str


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = (), what: str = "row") -> list[Row]:
    """Read a CSV file with a header; columns may stand in any order, and others than those named are left alone.

    UTF-8 with or without a byte order mark, any end of line. Empty lines hold no row. A field may be quoted, but a line
    break in one is refused: a quote that was never closed would take in the lines below it.

    Args:
        path: Of the file.
        required: Columns that must be there.
        optional: Columns that may be.
        what: A row is, for messages.

    Raises:
        InputError: Naming file and line: no such column, a column twice, a row with another number of fields than the
            header, a stray quote, or no row at all.
    """
    want = f"a header {','.join([*optional, *required])} and a {what} a line"
    text = read_text(path, f"CSV with {want}")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    header: list[str] | None = None
    rows: list[Row] = []
    try:
        for fields in reader:
            where = f"{path}: line {reader.line_num}"
            if not fields:
                continue
            # A forgotten quote would swallow the rows after it.
            if any("\n" in field or "\r" in field for field in fields):
                raise InputError(f"{where}: got a quoted field over several lines, want {want}")
            if header is None:
                header = [name.strip() for name in fields]
                _check_header(path, header, required, optional, want)
            elif len(fields) != len(header):
                raise InputError(f"{where}: got {len(fields)} fields, want {len(header)}: {','.join(header):.120}")
            else:
                rows.append(Row(where, dict(zip(header, fields, strict=True))))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: cannot be read as CSV ({error}), want {want}") from error
    if not rows:
        got = "an empty file" if header is None else "no row below the header"
        raise InputError(f"{path}: got {got}, want {want}")
    return rows


def read_lines(path: Path, want: str) -> list[Line]:
    """Read a text's lines, empty ones too, in UTF-8 with or without a byte order mark.

    Only the ends of lines that every editor knows count: a form feed within a line does not part it.

    Raises:
        InputError: As ``read_text``.
    """
    lines = _LINE_END.split(read_text(path, want))
    if lines[-1] == "":  # the last line ends with an end of line
        lines.pop()
    return [Line(f"{path}: line {number}", line) for number, line in enumerate(lines, 1)]


def finite_number(text: str, where: str) -> float:
    """Return a finite decimal number from its text; spaces around it do not count.

    Raises:
        InputError: Naming where: a decimal comma, NaN, infinity, digits of another script, or anything else.
    """
    word = text.strip()
    if _NUMBER.fullmatch(word) and math.isfinite(number := float(word)):
        return number
    hint = " with a decimal point" if re.fullmatch(r"[+-]?\d*,\d+", word) else ""
    raise InputError(f"{where}: got {text!r:.60}, want a finite number{hint}")


def whole_number(text: str, where: str) -> int:
    """Return a whole number from its text.

    Raises:
        InputError: Naming where, if it is none.
    """
    if re.fullmatch(r"[+-]?\d{1,18}", text.strip(), re.ASCII):
        return int(text)
    raise InputError(f"{where}: got {text!r:.60}, want a whole number")


def _check_header(path: Path, header: list[str], required: Sequence[str], optional: Sequence[str], want: str) -> None:
    odd = len(set(header)) < len(header) or "" in header
    if not set(required) <= set(header) or odd:
        raise InputError(f"{path}: line 1: got header {header!r:.200}, want {want}")
