"""Who makes which video, where several jobs fill one folder: a lock a video that the system frees when a job ends.

A claim is a lock on one byte of ``<folder>/.claims``, a file that stays empty. The system gives it up when its process
ends, however that ends, so that nothing has to be cleaned up after a kill. The locks are POSIX ones, which network file
systems know (NFS by its lock manager, Lustre and GPFS where they are mounted with locks).
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mvt4g.types import InputError, RunStopped

CLAIMS = ".claims"
_FOLDER, _MANIFEST, _FIRST_VIDEO = 0, 1, 16
"""Bytes: whether jobs share the folder, who writes the manifest, and from where on videos lie."""
_TAKEN = (errno.EACCES, errno.EAGAIN)


class Claims:
    """The locks that this process holds in one folder.

    Args:
        folder: Of the videos; it is made.

    Raises:
        InputError: If the place cannot be written to, or its file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # One descriptor for all locks: the system frees a process's locks on a file when any of them is closed.
            self._file = os.open(folder / CLAIMS, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(f"--out: got {folder} ({error.strerror}), want a folder that can be written to") from error

    def enter(self, alone: bool) -> None:
        """Begin to work in the folder, beside other jobs or alone, until this process ends.

        Args:
            alone: No other job may work there meanwhile.

        Raises:
            RunStopped: If another job works there, and either it or this one has to be alone.
        """
        if not self._take(_FOLDER, fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
            want = "want it ended: of jobs in one folder each must have one process"
            raise RunStopped(f"{self.folder}: is written to by another job; {want}")

    def take(self, name: str) -> bool:
        """Claim a video for this process, and say whether that went well: not where another process has it."""
        return self._take(_place(name), fcntl.LOCK_EX)

    def give_back(self, name: str) -> None:
        """Give up the claim on a video."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(name))

    @contextmanager
    def writing_manifest(self) -> Iterator[None]:
        """Wait until no other job writes what is about all videos, and keep others waiting while the block runs."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, _MANIFEST)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _MANIFEST)

    def close(self) -> None:
        """Give up all claims."""
        os.close(self._file)

    def _take(self, place: int, kind: int) -> bool:
        try:
            fcntl.lockf(self._file, kind | fcntl.LOCK_NB, 1, place)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            told = f"{self.folder}: locks fail there ({error.strerror})"
            raise InputError(f"{told}, want a file system with POSIX locks") from error
        return True


def _place(name: str) -> int:
    """Return the byte that stands for a video, by its name alone: jobs may be asked for different lists."""
    digest = hashlib.sha256(name.encode()).digest()
    return _FIRST_VIDEO + int.from_bytes(digest[:7], "big")  # below 2^56; a file's places end at 2^63
