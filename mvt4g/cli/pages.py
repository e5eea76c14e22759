"""``--help``: short pages written for this suite, one text file a verb beside this module; no parser is asked.

``--help all`` is the parser's own list of every option, which takes the imports of the whole suite.
"""

from collections.abc import Sequence
from pathlib import Path

from mvt4g.commands.outside_verbs import load_outside_verb, outside_verbs
from mvt4g.commands.parsing.class_names import classes_made_from
from mvt4g.commands.verbs import OWN_VERBS, TRAINER_COMMANDS
from mvt4g.errors import InputError

FLAGS = ("--help", "-h")
ALL = "all"
FOLDER = Path(__file__).with_name("help")
CLASS_FLAGS = {"--model.help": "LightningModule", "--data.help": "LightningDataModule"}
"""Options that show a class's own options, with what such a class inherits from."""
OVERVIEW = "mvt4g"
"""Name of the page of ``mvt4g --help``."""


def help_page(args: Sequence[str]) -> str | None:
    """Return the page that a command line asks for; None if it asks for none, or for the parser's own list.

    Args:
        args: As after ``mvt4g``.

    Raises:
        InputError: If it is the page of another package's verb that cannot be loaded.
    """
    classes = class_list(args)
    if classes is not None:
        return classes
    place = _place_of_flag(args)
    if place is None or args[place + 1 : place + 2] == [ALL]:
        return None
    before = args[:place]
    # Options such as --trust MODULE may stand before the verb.
    for arg in before:
        if arg in OWN_VERBS:
            return _read_page(arg)
    for place, arg in enumerate(before):
        if arg in outside_verbs():
            return _outside_page(arg, before[place + 1 :])
    if all(arg.startswith("-") for arg in before):
        return overview()
    return None  # a verb that does not exist, which is said where verbs are run


def class_list(args: Sequence[str]) -> str | None:
    """Return the classes that ``--model.help`` or ``--data.help`` can show; None unless it stands without a class.

    Args:
        args: As after ``mvt4g``.
    """
    if not args or args[-1] not in CLASS_FLAGS:
        return None
    verb = next((arg for arg in args if arg in TRAINER_COMMANDS), None)
    if verb is None:
        return None
    flag = args[-1]
    lines = [f"mvt4g {verb} {flag} CLASS lists the options of a class:", ""]
    for known in classes_made_from(CLASS_FLAGS[flag]):
        lines += [f"  {known.path}", f"      {known.about}"]
    return "\n".join(lines) + "\n"


def without_all(args: Sequence[str]) -> list[str]:
    """Return a command line with ``--help all`` as ``--help``, which the parser understands."""
    args = list(args)
    place = _place_of_flag(args)
    if place is not None and args[place + 1 : place + 2] == [ALL]:
        del args[place + 1]
    return args


def overview() -> str:
    """Return the page of ``mvt4g --help``, with the verbs of other packages behind our own."""
    lines = []
    for name in outside_verbs():
        try:
            about = load_outside_verb(name).help.strip().partition("\n")[0]
        except InputError as error:
            about = str(error)  # a package that is broken takes no other verb away
        lines.append(f"  {name:<16}{about}")
    page = (FOLDER / f"{OVERVIEW}.txt").read_text(encoding="utf-8")
    if not lines:
        return page
    return page + "\n".join(["", "More commands:", *lines, ""])


def _place_of_flag(args: Sequence[str]) -> int | None:
    return next((index for index, arg in enumerate(args) if arg in FLAGS), None)


def _outside_page(name: str, rest: Sequence[str]) -> str:
    """Return the page of another package's verb, or of the subcommand that follows it."""
    verb = load_outside_verb(name)
    pages = getattr(verb, "subcommand_help", {})
    page = pages.get(rest[0], verb.help) if rest else verb.help
    return page.rstrip() + "\n"


def _read_page(verb: str) -> str | None:
    path = FOLDER / f"{verb}.txt"
    return path.read_text(encoding="utf-8") if path.is_file() else None
