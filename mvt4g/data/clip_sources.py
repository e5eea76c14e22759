"""Sources of multi-view clips: generated scenes and what lies on disk in any format, behind one face."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from mvt4g.formats.readers.pseudo_track_filter import PseudoTrackFilter
from mvt4g.formats.readers.reader import Reader
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.ranges import Positive
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import InputError, MultiViewClip

Split = Literal["train", "val", "test"]

GENERATED = "generated"
"""Name of a source of generated scenes that is given none."""
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@runtime_checkable
class ClipSource(Protocol):
    """Clips by number; what is not asked for is not read where the format allows it."""

    @property
    def names(self) -> Sequence[str]:
        """What clips are called."""

    def __len__(self) -> int:
        """Return the number of clips."""

    def count(self, index: int, /) -> tuple[int, int]:
        """Return how many views and frames a clip has.

        Raises:
            InputError: If it is broken.
        """

    def read(self, index: int, selection: Selection = EVERYTHING, /) -> MultiViewClip:
        """Return a clip, or the views and frames of it that are asked for.

        Raises:
            InputError: If it is broken or cannot be made.
        """


@dataclass(frozen=True)
class SourceSpec:
    """Where clips come from, and how often.

    Attributes:
        path: Of a folder or file in any format that ``formats.readers.registry`` knows; None = generated scenes.
        format: Its name there; None = told by the layout.
        reader: One of your own, in place of ``format``.
        scene: Recipe of the generated scenes; None = the datamodule's.
        name: In clips' names and log keys; None = the last part of ``path``, or "generated".
        weight: How often its turn comes, relative to the other sources of the split.
        split: What it serves: train, val or test.
        pseudo_tracks: Which tracks are trusted, for a path that holds pseudo-tracks; None = the rule's defaults.
    """

    path: Path | None = None
    format: str | None = None
    reader: Reader | None = None
    scene: SceneSpec | None = None
    name: str | None = None
    weight: Positive = 1.0
    split: Split = "train"
    pseudo_tracks: PseudoTrackFilter | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: If a name cannot be part of a key, a weight is not over 0, or both path and scene are given.
        """
        where = "sampling.sources"
        called = self.called
        if not _NAME.fullmatch(called):
            want = "letters, digits, '_', '-' and '.' (give the source a name)"
            raise InputError(f"{where}.name: got {called!r}, want {want}")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise InputError(f"{where}.weight: got {self.weight} for {called}, want a number over 0")
        if self.reader is not None and (self.path is None or self.format is not None):
            raise InputError(f"{where}.reader: got one for {called}, want it with a path and without a format")
        if self.path is None and self.format is not None:
            raise InputError(f"{where}.format: got {self.format!r} for {called}, want it with a path only")
        if self.path is None and self.pseudo_tracks is not None:
            raise InputError(f"{where}.pseudo_tracks: got a rule for {called}, want it with a path only")
        if self.path is not None and self.scene is not None:
            raise InputError(f"{where}: got path {self.path} and a scene for {called}, want one of them")

    @property
    def called(self) -> str:
        """The name."""
        return self.name or (GENERATED if self.path is None else Path(self.path).resolve().name)


@dataclass(frozen=True)
class OpenSource:
    """A source that is ready to give clips.

    Attributes:
        name: In clips' names; "" leaves them as they are.
        clips: At least one.
        weight: See ``SourceSpec``.
        root: Where they lie; None = they are generated.
    """

    name: str
    clips: ClipSource
    weight: float = 1.0
    root: Path | None = None

    def where(self, index: int) -> str:
        """Return what messages call a clip."""
        if self.root is None:
            return f"{self.name or 'clip'} {index}"
        return str(self.root / self.clips.names[index])


def check_sources(specs: Iterable[SourceSpec]) -> None:
    """Check that sources of one split differ in name.

    Raises:
        InputError: If two have the same.
    """
    names: set[tuple[Split, str]] = set()
    for spec in specs:
        if (spec.split, spec.called) in names:
            raise InputError(f"sampling.sources.name: got {spec.called!r} twice for {spec.split}, want two names")
        names.add((spec.split, spec.called))


def open_path(
    path: Path,
    format: str | None = None,
    rule: PseudoTrackFilter | None = None,
    reader: Reader | None = None,
) -> ClipSource:
    """Open a source on disk without reading a clip.

    Args:
        path: Of the clips.
        format: As ``SourceSpec``.
        rule: As ``SourceSpec.pseudo_tracks``.
        reader: As ``SourceSpec``.

    Raises:
        InputError: If it is not there, of no known format, or empty, or there is a rule for another format.
    """
    # Readers need PyAV, which training on generated scenes or from a cache does without.
    from mvt4g.formats.readers.registry import filter_tracks, open_source

    clips = open_source(path, format, reader=reader)
    if not len(clips):
        raise InputError(f"{path}: got no clip, want at least one")
    return clips if rule is None else filter_tracks(clips, rule)
