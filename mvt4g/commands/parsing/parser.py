"""The parser of every command line: one-line errors, what was written told from defaults, trusted classes alone."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import Namespace
from jsonargparse._actions import _ActionPrintConfig
from jsonargparse.typing import register_type
from lightning.pytorch.cli import LightningArgumentParser

from mvt4g.commands.parsing.class_changes import recording, without_defaults_of_others
from mvt4g.commands.parsing.messages import innermost, with_nearest
from mvt4g.commands.parsing.moved_options import moved_argument, note_system
from mvt4g.commands.parsing.option_ranges import check_options
from mvt4g.commands.parsing.safe_yaml import read_options, read_safely
from mvt4g.commands.parsing.trust import check_classes
from mvt4g.types import InputError


def _path_text(path: Path) -> str:
    """Return a path as it is written to a run's config.yaml.

    Raises:
        TypeError: If it is none: jsonargparse's own makes text of anything, of null and of a list of paths too.
    """
    return os.fspath(path)


register_type(Path, _path_text, Path)
read_safely()


class OneLineParser(LightningArgumentParser):
    """Parser whose errors are one line: a misspelt nested key would print 60 lines otherwise.

    An option's beginning does not stand for it, as argparse would have it: ``weight_cor`` is a mistake.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the error; main prints it.

        Raises:
            InputError: From the parser of a command. Parsers that jsonargparse makes for its own trials keep its error.
        """
        message = with_nearest(message, self._option_names())
        if not self.exit_on_error:
            super().error(message, ex)
        raise InputError(innermost(message)) from ex

    def parse_args(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:  # type: ignore[override]
        """Parse; the null of an option within an option comes from jsonargparse as the word None."""
        if args is not None:
            args = [re.sub(r"^(--[^=]+)=None$", r"\1=null", moved_argument(arg)) for arg in args]
        return super().parse_args(args, *rest, **named)

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Check a configuration, naming the option that is nearest to one that does not exist.

        Raises:
            KeyError: As jsonargparse raises it.
            TypeError: Likewise.
        """
        try:
            super().validate(*args, **kwargs)
        except KeyError as error:
            parser = getattr(error, "subcommand_parser", self)
            told = with_nearest(str(error.args[0]) if error.args else "", parser._option_names())
            error.args = (told,)
            raise

    def _option_names(self) -> list[str]:
        return [action.dest for action in self._actions]

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Parse a configuration file.

        Raises:
            InputError: Naming the file, which jsonargparse's own messages do not; also of a pipe or device, a file that
                is too long or nested too deeply, and a key that stands twice.
        """
        if str(path) != "-":
            read_options(str(path))
        try:
            return super().parse_path(path, *args, **kwargs)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"{path}: {innermost(str(error))}, want a YAML file of options") from error


def parse(
    parser: OneLineParser, args: Sequence[str] | None, owner: Callable[..., Any] | None = None
) -> tuple[Namespace, list[str]]:
    """Parse a command line: what was written first, then the defaults of the classes that it came to.

    Args:
        parser: Of the command.
        args: As after ``mvt4g``; None takes the command line's own.
        owner: The function that a verb's options are the arguments of.

    Returns:
        The configuration, and lines about what changes of class dropped. Where the configuration is to be printed,
        these go to stderr, and nothing returns.

    Raises:
        InputError: If an option does not exist or has no such value, a number is out of its range, or a
            function stands where a class is wanted.
    """
    args = sys.argv[1:] if args is None else args
    note_system(args)
    # Defaults that are filled in at once would pass from one class to the next that takes its place.
    with recording() as changes, _ActionPrintConfig.skip_print_config():
        written = parser.parse_args(args, defaults=False)
    check_classes(written)
    lines = changes.lines()
    if hasattr(parser, "print_config"):
        sys.stderr.writelines(f"mvt4g: {line}\n" for line in lines)
    with without_defaults_of_others():
        config = parser.parse_object(written)
    check_classes(config)
    command = config.get("subcommand")
    check_options(config if command is None else config[command], owner)
    return config, lines
