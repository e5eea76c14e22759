"""Cases carried out each in its own process: what ends in a traceback, hangs, runs a program or takes too much memory.

A case is forked from a process that has imported everything, so that it takes the time of the case alone. It has failed
if it raises what is no InputError or RunStopped, dies of a signal, does not end, takes more memory than the limit,
leaves the mark that only a program in its input could leave, or prints more than the lines that a user is to read.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvt4g.errors import InputError, RunStopped, one_line

MARK = "ran.mark"
"""Left in a case's folder by the programs that its input holds, should one be run."""
STRANGER = "stranger_module"
"""A module in the folder that a case runs in; importing it leaves the mark."""
MEMORY = 2**30
"""Bytes that a case may take beyond what it starts with; files may take an eighth of it (``--file-memory 0.125``)."""
FILE_GIB = "0.125"
CPU_SECONDS, IDLE_SECONDS = 60, 60
"""Processor time, or time without any, after which a case counts as hanging."""
LONGEST_LINE = 500


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        mutation: What is wrong with it; "" = nothing, and it must succeed.
        run: Reads it; returns an exit code, or anything else for success.
    """

    mutation: str
    run: Callable[[], Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        code: 0 succeeded, 1 stopped, 2 refused; None if it did not end by itself.
        fault: "", or "traceback", "hang", "code run", "memory", "output".
        told: Its message, or the traceback.
        memory: Bytes that it took at most beyond what it started with.
        seconds: By the wall clock.
    """

    code: int | None
    fault: str
    told: str
    memory: int
    seconds: float


def carry_out(make: Callable[[Path], Case], folder: Path) -> tuple[str, Outcome]:
    """Make a case in a folder of its own, carry it out, and remove the folder.

    Returns:
        Its mutation, and what became of it.
    """
    folder.mkdir(parents=True)
    (folder / f"{STRANGER}.py").write_text(f"open({str(folder / MARK)!r}, 'w').close()\n")
    begun = time.monotonic()
    case = make(folder)
    reports, report = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reports)
        _be_child(case, folder, report)
    os.close(report)
    fault, memory = _watch(child)
    with os.fdopen(reports, "rb") as file:
        told = file.read()
    found = json.loads(told) if told else {"code": None, "told": _printed(folder), "fault": "traceback"}
    if (folder / MARK).exists():
        fault = "code run"
    outcome = Outcome(found["code"], fault or found["fault"], found["told"], memory, time.monotonic() - begun)
    shutil.rmtree(folder, ignore_errors=True)
    return case.mutation, outcome


def _be_child(case: Case, folder: Path, report: int) -> None:
    """Carry the case out, say what came of it, and end without a word of the parent's."""
    os.setsid()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["MVT4G_FILE_MEMORY"] = FILE_GIB
    printed = os.open(folder / "printed.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    code, told, fault = 0, "", ""
    try:
        result = case.run()
        code = result if isinstance(result, int) and not isinstance(result, bool) else 0
    except InputError as error:
        code, told = 2, one_line(str(error))  # as the command line tells it
    except RunStopped as error:
        code, told = 1, one_line(str(error))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # anything else is what is looked for
        code, told, fault = 3, traceback.format_exc(), "traceback"
    sys.stdout.flush()
    sys.stderr.flush()
    text = _printed(folder)
    if not fault and "Traceback (most recent call last)" in text:
        fault, told = "traceback", text
    if not fault and code and (odd := _odd_line(told or text)):
        fault, told = "output", odd
    with os.fdopen(report, "wb") as file:
        file.write(json.dumps({"code": code, "told": (told or text)[-6000:], "fault": fault}).encode())
    os._exit(0)


def _odd_line(text: str) -> str:
    """Return a line that is too long for a message, or "" ."""
    lines = text.splitlines()
    return next((line[:LONGEST_LINE] for line in lines if len(line) > LONGEST_LINE), "")


def _printed(folder: Path) -> str:
    path = folder / "printed.txt"
    return path.read_text(errors="replace") if path.exists() else ""


def _watch(child: int) -> tuple[str, int]:
    """Wait for a process; kill it when it hangs or takes too much memory."""
    start, peak, fault = _memory(child), 0, ""
    busy, last_busy = _cpu(child), time.monotonic()
    while True:
        ended, status, _ = os.wait4(child, os.WNOHANG)
        if ended:
            return fault or ("traceback" if os.WIFSIGNALED(status) else ""), max(peak - start, 0)
        peak = max(peak, _memory(child))
        if _cpu(child) > busy:
            busy, last_busy = _cpu(child), time.monotonic()
        if peak - start > MEMORY:
            fault = fault or "memory"
        elif busy > CPU_SECONDS or time.monotonic() - last_busy > IDLE_SECONDS:
            fault = fault or "hang"
        if fault:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)


def _memory(process: int) -> int:
    """Return the most memory that a process has had, in bytes; 0 once it is gone."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _cpu(process: int) -> float:
    """Return a process's seconds of processor time."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
