"""How a command ends that cannot go on: bad input, a run that stopped, a signal. Names of ``mvt4g.types`` too."""

LONGEST = 380
CUT = " ... "
"""Characters of an error's line beside the program's name, and what stands for those left out."""
LONGEST_WORD = 48
"""Characters that stay of a word of a line that would be longer: a name at the end of a path fits."""


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
        self.signum = signum
        self.note = note


def one_line(message: str) -> str:
    """Return a message as one line of at most LONGEST characters, what is left out replaced by CUT.

    A message begins with the file or argument it is about, and ends with what is wanted: both stay. Of paths and other
    long words the end stays, the last one cut first, since the first one is what the message is about. If cutting them
    all is not enough, the middle of the line as it was goes instead.
    """
    words = message.split()
    whole = " ".join(words)
    if len(whole) <= LONGEST:
        return whole
    dots = CUT.strip()
    for place in reversed(range(len(words))):
        word = words[place]
        if len(word) > LONGEST_WORD:
            opening = word[: len(word) - len(word.lstrip("([{'\""))]  # what closes it later must have been opened
            words[place] = opening + dots + word[-(LONGEST_WORD - len(dots)) :]
            line = " ".join(words)
            if len(line) <= LONGEST:
                return line
    head = LONGEST * 2 // 3
    tail = LONGEST - head - len(CUT)
    return f"{whole[:head]}{CUT}{whole[-tail:]}"


def check_finished(kind: type) -> None:
    """Check that a class has every method that its abstract base asks for.

    Raises:
        InputError: Naming what it lacks, in place of Python's TypeError, which would be our bug and keep its traceback.
    """
    lacking = sorted(getattr(kind, "__abstractmethods__", ()))
    if lacking:
        raise InputError(f"{kind.__name__}: got a class without {', '.join(lacking)}, want all that its base asks for")
