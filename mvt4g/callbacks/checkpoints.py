"""Checkpoint files as the trainer writes and reads them: whole, and of tensors and plain values alone."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.rank_zero import rank_zero_only

from mvt4g.callbacks.checkpoint_content import check_content
from mvt4g.formats.atomic import DISK_FULL, appearing, flush_to_disk
from mvt4g.formats.checkpoint_files import check_whole as check_whole
from mvt4g.formats.checkpoint_files import checkpoint_path as checkpoint_path
from mvt4g.formats.checkpoint_files import last_checkpoint as last_checkpoint
from mvt4g.formats.checkpoint_files import read_checkpoint as read_checkpoint
from mvt4g.formats.checkpoint_files import step_checkpoints as step_checkpoints
from mvt4g.types import InputError, RunStopped


class CheckpointFiles(TorchCheckpointIO):
    """Reads and writes checkpoints for the trainer.

    Lightning writes beside the system's temporary files and moves the result, which copies it where the run folder is
    on another disk: killed in the middle, that leaves a broken file under the final name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint that appears whole or not at all, in place of what a killed fit left half-written.

        It is on the disk before it gets its name: after a power cut too, a checkpoint is whole or not there.

        Raises:
            RunStopped: If something in it is not finite, or it cannot be written.
        """
        path = Path(path)
        if name := first_not_finite(checkpoint):
            raise RunStopped(f"{path}: not written, for {name} is not finite; {_left(path)}")
        for left in path.parent.glob(".*.part.ckpt"):
            left.unlink(missing_ok=True)
        try:
            with appearing(path) as temporary:
                with temporary.open("wb") as file:
                    torch.save(checkpoint, file)
                flush_to_disk(temporary)
            flush_to_disk(path.parent)
        except (OSError, RuntimeError, InputError) as error:
            # torch wraps what the file system said, and says itself where in its own source it noticed.
            if isinstance(error, RunStopped):
                raise
            raise RunStopped(f"{path}: cannot be written ({_reason(error)}); {_left(path)}") from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint to the CPU with ``weights_only=True``, whatever the arguments say.

        Raises:
            InputError: As ``read_checkpoint``.
        """
        return read_checkpoint(Path(path))


def resolve_checkpoint(ckpt_path: str | None, run: Path, command: str) -> str | None:
    """Return the file that ``ckpt_path`` means: itself, or the last whole checkpoint of a run.

    ``last`` is the run itself, a folder is another run. Of these the checkpoint of the highest step is taken, or if
    that is damaged the one before it, and stderr says so. A fit from ``last`` with no checkpoint yet starts from
    nothing and says so, so that one command serves to start and to resume.

    Raises:
        InputError: If there is no such file, it is damaged, or it is no checkpoint that the command can use.
    """
    if ckpt_path is None:
        return None
    if ckpt_path != "last" and not Path(ckpt_path).is_dir():
        check_content(check_whole(Path(ckpt_path)), ckpt_path, command)
        return ckpt_path
    run = run if ckpt_path == "last" else Path(ckpt_path)
    paths = [*step_checkpoints(run).values()][::-1]
    if not paths:
        if command == "fit" and ckpt_path == "last":
            say(f"--ckpt_path last: {run} has no checkpoint yet, so a new fit begins")
            return None
        want = "a run that was fitted"
        raise InputError(f"--ckpt_path: got {ckpt_path} but {run / 'checkpoints'} has none, want {want}")
    damage = []
    for path in paths:
        try:
            content = check_whole(path)
        except InputError as error:
            damage.append(str(error))
            continue
        for told in damage:
            warn(f"{told}; going on from {path.name}")
        check_content(content, str(path), command)
        return str(path)
    raise InputError(f"{damage[0]}; no checkpoint in {run / 'checkpoints'} is whole")


def first_not_finite(content: Any) -> str | None:
    """Return the name of the first tensor in nested mappings and lists that is not finite, or None.

    Single numbers of callbacks are not looked at: the best score so far is infinite before there is one.

    One value a tensor is looked at, its largest size, and all of a device together: one wait for it.
    """
    names: dict[torch.device, list[str]] = {}
    largest: dict[torch.device, list[torch.Tensor]] = {}
    for name, tensor in _tensors(content):
        keeps_a_score = name.startswith("callbacks/") and not tensor.ndim
        if tensor.is_floating_point() and tensor.numel() and not keeps_a_score:
            names.setdefault(tensor.device, []).append(name)
            # NaN and infinity go through a maximum, and unlike a sum it cannot overflow.
            size = torch.linalg.vector_norm(tensor, ord=float("inf"))
            largest.setdefault(tensor.device, []).append(size.float())
    for device, values in largest.items():
        bad = (~torch.isfinite(torch.stack(values))).nonzero().flatten().tolist()
        if bad:
            return names[device][bad[0]]
    return None


def is_first_process() -> bool:
    """Say whether this process is the first of its run's ranks, by what its launcher put into the environment."""
    return getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") in ("", "0")


def say(line: str) -> None:
    """Write a line on stdout, on the first rank alone."""
    if is_first_process():
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def warn(line: str) -> None:
    """Write a line on stderr, on the first rank alone."""
    if is_first_process():
        sys.stderr.write(f"mvt4g: {line}\n")


def _tensors(tree: Any, name: str = "") -> Iterator[tuple[str, Shaped[torch.Tensor, "..."]]]:
    """Yield the tensors of nested mappings and lists, each with its path."""
    if isinstance(tree, torch.Tensor):
        yield name, tree
    elif isinstance(tree, dict | list | tuple):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _tensors(value, f"{name}/{key}" if name else str(key))


def _left(path: Path) -> str:
    """Say which checkpoint stays the last one."""
    last = last_checkpoint(path.parent.parent)
    return "there is no earlier checkpoint" if last is None else f"the last checkpoint stays {last.name}"


def _reason(error: Exception) -> str:
    """Return what the file system said, of an error or of what it was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            full = cause.errno in DISK_FULL
            return f"{cause.strerror or cause}{', want room on its disk' if full else ''}"
        cause = cause.__cause__ or cause.__context__
    return str(error).partition("\n")[0][:150]
