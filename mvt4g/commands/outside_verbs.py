"""Verbs that other packages add to ``mvt4g``, found by the entry-point group ``mvt4g.verbs``.

An entry point's name is the verb. Its value is a ``Verb``, or any other callable with a ``help`` text:

    [project.entry-points."mvt4g.verbs"]
    sweep = "mvt4g.sweeps.verbs:SWEEP"

``mvt4g --help`` imports the module of every verb to show the first line of its help, so that this module must import
nothing heavy at its top. A name of ``mvt4g.commands.verbs`` cannot be taken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, runtime_checkable

from mvt4g.commands.verbs import OWN_VERBS
from mvt4g.errors import InputError

GROUP = "mvt4g.verbs"


@runtime_checkable
class OutsideVerb(Protocol):
    """What an entry point of the group must be.

    Attributes:
        help: The whole page of ``mvt4g VERB --help``; its first line says what the verb does.
    """

    help: str

    def __call__(self, argv: list[str]) -> int:
        """Run with what follows the verb on the command line, and return the exit code.

        Raises:
            InputError: For bad input; ``main`` makes it one line and exit code 2.
        """


@dataclass(frozen=True)
class Verb:
    """A verb of another package.

    Attributes:
        main: Takes what follows the verb on the command line, and returns the exit code.
        help: The whole page of ``mvt4g VERB --help``; its first line says what the verb does.
        subcommand_help: The whole pages of ``mvt4g VERB SUBCOMMAND --help``, by subcommand.
    """

    main: Callable[[list[str]], int]
    help: str
    subcommand_help: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __call__(self, argv: list[str]) -> int:
        """Run."""
        return self.main(argv)


def outside_verbs() -> dict[str, EntryPoint]:
    """Return the entry points of all verbs that packages add, sorted by name; nothing is imported."""
    entries = {}
    # Of two packages that add one name the order decides, and must be the same everywhere.
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        if entry.name not in OWN_VERBS:
            entries[entry.name] = entry
    return entries


def load_outside_verb(name: str) -> OutsideVerb:
    """Import the module of a verb that ``outside_verbs`` names, and return the verb.

    Raises:
        InputError: If it cannot be imported, or is no verb.
    """
    entry = outside_verbs()[name]
    try:
        verb = entry.load()
    except Exception as error:  # whatever another package's module does when it is imported
        raise InputError(f"{name}: got {entry.value}, which cannot be imported ({error!r})") from error
    if not (callable(verb) and isinstance(getattr(verb, "help", None), str)):
        raise InputError(f"{name}: got {entry.value}, want a callable that has a text `help`")
    return verb
