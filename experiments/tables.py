"""Tables of scores as CSV files, as experiments keep them."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mvt4g.formats.atomic import appearing

Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a table, none where there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a table, whole or not at all."""
    with appearing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
