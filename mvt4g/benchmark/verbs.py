"""``mvt4g benchmark SUBCOMMAND``: what the entry point of the group ``mvt4g.verbs`` names, with its help pages.

The subcommand ``score`` is the function ``main`` of the module ``mvt4g.benchmark.score``, and its help page is
``benchmark-score.txt`` among those of the command line. A subcommand's module is imported when it runs, so that
``mvt4g --help`` costs nothing.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

from mvt4g.cli.pages import FOLDER
from mvt4g.commands.outside_verbs import Verb
from mvt4g.errors import InputError

VERB = "benchmark"
SUBCOMMANDS = ("generate", "score", "table", "page")
"""In the order of their use."""


def offered_subcommands() -> list[str]:
    """Return the subcommands whose modules are there."""
    return [name for name in SUBCOMMANDS if find_spec(f"mvt4g.benchmark.{name}") is not None]


def subcommand_page(name: str) -> str:
    """Return the whole page of ``mvt4g benchmark SUBCOMMAND --help``."""
    return (FOLDER / f"{VERB}-{name}.txt").read_text(encoding="utf-8")


def overview(names: Sequence[str]) -> str:
    """Return the page of ``mvt4g benchmark --help`` with a line for each of some subcommands."""
    lines = []
    for name in names:
        about = subcommand_page(name).partition("\n")[0].partition(": ")[2]
        lines.append(f"  {name:<10}{about}\n")
    return (FOLDER / f"{VERB}.txt").read_text(encoding="utf-8").replace("  SUBCOMMANDS\n", "".join(lines))


def run_subcommand(argv: list[str]) -> int:
    """Run the subcommand that a command line names with the rest of it, and return its exit code.

    Raises:
        InputError: If there is no such subcommand, and what it raises.
    """
    names = offered_subcommands()
    name = argv[0] if argv else ""
    if name not in names:
        got = f"subcommand {name!r}" if name else "no subcommand"
        near = get_close_matches(name, names, n=1)
        want = f"perhaps {near[0]}" if near else f"one of {', '.join(names)}"
        raise InputError(f"got {got}, want {want} (mvt4g {VERB} --help)")
    code: int = import_module(f"mvt4g.benchmark.{name}").main(argv[1:])
    return code


BENCHMARK = Verb(
    run_subcommand,
    overview(offered_subcommands()),
    {name: subcommand_page(name) for name in offered_subcommands()},
)
