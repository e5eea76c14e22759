"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mvt4g.types import InputError


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
