"""``mvt4g benchmark table OUT``: the paper's table with what was measured beside it, in four forms."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mvt4g.benchmark import table_forms
from mvt4g.benchmark.comparison import compare
from mvt4g.benchmark.results import read_results
from mvt4g.benchmark.table_words import truth_order
from mvt4g.cli.exits import exit_code
from mvt4g.commands.verb_options import VerbParser
from mvt4g.formats.atomic import appearing
from mvt4g.types import InputError

FORMS = {
    "md": table_forms.to_markdown,
    "csv": table_forms.to_csv,
    "tex": table_forms.to_latex,
    "html": table_forms.to_html,
}
"""What writes the table, by the ending of its file."""


def main(args: Sequence[str]) -> int:
    """Write the tables of scored videos and return the exit code.

    Args:
        args: What follows ``mvt4g benchmark table`` on the command line.
    """
    return exit_code(lambda: _table(parser().parse_args(args)))


def parser() -> VerbParser:
    """Return the parser of the subcommand."""
    options = VerbParser("benchmark table")
    options.add_argument("out", type=Path)
    add_comparison_options(options)
    return options


def add_comparison_options(options: VerbParser) -> None:
    """Add the options that say which method is whose backbone, and which is the truth."""
    options.add_argument("--truth", metavar="METHOD")
    options.add_argument("--backbone", action="append", default=[], metavar="METHOD=BACKBONE")


def named_backbones(texts: Sequence[str]) -> dict[str, str]:
    """Return backbones by method.

    Raises:
        InputError: If a text is not METHOD=BACKBONE, or a method has two.
    """
    found: dict[str, str] = {}
    for text in texts:
        method, sign, backbone = text.partition("=")
        if not (method and sign and backbone):
            raise InputError(f"--backbone: got {text!r}, want METHOD=BACKBONE, both measured here")
        if found.get(method, backbone) != backbone:
            raise InputError(f"--backbone: got {found[method]!r} and {backbone!r} for {method!r}, want one")
        found[method] = backbone
    return found


def _table(options: argparse.Namespace) -> None:
    """Write the tables.

    Raises:
        InputError: If the folder holds no scores, a backbone is none, or a table cannot be written.
    """
    comparison = compare(read_results(options.out), named_backbones(options.backbone), options.truth)
    # All texts are made before the first file appears: a fault leaves the older tables as they were.
    texts = {ending: form(comparison) for ending, form in FORMS.items()}
    for ending, text in texts.items():
        path = options.out / f"table.{ending}"
        with appearing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
    for method, fault in comparison.faults:
        print(f"{method}: {fault}")
    if comparison.order is not None:
        for line in truth_order(comparison.order):
            print(line)
    lacking = {entry.method for entry in comparison.notes}
    print(
        f"{len(comparison.measured)} methods, {len(lacking)} of them with something not computed (listed in the table)"
    )
    print(f"wrote {options.out / 'table.md'}, .csv, .tex and .html")
