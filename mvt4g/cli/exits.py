"""The end of a command: its exit code, and the one line on stderr where that is not 0."""

import signal
import sys
from collections.abc import Callable
from typing import Any

from mvt4g.callbacks.signals import current_watch
from mvt4g.errors import InputError, Interrupted, RunStopped, one_line
from mvt4g.formats.atomic import DISK_FULL

EXIT_STOPPED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


def exit_code(command: Callable[[], Any]) -> int:
    """Run a command and return its own exit code, or that of how it ended, as ``main`` says."""
    try:
        code = command()
    except InputError as error:
        return _ended(str(error), EXIT_BAD_INPUT)
    except RunStopped as error:
        return _ended(str(error), EXIT_STOPPED, told_by_all=True)
    except (Interrupted, KeyboardInterrupt) as end:
        return _ended_by(getattr(end, "signum", signal.SIGINT), getattr(end, "note", ""))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return _ended(f"{error.filename or 'disk'}: cannot be written ({error.strerror})", EXIT_STOPPED)
        # A signal that went to the command's other processes too may have broken what this one does with them.
        received = current_watch().received
        if received is None:
            raise
        return _ended_by(received)
    return code if isinstance(code, int) else 0


def _ended_by(signum: int, note: str = "") -> int:
    """Write that a signal ended a command, with what was saved, and return its exit code."""
    by_hand = signum == signal.SIGINT
    line = f"{'interrupted' if by_hand else 'terminated'} {note}".strip()
    return _ended(line, EXIT_INTERRUPTED if by_hand else EXIT_TERMINATED, told_by_all=bool(note))


def _ended(line: str, code: int, told_by_all: bool = False) -> int:
    """Write how a command ended and return its exit code.

    Where all ranks end alike the first one tells. The others' code is 0 then: Lightning kills the first rank when it
    sees another fail, maybe before the first rank has ended.
    """
    if told_by_all:
        # It imports Lightning, which a run has imported before.
        from mvt4g.callbacks.checkpoints import is_first_process

        if not is_first_process():
            return 0
    sys.stderr.write(f"mvt4g: {one_line(line)}\n")
    return code
