"""How a program that calls the command line ends: as ``mvt4g`` itself does, in one line and with its exit codes."""

import signal
import subprocess
import sys
from collections.abc import Callable

from mvt4g.callbacks.signals import watched_signals
from mvt4g.cli.exits import exit_code
from mvt4g.errors import Interrupted, RunStopped

COMMAND = (sys.executable, "-m", "mvt4g")


def told(program: Callable[[], None]) -> int:
    """Run a program and return its exit code, as ``mvt4g`` does of a command: bad input and signals are one line."""
    with watched_signals():
        return exit_code(program)


def call(*args: str) -> None:
    """Run a command of ``mvt4g`` in a process of its own and wait for it.

    A signal that ends this program ends the command too, which saves what it has. SIGTERM tells it in either case:
    Ctrl-C has reached it from the terminal already, and a second one would cut its saving short.

    Raises:
        SystemExit: With the command's exit code where that is not 0; the command has said why.
        RunStopped: If a signal killed the command, so that it could say nothing.
        Interrupted: If the command was done when the signal came.
    """
    process = subprocess.Popen([*COMMAND, *args])
    try:
        code = process.wait()
    except Interrupted as end:
        process.terminate()
        if process.wait() == 0:
            raise
        raise SystemExit(128 + end.signum) from end
    if code < 0:
        raise RunStopped(f"{args[0]}: killed by {signal.Signals(-code).name}")
    if code:
        raise SystemExit(code)
