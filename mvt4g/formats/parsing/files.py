"""Opening input files: regular ones alone, of a length known to be bearable, and text that is UTF-8."""

import stat
from pathlib import Path

from mvt4g.formats.parsing.limits import file_limits, size_text, too_large
from mvt4g.types import InputError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def check_regular(path: Path, want: str) -> int:
    """Return the length of a file in bytes; links are followed.

    A named pipe or device is refused before it is opened: reading it may never end.

    Raises:
        InputError: If there is no such file, or it is no regular one.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file, want {want}") from error
    except (OSError, ValueError) as error:  # a loop of links, a name too long, a name with \0
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be opened ({reason}), want {want}") from error
    for is_kind, name in _KINDS:
        if is_kind(found.st_mode):
            raise InputError(f"{path}: got {name}, want a regular file: {want}")
    return found.st_size


def read_bytes(path: Path, want: str, most: int) -> bytes:
    """Read a whole file.

    Raises:
        InputError: As ``check_regular``, or if it cannot be read or is longer than ``most`` bytes.
    """
    length = check_regular(path, want)
    try:
        with path.open("rb") as file:
            # Some files under /proc say that they are empty: one byte over the limit is read and counted.
            content = file.read(most + 1) if length <= most else b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), want {want}") from error
    if max(length, len(content)) > most:
        raise too_large(str(path), f"a file of {size_text(max(length, len(content)))}", size_text(most))
    return content


def read_text(path: Path, want: str, most: int | None = None) -> str:
    """Read a whole text; a byte order mark of UTF-8 is taken off, ends of lines are left as they are.

    Args:
        path: Of the file.
        want: What it should be, for messages.
        most: Bytes that it may have; None = as many as a file of rows.

    Raises:
        InputError: As ``read_bytes``, or naming the line that is no UTF-8.
    """
    if most is None:
        most = file_limits().row_bytes
    return decoded(read_bytes(path, want, most), str(path), want)


def decoded(content: bytes, where: str, want: str) -> str:
    """Return UTF-8 bytes as text, without a byte order mark.

    Raises:
        InputError: Naming the line with other bytes; UTF-16 is named as such.
    """
    if content.startswith(_UTF16_MARKS):
        raise InputError(f"{where}: got text in UTF-16, want UTF-8: {want}")
    try:
        text = content.removeprefix(_UTF8_MARK).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{where}: line {line}: got byte {content[error.start]:#04x}, which is no UTF-8, want UTF-8: {want}"
        ) from error
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise InputError(f"{where}: line {line}: got a NUL character, want text: {want}")
    return text
