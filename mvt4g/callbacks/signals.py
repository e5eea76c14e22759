"""Ctrl-C and SIGTERM: one rule for every command."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mvt4g.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM)


class SignalWatch:
    """Turns signals into ``Interrupted``, at once or, while a fit trains, at its next step boundary.

    A second Ctrl-C never waits. Further SIGTERMs do: what sends them follows them by a SIGKILL if it will not wait.
    Processes forked from this one ignore Ctrl-C, which a terminal sends to all of them: the one that started them
    decides.

    Attributes:
        received: The first signal that came; None = none.
        waiting: A fit trains, and asks for ``received`` at its step boundaries.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.waiting = False
        self._ended = False
        self._owner = os.getpid()

    def install(self) -> None:
        """Take the signals while a command runs, in the main thread alone: others cannot. Lightning's go.

        Lightning's handler calls a collective wherever it comes, which hangs ranks that are in another one.
        """
        if self in _watches and threading.current_thread() is threading.main_thread():
            for signum in STOPPING:
                signal.signal(signum, self._handle)

    def raise_if_received(self) -> None:
        """Raise what came while nobody asked.

        Raises:
            Interrupted: If a signal came.
        """
        if self.received is not None:
            raise self.end(self.received)

    def end(self, signum: int, note: str = "") -> Interrupted:
        """Return what to raise, and ignore signals from now on."""
        self._ended = True
        return Interrupted(signum, note)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            if signum == signal.SIGTERM:
                signal.signal(signum, signal.SIG_DFL)
                os.kill(os.getpid(), signum)
            return
        first = self.received is None
        if first:
            self.received = signum
        at_once = not self.waiting if first else signum == signal.SIGINT
        # What cleans up is not interrupted again.
        if at_once and not self._ended:
            raise self.end(signum)
        if first and sys.stderr.isatty():
            sys.stderr.write("mvt4g: stopping at the end of this step, with a checkpoint (Ctrl-C again: at once)\n")


_watches: list[SignalWatch] = []


def current_watch() -> SignalWatch:
    """Return the watch of the command that runs, or outside of one a watch that no signal reaches."""
    return _watches[-1] if _watches else SignalWatch()


@contextmanager
def watched_signals() -> Iterator[SignalWatch]:
    """Watch for signals while a command runs; the handlers of before come back afterwards."""
    watch = SignalWatch()
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {signum: signal.getsignal(signum) for signum in STOPPING} if in_main_thread else {}
    _watches.append(watch)
    watch.install()
    try:
        yield watch
    finally:
        _watches.remove(watch)
        for signum, handler in before.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)
