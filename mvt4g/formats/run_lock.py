"""The lock of a run folder: one writer at a time, and who it is."""

import errno
import fcntl
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from mvt4g.formats.parsing.json_files import read_json_object
from mvt4g.types import InputError, RunStopped

BEAT_S = 10.0
"""Seconds between two signs of life that a holder gives: it sets the lock file's time of change."""
SILENT_S = 60.0
"""Seconds without a sign of life after which a holder on another host is taken for dead."""
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What file systems without hard links say, such as those of cameras' cards and of object stores."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        host: Name of the machine, with the process namespace where there is one: containers share a name.
        pid: Process there.
        born: When the process started, in the kernel's ticks: process numbers come again. 0 = not known.
        since: Local time at which the lock was taken.
        command: fit, test or validate.
    """

    host: str
    pid: int
    born: int
    since: str
    command: str

    @property
    def gone(self) -> bool:
        """Whether it is a process of this host that has ended."""
        return self.host == _host() and not _is_alive(self.pid, self.born)

    def __str__(self) -> str:
        return f"{self.command} of process {self.pid} on {self.host.partition(' ')[0]} since {self.since}"


@contextmanager
def run_lock(folder: Path, command: str) -> Iterator[None]:
    """Hold ``<folder>/.<command>.lock`` while the block runs.

    The file says who holds it. That of a process which is gone from this host is taken over; that of another host is
    watched for ``SILENT_S`` and taken over if it gives no sign of life, so that a job which lost its node can go on
    elsewhere. Nothing depends on locks of the file system but the moment of taking over, so network file systems serve.

    Raises:
        RunStopped: If another process holds it, naming host, process and since when.
        InputError: If something else lies in its place.
    """
    path = folder / f".{command}.lock"
    holder = Holder(_host(), os.getpid(), _born(os.getpid()), datetime.now().isoformat(" ", "seconds"), command)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    _take(path, holder)
    ended = threading.Event()
    beats = threading.Thread(target=_beat, args=(path, holder, ended), name="run-lock", daemon=True)
    beats.start()
    try:
        yield
    finally:
        ended.set()
        beats.join()
        if _read(path) == holder:
            path.unlink(missing_ok=True)
        if made:
            # Whoever failed before writing anything leaves no folder.
            with suppress(OSError):
                folder.rmdir()


def _take(path: Path, holder: Holder) -> None:
    if _create(path, holder):
        return
    other = _read(path)
    if other is not None and not other.gone and (other.host == holder.host or not _falls_silent(path)):
        raise RunStopped(f"{path.parent}: is written to by another {other}; want another folder, or that one ended")
    with _alone(path.parent):
        # Whoever came first may have put its own lock in the place of the dead one's meanwhile.
        if _read(path) == other:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:  # a folder lies there
                raise InputError(f"{path}: cannot be removed ({error.strerror}), want no such file") from error
        if not _create(path, holder):
            raise RunStopped(f"{path.parent}: is written to by another {_read(path)}; want another folder")
    if other is not None:
        sys.stderr.write(f"mvt4g: {path.parent}: its lock was of a {other}, which is gone, and is taken over\n")


def _create(path: Path, holder: Holder) -> bool:
    """Make the lock file with its content, in one step and only if there is none."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    content = json.dumps(asdict(holder))
    temporary.write_text(content, encoding="utf-8")
    try:
        # Atomic on network file systems too, unlike O_EXCL on old ones.
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # For a moment the lock is empty, and nobody's to whoever looks then.
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(content)
        except FileExistsError:
            return False
    finally:
        temporary.unlink()
    return True


def _read(path: Path) -> Holder | None:
    """Return who holds a lock; None if nobody does, or its file cannot be understood."""
    try:
        content = read_json_object(path, "a run's lock")
        return Holder(**{name: kind(content[name]) for name, kind in Holder.__annotations__.items()})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _falls_silent(path: Path) -> bool:
    """Wait for a sign of life of a holder elsewhere, by its file's time alone: clocks of hosts differ."""
    told = f"another host holds its lock; waiting {SILENT_S:.0f} s for a sign of life"
    sys.stderr.write(f"mvt4g: {path.parent}: {told}\n")
    before = _changed(path)
    end = time.monotonic() + SILENT_S
    while time.monotonic() < end:
        time.sleep(min(1.0, SILENT_S))
        if _changed(path) != before:
            return False
    return True


def _changed(path: Path) -> int | None:
    # Opening it makes a network file system look again.
    with suppress(OSError), path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns
    return None


def _beat(path: Path, holder: Holder, ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        with suppress(OSError):
            if _read(path) == holder:
                os.utime(path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes that take over a lock in this folder waiting, where the file system can."""
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _host() -> str:
    """Return the machine's name and, where there is one, the process namespace in which numbers mean something."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()} {space}".strip()


def _is_alive(pid: int, born: int) -> bool:
    if pid < 1:
        return False  # not of one process
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # of another user
    return not born or _born(pid) in (0, born)


def _born(pid: int) -> int:
    """Return when a process started, in the kernel's ticks since the machine did; 0 = not known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # Field 22, counted after the name, which may hold anything.
    return int(stat.rpartition(")")[2].split()[19])
