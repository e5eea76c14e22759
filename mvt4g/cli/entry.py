"""``mvt4g VERB ...``: answers ``--help`` and ``--version`` at once, and hands all else to the verb.

This module and all that it imports at its top load neither torch nor Lightning: a verb's own modules are imported when
it runs.
"""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from mvt4g import __version__
from mvt4g.callbacks.signals import watched_signals
from mvt4g.cli.exits import exit_code
from mvt4g.cli.pages import help_page, without_all
from mvt4g.commands.outside_verbs import load_outside_verb, outside_verbs
from mvt4g.commands.verbs import COMMANDS, OWN_VERBS, PARSE_THEMSELVES, TRAINER_COMMANDS
from mvt4g.errors import InputError

VERSION_FLAGS = ("--version", "-V")


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code, after one line on stderr where it is not 0.

    1: the run was stopped, for a loss that is not finite, a full disk, or a folder that another run writes to. 2: bad
    input. A signal's is 128 and its number: 130 for Ctrl-C, 143 for SIGTERM.

    Args:
        args: As after ``mvt4g`` on the command line; None takes the command line's own.
    """
    given = list(sys.argv[1:] if args is None else args)
    with watched_signals():
        return exit_code(lambda: _answer(given))


def _answer(args: list[str]) -> int:
    if args and args[0] in VERSION_FLAGS:
        sys.stdout.write(f"mvt4g {__version__}\n")
        return 0
    page = help_page(args)
    if page is not None:
        sys.stdout.write(page)
        return 0
    return _run(without_all(args))


def _run(args: list[str]) -> int:
    """Take the options of every command out of a command line and run the verb that is left.

    Raises:
        InputError: If there is no such verb, and what the verb raises.
    """
    from mvt4g.commands.parsing.file_memory import allowing_file_memory, take_file_memory
    from mvt4g.commands.parsing.trust import take_trust, trusting

    given, trusted = take_trust(args)
    given, file_memory = take_file_memory(given)
    verb = given[0] if given else ""
    with trusting(trusted), allowing_file_memory(file_memory):
        if verb in COMMANDS:
            from mvt4g.commands.run_verb import run_command

            return run_command(verb, given[1:])
        if verb in PARSE_THEMSELVES:
            module, name, _ = PARSE_THEMSELVES[verb]
            code: int = getattr(import_module(module), name)(given[1:])
            return code
        # An option before the command is the parser's business.
        if verb in TRAINER_COMMANDS or verb.startswith("-"):
            from mvt4g.cli.suite import start

            start(given)
            return 0
        return load_outside_verb(known_verb(verb))(given[1:])


def known_verb(verb: str) -> str:
    """Return a verb that exists.

    Raises:
        InputError: If it does not, with the one that was probably meant.
    """
    names = [*OWN_VERBS, *outside_verbs()]
    if verb in names:
        return verb
    near = get_close_matches(verb, names, n=1)
    want = f"perhaps {near[0]}" if near else f"one of {', '.join(names)}"
    got = f"command {verb!r}" if verb else "no command"
    raise InputError(f"got {got}, want {want} (mvt4g --help)")
