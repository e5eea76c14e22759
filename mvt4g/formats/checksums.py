"""SHA-256 of files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from mvt4g.formats.parsing.files import check_regular
from mvt4g.types import InputError


def sha256_of(path: Path) -> str:
    """Return 64 hexadecimal digits.

    Raises:
        InputError: If the file cannot be read, or is a pipe or device, which may never end.
    """
    check_regular(path, "a readable file")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), want a readable file") from error


def sha256_of_all(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of one file, or of several: that of what ``sha256sum NAME...`` prints for them in this order.

    Raises:
        InputError: If one cannot be read.
    """
    if len(paths) == 1:
        return sha256_of(paths[0])
    lines = "".join(f"{sha256_of(path)}  {path.name}\n" for path in paths)
    return hashlib.sha256(lines.encode()).hexdigest()


def check_unchanged(path: Path, digest: str) -> None:
    """Refuse a file that is not the one that was written.

    Raises:
        InputError: If it cannot be read, or its checksum is another.
    """
    got = sha256_of(path)
    if got != digest:
        want = f"{digest[:16]}...: damaged or changed since written"
        raise InputError(f"{path}: sha256: got {got[:16]}..., want {want}")
