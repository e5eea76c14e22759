"""TensorBoard's files of a run: how far they were written at a checkpoint, and brought back to there."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from mvt4g.formats.atomic import flush_to_disk

PATTERN = "events.out.tfevents.*"


def event_files(folder: Path) -> list[Path]:
    """Return the event files of a folder."""
    return sorted(folder.glob(PATTERN))


def written_events(trainer: Trainer, folder: Path) -> dict[str, int]:
    """Write out what the trainer's loggers hold, and return the size of every event file in bytes."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
    files = event_files(folder)
    for path in files:
        flush_to_disk(path)
    return {path.name: path.stat().st_size for path in files}


def rewind_events(files: Iterable[Path], sizes: Mapping[str, int]) -> None:
    """Bring event files back to what they were at a checkpoint, so that no step is in them twice.

    Args:
        files: Those that were there when the resumed fit began.
        sizes: Bytes of each at the checkpoint. What is longer is cut, what is not named came later and is removed.
    """
    for path in files:
        size = sizes.get(path.name)
        if size is None:
            path.unlink(missing_ok=True)
        elif path.exists() and path.stat().st_size > size:
            os.truncate(path, size)
