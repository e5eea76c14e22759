"""The parser of a verb that an entry point names: what is wrong with a command line is one line."""

import argparse
from typing import NoReturn

from mvt4g.errors import InputError


class VerbParser(argparse.ArgumentParser):
    """Parser of one verb or subcommand, without its help page.

    Args:
        verb: Its name, as "sweep" or "benchmark score".
    """

    def __init__(self, verb: str) -> None:
        super().__init__(prog=f"mvt4g {verb}", allow_abbrev=False, add_help=False)

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with a command line.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{message} ({self.prog} --help)")
