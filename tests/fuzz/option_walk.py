"""Every option of a command with every odd value: what becomes of a good configuration with one leaf changed.

    python -m tests.fuzz.option_walk fit -c configs/debug.yaml [--only model.init_args] [--after OPTION] [--run-too]

prints a line for each leaf and value that neither builds nor is refused in one line, and a table of what was seen. A
value that is taken is carried out too with ``--run-too`` (one step), since a number can break long after it was parsed.
"""

import argparse
import contextlib
import io
import json
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException

from mvt4g.cli.suite import SuiteCLI, start
from mvt4g.commands.parsing.parser import parse
from mvt4g.types import InputError

NUMBERS = (-1, 0, 0.5, 1e30, 10**30, 2**31, float("nan"), float("inf"))
"""What stands in the place of a number."""
OTHERS: tuple[Any, ...] = ("", [], {}, None, "a", True)
"""What stands in the place of anything."""
SECONDS = 60
"""Of processor time, or ten times as many on the clock, after which a command line counts as hanging."""


class Built(SuiteCLI):
    """Builds what a command line names, and stops there; nothing is written."""

    def _parse_ckpt_path(self) -> None:
        """Leave checkpoints alone."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Stop here."""


class Parsed(SuiteCLI):
    """Parses a command line, and stops there."""

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Keep the configuration and stop."""
        config, _ = parse(parser, args)
        raise Stop(config[config.subcommand])


class Hang(BaseException):
    """A command line that has not ended in time."""


class Stop(Exception):
    """Carries a parsed configuration out of the command line."""

    def __init__(self, config: Namespace) -> None:
        super().__init__()
        self.config = config


def leaves(config: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted option and the value of every leaf; a list of numbers is one, and each of its entries is too."""
    if isinstance(config, Namespace):
        for key, value in vars(config).items():
            yield from leaves(value, f"{place}.{key}" if place else key)
    elif not place.endswith("class_path"):
        yield place, config


def mutations(value: Any) -> Iterator[Any]:
    """Yield odd values for a leaf that holds a good one."""
    if isinstance(value, list | tuple) and value and not isinstance(value[0], Namespace | dict):
        for number in NUMBERS:
            yield [number, *value[1:]]
            yield [number] * len(value)
        yield [*value, *value]
    elif isinstance(value, int | float) or value is None:
        yield from NUMBERS
    yield from OTHERS


def written(value: Any) -> str:
    """Return a value as the command line takes it; NaN and infinity as YAML spells them."""
    text = json.dumps(value)
    return text.replace("NaN", ".nan").replace("Infinity", ".inf")


def outcome(args: list[str], cli: type[SuiteCLI]) -> tuple[str, str]:
    """Return what came of a command line (taken, refused, long line, traceback), and the last it said."""
    said = io.StringIO()
    for signum in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(signum, _too_long)
    signal.alarm(10 * SECONDS)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            start(args, cli)
    except (InputError, MisconfigurationException) as error:  # the command line tells both in one line
        line = " ".join(str(error).split())
        return "refused", line
    except Stop:
        return "taken", ""
    except SystemExit as left:
        return f"exit {left.code}", said.getvalue()[-200:]
    except (Exception, Hang) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno}"
        return "traceback", f"{type(error).__name__}: {' '.join(str(error).split())[:160]} ({where})"
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "taken", said.getvalue()[-200:]


def _too_long(signum: int, frame: object) -> None:
    raise Hang


def main() -> None:
    """Walk the options of a command line and print what is neither refused nor taken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="options that begin so")
    parser.add_argument("--after", help="options that come after this one, to go on where a walk was stopped")
    parser.add_argument("--run-too", action="store_true", help="carry one step out of what is taken")
    parser.add_argument("--taken", action="store_true", help="print what is taken too")
    options, args = parser.parse_known_args()
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        base = [*args, "--run", f"{folder}/run"]
        try:
            start(base, Parsed)
        except Stop as stop:
            config = stop.config
        every = list(leaves(config))
        if options.after is not None:
            every = every[[option for option, _ in every].index(options.after) + 1 :]
        for option, value in every:
            if not option.startswith(options.only) or option in ("run", "config"):
                continue
            sys.stderr.write(f"{option}\n")  # what --after takes
            for odd in mutations(value):
                kind, told = outcome([*base, f"--{option}={written(odd)}"], Built)
                if kind == "taken" and options.run_too:
                    run = ["--trainer.max_steps=1", "--run", tempfile.mkdtemp(dir=folder)]
                    kind, told = outcome([*base, f"--{option}={written(odd)}", *run], SuiteCLI)
                    kind = f"ran: {kind}"
                seen[kind] += 1
                if not kind.endswith("refused") and (options.taken or not kind.endswith("taken")):
                    sys.stdout.write(f"{kind}\t{option}={written(odd)}\t{told}\n")
                    sys.stdout.flush()
    sys.stdout.write(f"{dict(seen)}\n")


if __name__ == "__main__":
    sys.exit(main())
