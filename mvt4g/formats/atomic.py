"""Files and folders that appear whole or not at all."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mvt4g.types import InputError

_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.part(\.\w+)?")


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Give a hidden temporary path beside ``path`` to write to; rename it to ``path`` when the block ends well.

    Missing parent folders are made. When the block raises, the temporary file is removed and an older ``path`` stays
    as it was. The temporary name keeps the suffix, which some writers go by.

    Raises:
        InputError: If the file cannot be written there.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}), want a writable place") from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


@contextmanager
def appearing_folder(path: Path) -> Iterator[Path]:
    """Give an empty hidden folder beside ``path`` to fill; rename it to ``path`` when the block ends well.

    Missing parent folders are made. When the block raises, the folder and what is in it are removed. A process killed
    meanwhile leaves it behind: ``is_leftover`` knows its name.

    Raises:
        InputError: If ``path`` is there already, or cannot be written.
    """
    if path.exists():
        raise InputError(f"{path}: is there already, want a folder that is not")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        os.rename(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}), want a writable place") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_leftover(path: Path) -> bool:
    """Say whether a name is a temporary one of this module's."""
    return _TEMPORARY.fullmatch(path.name) is not None
