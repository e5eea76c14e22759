"""Parts of commands that fill a folder clip by clip: one writer at a time, going on with it, a progress bar."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mvt4g.formats.manifest import MANIFEST, Manifest, first_difference, read_manifest
from mvt4g.types import InputError

SAVE_EVERY_S = 5.0
"""Seconds between two writings of the manifest while clips are made; a clip that it misses is found on disk."""


@contextmanager
def locked(out: Path, command: str) -> Iterator[None]:
    """Make the folder and keep other writers out of it for as long as this process lives.

    Raises:
        InputError: If it cannot be written to, or another ``command`` writes to it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        place = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(f"out: got {out} ({error.strerror}), want a folder that can be written to") from error
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InputError(f"out: got {out}, which another {command} writes to now, want to be the only one") from error
    finally:
        os.close(place)


def read_begun(out: Path, made_by: Mapping[str, Any], what: str) -> Manifest | None:
    """Return the manifest of a folder that was begun with the same settings, None of an empty folder.

    Args:
        out: The folder.
        made_by: What clips are made by now.
        what: The clips together, for messages.

    Raises:
        InputError: If it holds something else, or clips made otherwise.
    """
    if not (out / MANIFEST).exists():
        others = sorted(path.name for path in out.iterdir())
        if others:
            raise InputError(f"out: got {out}, which holds {others[0]} but no {MANIFEST}, want an empty folder")
        return None
    manifest = read_manifest(out)
    if difference := first_difference(made_by, manifest.made_by):
        raise InputError(f"{difference} of {what} in {out}; want another folder")
    return manifest


def clip_progress(total: int, done: int) -> Progress:
    """Return a bar on stderr with the time left, where stderr is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("clips"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
               TimeRemainingColumn())  # fmt: skip
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    progress.add_task("clips", total=total, completed=done)
    return progress
