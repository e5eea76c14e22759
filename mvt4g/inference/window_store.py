"""What is kept of a long video between its windows: in memory, or in a folder that a killed command goes on from."""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from mvt4g import __version__
from mvt4g.formats.atomic import appearing
from mvt4g.formats.file_tensors import FLOAT_BYTES, file_tensor, roomy
from mvt4g.formats.weights import read_pickle
from mvt4g.types import InputError

FRAMES = "frames.bin"
PROGRESS = "progress.pt"


@dataclass(frozen=True)
class WindowProgress:
    """How far a long video is; all on the CPU.

    Attributes:
        done: Windows that are generated.
        tail: The last one's frames that the next window shares, which are not final.
        tracks: The state of the tracks that are carried on (``CarriedTracks``).
    """

    done: int
    tail: Float[Tensor, "shared 3 h w"]
    tracks: Mapping[str, Shaped[Tensor, "..."]]


class WindowStore:
    """Keeps the frames that are final for as long as they are used, and nothing that could be gone on from."""

    def open(self, shape: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
        """Return the tensor (t 3 h w) that takes final frames, those of finished windows in it."""
        return roomy(*shape)

    def load(self) -> WindowProgress | None:
        """Return how far the windows in the tensor of ``open`` are; None = nothing is done."""
        return None

    def save(self, progress: WindowProgress) -> None:
        """Take note that one more window is done, whose final frames are in the tensor."""


class WindowFolder(WindowStore):
    """Keeps final frames in a file, and beside it how far they go: a killed command goes on after its last window.

    Args:
        folder: Of one result; made when the first window is done.
        inputs: All that the result depends on, as JSON holds it. Windows of other inputs, of another version of the
            package or of torch, or of another shape are not gone on from: they are made anew.
    """

    def __init__(self, folder: Path, inputs: Mapping[str, Any]) -> None:
        self.folder = folder
        made_by = {"mvt4g": __version__, "torch": torch.__version__}
        text = json.dumps({"inputs": inputs, "versions": made_by}, sort_keys=True, default=str)
        self.key = hashlib.sha256(text.encode()).hexdigest()
        self._shape: list[int] = []

    def open(self, shape: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
        """Return the tensor of the file.

        Raises:
            InputError: If the folder cannot be written to.
            RunStopped: If the disk is full.
        """
        self._shape = list(shape)
        if self._read() is None:
            self.remove()
        return file_tensor(self.folder / FRAMES, shape)

    def load(self) -> WindowProgress | None:
        """Return how far the windows in the file are."""
        content = self._read()
        return None if content is None else WindowProgress(content["done"], content["tail"], content["tracks"])

    def save(self, progress: WindowProgress) -> None:
        """Take note of one more window; the note appears whole or not at all."""
        content = {"key": self.key, "shape": self._shape, **vars(progress)}
        with appearing(self.folder / PROGRESS) as temporary:
            torch.save(content, temporary)

    def remove(self) -> None:
        """Remove the folder; a tensor of ``open`` stays as it is."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self) -> dict[str, Any] | None:
        frames = self.folder / FRAMES
        if not frames.is_file() or frames.stat().st_size != math.prod(self._shape) * FLOAT_BYTES:
            return None
        try:
            content = read_pickle(self.folder / PROGRESS)
        except InputError:  # missing or damaged: it costs the windows, not the run
            return None
        same = isinstance(content, dict) and content.get("key") == self.key and content.get("shape") == self._shape
        return content if same else None
