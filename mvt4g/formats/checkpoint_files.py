"""Checkpoint files of a run: where they lie, and how they are read, as tensors and plain values alone."""

import re
import zipfile
from pathlib import Path
from typing import Any

from mvt4g.formats.parsing.array_headers import BROKEN
from mvt4g.formats.weights import read_pickle
from mvt4g.types import InputError

_STEP_FILE = re.compile(r"step-(\d{8,})\.ckpt")


def checkpoint_path(run: Path, step: int) -> Path:
    """Return where the checkpoint of an optimizer step lies."""
    return run / "checkpoints" / f"step-{step:08d}.ckpt"


def step_checkpoints(run: Path) -> dict[int, Path]:
    """Return the checkpoints of a run by optimizer step, the lowest first; files of other names are left out."""
    found = {}
    for path in (run / "checkpoints").glob("step-*.ckpt"):
        if name := _STEP_FILE.fullmatch(path.name):
            found[int(name[1])] = path
    return dict(sorted(found.items()))


def last_checkpoint(run: Path) -> Path | None:
    """Return the checkpoint of the highest step, or None."""
    return max(step_checkpoints(run).items(), default=(0, None))[1]


def check_whole(path: Path, option: str = "--ckpt_path") -> dict[str, Any]:
    """Read a checkpoint as ``read_checkpoint`` does, and compare every byte of it with its checksums.

    Args:
        path: Of the file.
        option: Which option or argument named it, for messages.

    Raises:
        InputError: As ``read_checkpoint``, or if it is damaged.
    """
    content = read_checkpoint(path, mmap=True, option=option)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except BROKEN as error:
        raise InputError(f"{option}: {path}: is damaged ({error}), want a whole file") from error
    if damaged is not None:
        raise InputError(f"{option}: {path}: is damaged ({damaged} has another checksum), want a whole file")
    return content


def read_checkpoint(path: Path, mmap: bool = False, option: str = "--ckpt_path") -> dict[str, Any]:
    """Read a checkpoint to the CPU, refusing whatever is not a tensor or a plain value.

    Args:
        path: Of the file.
        mmap: Leave the numbers on disk until they are looked at.
        option: Which option or argument named it, for messages.

    Raises:
        InputError: If it is missing, cut short, or no checkpoint of a fit.
    """
    if not path.is_file():
        raise InputError(f"{option}: got {path}, want a file that exists")
    try:
        content = read_pickle(path, mmap)
    except InputError as error:
        raise InputError(f"{option}: {error}") from error
    if not isinstance(content, dict) or not {"state_dict", "global_step"} <= content.keys():
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{option}: {path}: got {found[:100]}, want the checkpoint of a fit")
    return content
