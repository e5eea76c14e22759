"""The DAVIS 2016 and 2017 trees.

``ROOT/JPEGImages/<resolution>/<sequence>/*.jpg``, and where known ``ROOT/Annotations/<resolution>/<sequence>/*.png``
and ``ROOT/ImageSets/**/<set>.txt`` (2017: one name a line; 2016: image and mask paths a line).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.images import frame_paths
from mvt4g.formats.parsing.rows import read_lines
from mvt4g.formats.readers.folders import sub_folders
from mvt4g.types import InputError

_RESOLUTIONS = ("480p", "Full-Resolution", "1080p")


@dataclass(frozen=True)
class DavisSequence:
    """One sequence.

    Attributes:
        name: Its folder.
        frames: Image files in order.
        masks: The mask file of each frame, None where there is none.
    """

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path | None, ...]


def list_sequences(root: Path, names: Sequence[str] = (), resolution: str | None = None) -> tuple[DavisSequence, ...]:
    """List sequences of a DAVIS tree without reading an image.

    Args:
        root: Holds JPEGImages.
        names: Sequences, or sets of ImageSets ("val", "2019/test-dev"), in this order; empty = all, by name.
        resolution: Folder below JPEGImages; None = 480p, Full-Resolution or 1080p, whichever is there first.

    Raises:
        InputError: If the tree, a name or a sequence's frames are not there.
    """
    images = root / "JPEGImages"
    if not images.is_dir():
        raise InputError(f"{root}: got no JPEGImages folder, want a DAVIS root")
    resolution = resolution or _first_resolution(images)
    if not (images / resolution).is_dir():
        raise InputError(f"{images}: got no folder {resolution}, want one of {_folders(images)}")
    every = _folders(images / resolution)
    if not every:
        raise InputError(f"{images / resolution}: got no sequence folder, want at least one")
    chosen: dict[str, DavisSequence] = {}
    for name in names or every:
        for sequence in _expand(root, resolution, name, every):
            frames = frame_paths(images / resolution / sequence)
            masks = mask_paths(frames, root / "Annotations" / resolution / sequence)
            chosen.setdefault(sequence, DavisSequence(sequence, frames, masks))
    return tuple(chosen.values())


def _first_resolution(images: Path) -> str:
    folders = _folders(images)
    for name in _RESOLUTIONS:
        if name in folders:
            return name
    raise InputError(f"{images}: got folders {folders}, want one of {', '.join(_RESOLUTIONS)}")


def _expand(root: Path, resolution: str, name: str, every: Sequence[str]) -> list[str]:
    """Return the sequences that a name stands for: itself, or those of a set."""
    if name in every:
        return [name]
    # 2017 keeps its sets in ImageSets/2017, 2016 in the folder of a resolution.
    for folder in ("", "2017", resolution, "2016", "2019"):
        path = root / "ImageSets" / folder / f"{name}.txt"
        if path.is_file():
            listed = _sequences_of_set(path)
            absent = [sequence for sequence in listed if sequence not in every]
            if absent or not listed:
                want = f"names of folders in JPEGImages/{resolution}"
                raise InputError(f"{path}: got sequences {absent}, want {want}")
            return listed
    want = f"one of {_shorten(every)}, or a set of ImageSets"
    raise InputError(f"{root}: got no sequence or set {name!r}, want {want}")


def _sequences_of_set(path: Path) -> list[str]:
    """Read a set: a line is a name, or (2016) paths of image and mask and flags, and the image's folder is the name.

    Raises:
        InputError: Naming file and line: several words that are no paths. Part of a name would pass for all of it.
    """
    names: list[str] = []
    for line in read_lines(path, "a set of DAVIS: a name a line"):
        words = line.text.split()
        if not words:
            continue
        if len(words) > 1 and "/" not in words[0]:
            want = "one name, or the paths of image and mask"
            raise InputError(f"{line.where}: got {line.text[:60]!r}, want {want}")
        names.append(Path(words[0]).parent.name if "/" in words[0] else words[0])
    return list(dict.fromkeys(names))


def mask_paths(frames: Sequence[Path], folder: Path) -> tuple[Path | None, ...]:
    """Return the mask of every frame, which has the frame's name but for leading zeros; None where there is none."""
    masks = folder.glob("*.png") if folder.is_dir() else ()
    # Some trees number masks 00000 and frames 0.
    by_number = {natural_key(mask.stem): mask for mask in masks}
    return tuple(by_number.get(natural_key(frame.stem)) for frame in frames)


def _folders(parent: Path) -> list[str]:
    return [folder.name for folder in sub_folders(parent)]


def _shorten(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" ... ({len(names)} in all)" if len(names) > 10 else "")
