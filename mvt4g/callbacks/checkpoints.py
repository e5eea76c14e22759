"""Checkpoint files of a run: where they lie, written whole, read as tensors and plain values alone."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from mvt4g.formats.atomic import appearing
from mvt4g.formats.weights import read_pickle
from mvt4g.types import InputError


class CheckpointFiles(TorchCheckpointIO):
    """Reads and writes checkpoints for the trainer.

    Lightning writes beside the system's temporary files and moves the result, which copies it where the run folder is
    on another disk: killed in the middle, that leaves a broken file under the final name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint that appears whole or not at all, in place of what a killed fit left half-written."""
        path = Path(path)
        for left in path.parent.glob(".step-*.part.ckpt"):
            left.unlink()
        with appearing(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint to the CPU with ``weights_only=True``, whatever the arguments say.

        Raises:
            InputError: As ``read_checkpoint``.
        """
        return read_checkpoint(Path(path))


def checkpoint_path(run: Path, step: int) -> Path:
    """Return where the checkpoint of an optimizer step lies."""
    return run / "checkpoints" / f"step-{step:08d}.ckpt"


def last_checkpoint(run: Path) -> Path | None:
    """Return the checkpoint of the highest step, or None."""
    return max((run / "checkpoints").glob("step-*.ckpt"), default=None)


def resolve_checkpoint(ckpt_path: str | None, run: Path, command: str) -> str | None:
    """Return the file that ``ckpt_path`` means: itself, or the checkpoint of the highest step of a run.

    ``last`` is the run itself, a folder is another run. A fit from ``last`` with no checkpoint yet starts from nothing,
    so that one command serves to start and to resume.

    Raises:
        InputError: If there is no such file, or it is no checkpoint.
    """
    if ckpt_path is None:
        return None
    path: Path | None = Path(ckpt_path)
    if ckpt_path == "last" or Path(ckpt_path).is_dir():
        run = run if ckpt_path == "last" else Path(ckpt_path)
        path = last_checkpoint(run)
    if path is None:
        if command == "fit" and ckpt_path == "last":
            return None
        raise InputError(f"--ckpt_path: got {ckpt_path} but {run / 'checkpoints'} has none, want a run that was fitted")
    read_checkpoint(path, mmap=True)
    return str(path)


def read_checkpoint(path: Path, mmap: bool = False) -> dict[str, Any]:
    """Read a checkpoint to the CPU, refusing whatever is not a tensor or a plain value.

    Args:
        path: Of the file.
        mmap: Leave the numbers on disk until they are looked at.

    Raises:
        InputError: If it is missing, cut short, or no checkpoint of a fit.
    """
    if not path.is_file():
        raise InputError(f"--ckpt_path: got {path}, want a file that exists")
    try:
        content = read_pickle(path, mmap)
    except InputError as error:
        raise InputError(f"--ckpt_path: {error}") from error
    if not isinstance(content, dict) or not {"state_dict", "global_step"} <= content.keys():
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"--ckpt_path: {path}: got {found[:100]}, want the checkpoint of a fit")
    return content
