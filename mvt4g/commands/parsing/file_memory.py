"""``--file-memory GIB``: the one option that raises the limits of ``formats/parsing/limits.py``, of every command."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mvt4g.formats.parsing.limits import OPTION, VARIABLE, gib


def take_file_memory(args: Sequence[str]) -> tuple[list[str], str | None]:
    """Take ``--file-memory GIB`` and ``--file-memory=GIB`` out of a command line, wherever they stand.

    Returns:
        The other arguments, and the last value, if any.

    Raises:
        InputError: If a value is missing, or is no number of GiB.
    """
    others: list[str] = []
    value = None
    left = iter(args)
    for arg in left:
        flag, equals, text = arg.partition("=")
        if flag != OPTION:
            others.append(arg)
            continue
        value = text if equals else next(left, "")
        gib(value, OPTION)
    return others, value


@contextmanager
def allowing_file_memory(value: str | None) -> Iterator[None]:
    """Set the limits for the length of a block, in this process and in those that it starts.

    Args:
        value: GiB; None leaves the environment's own.

    Raises:
        InputError: If the environment holds no number of GiB.
    """
    before = os.environ.get(VARIABLE)
    if value is not None:
        os.environ[VARIABLE] = value
    elif before is not None:
        gib(before, VARIABLE)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before
