"""Readers of the files that runs leave; a file may be cut short, edited, or another program's."""

import math
from pathlib import Path
from typing import Any

from mvt4g.formats.parsing.json_files import read_json_object
from mvt4g.types import InputError


def read_metrics(path: Path) -> dict[str, float | None]:
    """Read a test's ``metrics.json``: a flat {key: number or null}.

    Raises:
        InputError: Naming the file, and the key that is something else.
    """
    metrics = read_json_object(path, "the metrics of a test")
    for key, value in metrics.items():
        if value is not None and not _is_number(value):
            raise InputError(f"{path}: {key:.80}: got {value!r:.60}, want a number or null")
    return metrics


def read_times(path: Path) -> dict[str, dict[str, float]]:
    """Read a run's ``times.json``: seconds by step and kind.

    Raises:
        InputError: Naming the file, and the step that has something else.
    """
    times: dict[str, Any] = read_json_object(path, "the times of a run's steps")
    for step, seconds in times.items():
        if not isinstance(seconds, dict) or not all(map(_is_number, seconds.values())):
            raise InputError(f"{path}: {step:.80}: got {seconds!r:.60}, want seconds by name")
    return times


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
