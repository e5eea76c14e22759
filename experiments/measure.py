"""Time and peak memory of calls on the CPU, for benchmarks."""

import ctypes
import gc
import re
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def alternating_seconds(
    calls: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Return the seconds of every call, called in turn ``repeats`` times after one round that is not counted.

    By the CPU's clock of all threads together, if nothing else is given: what else the machine does counts for little,
    and slows all of them alike.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(clock() - start)
    return {name: values[1:] for name, values in times.items()}


def median_ratio(times: Mapping[str, list[float]], name: str, base: str) -> float:
    """Return the ratio of two calls' medians."""
    return statistics.median(times[name]) / statistics.median(times[base])


def peak_bytes(call: Callable[[], object]) -> int:
    """Return by how much a call raises the process's resident memory at its highest (Linux only)."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # so that memory freed before does not hide what the call takes
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark is the present again
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None, f"/proc/self/status has no {name}"
    return 1024 * int(found[1])
