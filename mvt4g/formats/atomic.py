"""Files and folders that appear whole or not at all, with the permissions that the user's umask gives."""

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mvt4g.errors import InputError, RunStopped

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the operating system's errors that say that no more can be written."""
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.part(\.\w+)?")


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Give a hidden temporary path beside ``path`` to write to; rename it to ``path`` when the block ends well.

    Missing parent folders are made. When the block raises, the temporary file is removed and an older ``path`` stays
    as it was. The temporary name keeps the suffix, which some writers go by. The file has the permissions of any new
    file there, whoever wrote it: safetensors' own would leave 0600.

    Raises:
        InputError: If the file cannot be written there.
        RunStopped: If the disk is full.
    """
    _check_name(path)
    if not path.name:
        raise InputError(f"{path}: got a folder to write to, want a file's name")
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _new_file_mode(temporary)
        yield temporary
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        # A name that is too long was never made.
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def appearing_folder(path: Path) -> Iterator[Path]:
    """Give an empty hidden folder beside ``path`` to fill; rename it to ``path`` when the block ends well.

    Missing parent folders are made. When the block raises, the folder and what is in it are removed. A process killed
    meanwhile leaves it behind: ``is_leftover`` knows its name. The files in it have the permissions of new ones.

    Raises:
        InputError: If ``path`` is there already, or cannot be written.
        RunStopped: If the disk is full.
    """
    _check_name(path)
    if path.exists():
        raise InputError(f"{path}: is there already, want a folder that is not")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.mkdir(parents=True)
        mode = _new_file_mode(temporary / temporary.name)
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file() and not file.is_symlink():
                os.chmod(file, mode)
        os.rename(temporary, path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def nearest_existing(path: Path) -> Path:
    """Return a path if it is there, else the nearest of its parents that is."""
    nearest = path.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    return nearest


def write_error(path: Path, error: OSError) -> InputError | RunStopped:
    """Return what to raise where a file cannot be written: a full disk stops a run, all else is a bad place."""
    told = f"{path}: cannot be written ({error.strerror or error})"
    if error.errno in DISK_FULL:
        return RunStopped(f"{told}; want room on its disk, then the same command again")
    return InputError(f"{told}, want a writable place")


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: a rename alone survives a kill, no power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def is_leftover(path: Path) -> bool:
    """Say whether a name is a temporary one of this module's."""
    return _TEMPORARY.fullmatch(path.name) is not None


def _check_name(path: Path) -> None:
    if "\0" in str(path):
        raise InputError(f"{str(path)!r}: got a NUL character, want a name that a file can have")


def _new_file_mode(path: Path) -> int:
    """Return the permissions of a file made at a path where there is none; nothing is left there.

    Making one asks the umask (and a folder's default ACL) without setting it, which other threads would feel.
    """
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(file).st_mode)
    finally:
        os.close(file)
        os.unlink(path)
