"""The protocol of a reader of clips, which the known formats follow, and those of one's own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.types import MultiViewClip


class Reader(ABC):
    """Reads one format of clips; build one of your own on this class and name it as ``sampling.sources.reader``.

    What stands for a clip is its path, or anything with a ``path``; it crosses to worker processes.

    Attributes:
        layout: What is looked for, in words.
    """

    layout: str

    @abstractmethod
    def is_there(self, path: Path) -> bool:
        """Return whether a path holds clips of the format, by a look at names."""

    @abstractmethod
    def list_clips(self, path: Path) -> Sequence[Any]:
        """Return the clips at or below a path; each is what ``count`` and ``read`` take.

        Raises:
            InputError: If there is none.
        """

    @abstractmethod
    def count(self, clip: Any) -> tuple[int, int]:
        """Return views and frames of a clip, no frame read.

        Raises:
            InputError: If it is broken.
        """

    @abstractmethod
    def read(self, clip: Any, selection: Selection = EVERYTHING) -> MultiViewClip:
        """Return a clip, or the views and frames of it that are asked for.

        Raises:
            InputError: Naming file and field, if the clip is broken or has no such view or frame.
        """
