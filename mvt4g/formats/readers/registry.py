"""All formats of clips that can be read, found by what lies on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from mvt4g.formats.readers import (
    clip_caches,
    clip_folders,
    cotracker_kubric,
    iphone,
    kubric_4d,
    kubric_worker,
    multicamvideo,
    mvtap_kubric,
    mvtracker,
    pseudo_tracks,
    tapvid,
)
from mvt4g.formats.readers.pseudo_track_filter import PseudoTrackFilter
from mvt4g.formats.readers.reader import Reader
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.types import InputError, MultiViewClip


@dataclass(frozen=True)
class Format(Reader):
    """A reader made of a module's functions.

    Attributes:
        layout: What is looked for, in words.
        looks_like: As ``Reader.is_there``; the others likewise.
    """

    layout: str
    looks_like: Callable[[Path], bool]
    lists: Callable[[Path], Sequence[Any]]
    counts: Callable[[Any], tuple[int, int]]
    reads: Callable[[Any, Selection], MultiViewClip]

    def is_there(self, path: Path) -> bool:
        """Return whether a path holds clips of the format."""
        return self.looks_like(path)

    def list_clips(self, path: Path) -> Sequence[Any]:
        """Return the clips at or below a path."""
        return self.lists(path)

    def count(self, clip: Any) -> tuple[int, int]:
        """Return views and frames of a clip."""
        return self.counts(clip)

    def read(self, clip: Any, selection: Selection = EVERYTHING) -> MultiViewClip:
        """Return a clip."""
        return self.reads(clip, selection)


def _made_of(module: ModuleType, layout: str) -> Format:
    return Format(layout, module.is_there, module.list_clips, module.count, module.read)


FORMATS: dict[str, Reader] = {
    "clip_folder": _made_of(clip_folders, "our own: clip.json"),
    "pseudo_tracks": _made_of(pseudo_tracks, "tracks of your own tracker: pseudo_tracks.npz, view_0.mp4"),
    "mvtracker": _made_of(mvtracker, "MVTracker's kubric-multiview: tracks_3d.npz, view_0/metadata.json"),
    "kubric_4d": _made_of(kubric_4d, "Kubric-4D: scn00000_p0_v0.json, frames_p0_v0/"),
    "mvtap_kubric": _made_of(mvtap_kubric, "MV-TAP's Kubric: frames/<name>/<view>/, stacked_tracks/<name>/"),
    "cotracker_kubric": _made_of(cotracker_kubric, "CoTracker3_Kubric: 0000/0000.npy, 0000/frames/"),
    "multicamvideo": _made_of(multicamvideo, "MultiCamVideo: videos/cam01.mp4, cameras/camera_extrinsics.json"),
    "iphone": _made_of(iphone, "DyCheck's iPhone scenes: camera/0_00000.json, rgb/2x/"),
    "kubric_worker": _made_of(kubric_worker, "a Kubric worker's output: metadata.json, rgba_00000.png"),
    "tapvid": _made_of(tapvid, "TAP-Vid: .pkl"),
    "clip_cache": _made_of(clip_caches, "our cache: .npz"),
}
"""By name, in the order in which ``detect`` tries them: what is told apart most surely first."""


@dataclass(frozen=True)
class ClipFiles:
    """The clips at or below a path, a ``data.clip_sources.ClipSource``.

    Attributes:
        root: The path.
        format: Its format's name.
        names: What clips are called: where they lie below the root.
        clips: What the reader takes.
        reader: Of the format.
    """

    root: Path
    format: str
    names: tuple[str, ...]
    clips: tuple[Any, ...]
    reader: Reader

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    def __getitem__(self, index: int) -> MultiViewClip:
        """Return a whole clip."""
        return self.read(index)

    def count(self, index: int) -> tuple[int, int]:
        """Return how many views and frames a clip has, without reading a frame.

        Raises:
            InputError: If the clip is broken.
        """
        return self.reader.count(self.clips[index])

    def read(self, index: int, selection: Selection = EVERYTHING) -> MultiViewClip:
        """Read a clip, or some views and frames of it.

        Raises:
            InputError: Naming file and field, if the clip is broken or has no such view or frame.
        """
        return replace(self.reader.read(self.clips[index], selection), name=self.names[index])


def filter_tracks(source: ClipFiles, rule: PseudoTrackFilter) -> ClipFiles:
    """Return a source of pseudo-tracks of which those are believed that a rule allows.

    Raises:
        InputError: If the source has another format.
    """
    if source.format != "pseudo_tracks":
        raise InputError(f"{source.root}: pseudo_tracks: got a rule for clips of format {source.format}, want none")
    return replace(source, clips=tuple(clip._replace(filter=rule) for clip in source.clips))


def detect(path: Path) -> str:
    """Return the name of the format of what lies at or below a path.

    Raises:
        InputError: If nothing is there, or nothing of a known format.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, want clips")
    # In the order of the table: some layouts hold what would pass for another one.
    for name, known in FORMATS.items():
        if known.is_there(path):
            return name
    looked_for = "; ".join(f"{name} ({known.layout})" for name, known in FORMATS.items())
    raise InputError(f"{path}: got no clip of a known format there, want one of: {looked_for}")


def open_source(
    path: Path, format: str | None = None, names: Sequence[str] | None = None, reader: Reader | None = None
) -> ClipFiles:
    """List the clips at or below a path; none is read (but see ``readers/tapvid.py``).

    Args:
        path: A clip, or a folder of clips.
        format: A name among ``FORMATS``; None = what ``detect`` says.
        names: Only these clips, in this order; None = all.
        reader: One of one's own, in place of ``format``.

    Raises:
        InputError: If there is no such path, format, clip or name.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f"format: got {format!r}, want one of {', '.join(FORMATS)}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, want clips")
    if reader is None:
        format = format or detect(path)
        reader = FORMATS[format]
    clips = {_name(path, clip): clip for clip in reader.list_clips(path)}
    if names is not None:
        strange = sorted(set(names) - clips.keys())
        if strange or not names:
            some = ", ".join(list(clips)[:5])
            more = f" ... ({len(clips)} in all)" if len(clips) > 5 else ""
            raise InputError(f"{path}: names: got {strange}, want some of {some}{more}")
        clips = {name: clips[name] for name in names}
    return ClipFiles(path, format or type(reader).__name__, tuple(clips), tuple(clips.values()), reader)


def _name(root: Path, clip: Any) -> str:
    key = f"/{clip.key}" if isinstance(clip, tapvid.TapVidClip) else ""
    path = clip if isinstance(clip, Path) else clip.path
    below = path.relative_to(root).as_posix() if path != root else path.name
    return f"{below}{key}"
