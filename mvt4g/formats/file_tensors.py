"""Tensors that lie in a file and not in memory: the system reads and writes the pages that are touched."""

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.atomic import write_error

LARGE = 2**30
"""Bytes from which ``roomy`` takes a file: 81 frames of 480x832 are 0.4 GB, 300 are 1.4 GB."""
FLOAT_BYTES = 4


def file_tensor(path: Path, shape: Sequence[int]) -> Float[Tensor, "..."]:
    """Return an fp32 tensor whose numbers are those of a file, made or lengthened where it is too short.

    What is written to the tensor is in the file, also when the process is killed.

    Raises:
        InputError: If the file cannot be written there.
        RunStopped: If the disk is full.
    """
    size = math.prod(shape)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            # Room is taken now: a page that finds none when it is written to ends the process by a signal.
            os.posix_fallocate(file.fileno(), 0, size * FLOAT_BYTES)
        whole = torch.from_file(str(path), shared=True, size=size, dtype=torch.float32)
    except OSError as error:
        raise write_error(path, error) from error
    return whole.reshape(*shape)


def roomy(*shape: int) -> Float[Tensor, "..."]:
    """Return an fp32 tensor for a video of any length: from LARGE on, in a file that has no name and goes with it.

    The file lies where the system keeps temporary files (TMPDIR).

    Raises:
        RunStopped: If that disk is full.
    """
    if math.prod(shape) * FLOAT_BYTES < LARGE:
        return torch.empty(*shape)
    descriptor, name = tempfile.mkstemp(prefix="mvt4g-video-")
    os.close(descriptor)
    try:
        return file_tensor(Path(name), shape)
    finally:
        os.unlink(name)
