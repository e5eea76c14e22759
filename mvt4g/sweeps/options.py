"""The parser of the sweeps' verbs: what is wrong with a command line is one line."""

import argparse
from typing import NoReturn

from mvt4g.errors import InputError

MOST_PROCESSES = 1024
"""Most runs at a time, and most threads of a run."""


class VerbParser(argparse.ArgumentParser):
    """Parser of one verb, whose first argument is the sweep file.

    Args:
        verb: Its name.
    """

    def __init__(self, verb: str) -> None:
        super().__init__(prog=f"mvt4g {verb}", allow_abbrev=False)
        self.add_argument("file", help="the sweep file")

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with a command line.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{message} ({self.prog} --help)")


def process_count(text: str) -> int:
    """Return a number of processes or threads.

    Raises:
        argparse.ArgumentTypeError: If it is none from 1 to MOST_PROCESSES.
    """
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST_PROCESSES)) and 1 <= int(text) <= MOST_PROCESSES:
        return int(text)
    raise argparse.ArgumentTypeError(f"got {text:.40}, want a whole number from 1 to {MOST_PROCESSES}")
