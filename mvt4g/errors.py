"""How a command ends that cannot go on: bad input, a run that stopped, a signal. Names of ``mvt4g.types`` too."""

LONGEST, CUT = 380, " ... "
"""Characters of an error's line beside the program's name, and what stands for those left out."""


class InputError(ValueError):
    """Bad data or configuration: names the file or argument, the value got and the value wanted.

    ``main`` turns it into one line on stderr and exit code 2. ``RunStopped`` and ``Interrupted`` have theirs; every
    other exception is a bug of ours.
    """

    item: str = ""  # name of the item of a list that is bad, where only that is


class RunStopped(RuntimeError):
    """A run cannot go on though its input is good: a loss is not finite, the disk is full, another fit has the folder.

    ``main`` turns it into one line on stderr and exit code 1.
    """


class Interrupted(BaseException):
    """A signal ended the command; ``main`` turns it into one line on stderr and exit code 128 + signal.

    It is no ``Exception``, so that nothing takes it for a failure to get over.

    Args:
        signum: The signal's number.
        note: What was saved, for the line.
    """

    def __init__(self, signum: int, note: str = "") -> None:
        super().__init__(signum, note)
        self.signum, self.note = signum, note


def one_line(message: str) -> str:
    """Return a message as one line of at most LONGEST characters, the middle of a longer one left out.

    A message begins with the file or argument it is about, and ends with what is wanted: both stay.
    """
    line = " ".join(message.split())
    if len(line) <= LONGEST:
        return line
    head = LONGEST * 2 // 3
    tail = LONGEST - head - len(CUT)
    return f"{line[:head]}{CUT}{line[-tail:]}"
