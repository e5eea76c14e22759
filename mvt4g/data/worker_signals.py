"""Ctrl-C, SIGTERM and a parent that ended, in the worker processes of a loader."""

import os
import signal
import sys
import threading
from types import TracebackType


def leave_signals_to_parent(worker: int = 0) -> None:
    """Let Ctrl-C and SIGTERM end a worker only where its parent sends them; a ``worker_init_fn``.

    A terminal, ``timeout``, ``kill -- -GROUP`` and Slurm signal every process of a command. The parent then has a step
    to finish and a checkpoint to write, for which it needs its workers. It ends them itself, by SIGTERM where they do
    not answer; if it dies, torch's loop ends them.

    A thread waits for SIGTERM, since only ``sigwaitinfo`` says who sent it, and since a thread answers while a reader
    is busy. Where the system has no such call (macOS), SIGTERM does what torch makes of it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _say_unless_parent_left
    if hasattr(signal, "sigwaitinfo"):
        # Threads that a worker starts later inherit the mask, so that the signal can only go to the one that waits.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_parent_says, daemon=True).start()


def _end_when_parent_says() -> None:
    while True:
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == os.getppid():
            os._exit(0)  # as torch's own handler, whose parent takes other codes for a crash


def _say_unless_parent_left(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what nobody caught, but for a connection that broke.

    A thread of ``multiprocessing`` hands tensors to the parent. It would print a traceback beside the command's one
    line where the parent ended while it fetched one.
    """
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)
