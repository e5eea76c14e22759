"""The parser of the sweeps' verbs, and the values that it takes."""

import argparse

from mvt4g.commands import verb_options

MOST_PROCESSES = 1024
"""Most runs at a time, and most threads of a run."""


class VerbParser(verb_options.VerbParser):
    """Parser of one verb, whose first argument is the sweep file.

    Args:
        verb: Its name.
    """

    def __init__(self, verb: str) -> None:
        super().__init__(verb)
        self.add_argument("file", help="the sweep file")


def process_count(text: str) -> int:
    """Return a number of processes or threads.

    Raises:
        argparse.ArgumentTypeError: If it is none from 1 to MOST_PROCESSES.
    """
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST_PROCESSES)) and 1 <= int(text) <= MOST_PROCESSES:
        return int(text)
    raise argparse.ArgumentTypeError(f"got {text:.40}, want a whole number from 1 to {MOST_PROCESSES}")
