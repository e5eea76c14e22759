"""Places of given videos: one file, a folder of frames, or many of them by a folder, a pattern or a list file."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.images import SUFFIXES
from mvt4g.formats.parsing.rows import read_lines
from mvt4g.types import InputError

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv",
                  ".3gp", ".3g2", ".ogv", ".ogg", ".gif", ".apng", ".m2ts", ".m2v", ".vob", ".asf", ".f4v", ".ivf",
                  ".mxf", ".y4m", ".nut")  # fmt: skip
LIST_SUFFIX = ".txt"
_NAMED = 3
"""Files that a warning names of many."""


def find_videos(place: Path) -> tuple[Path, ...]:
    """Return the videos that one option means, each a file or a folder of frames.

    A folder of images is one video; any other folder means the video files in it and the folders of frames in it, by
    name (2 before 10), and a warning names the files of other suffixes. Images and videos in one folder are refused:
    they may be frames or covers. A text file (.txt) lists a video a line, from its own folder; blank lines and lines
    that begin with # are skipped. A name with * ? or [ that is no file is a pattern; ** means folders at any depth.

    Raises:
        InputError: If the list cannot be read, nothing is found, a folder holds images and videos, or two videos have
            one name, by which results are called and drawn.
    """
    by_name: dict[str, Path] = {}
    for path in _resolve(place):
        other = by_name.setdefault(video_name(path), path)
        if other != path:
            raise InputError(f"{place}: got {other} and {path}, two videos of one name, want names that differ")
    return tuple(by_name.values())


def video_name(path: Path) -> str:
    """Return what a video's results are called: the file's name without its suffix, or the folder's."""
    return path.resolve().name if path.is_dir() else path.stem


def _resolve(place: Path) -> Sequence[Path]:
    """Return the videos that one option means, two of which may have one name."""
    if place.is_dir():
        return [place] if _holds_frames(place) else _find_in_folder(place)
    if place.suffix.lower() == LIST_SUFFIX:
        return _read_list(place)
    if not place.exists() and not set("*?[").isdisjoint(str(place)):
        # Path.glob takes no absolute pattern.
        root = Path("/") if place.is_absolute() else Path()
        paths = root.glob(str(place).removeprefix("/"))
        return _sort_some(place, filter(lambda path: path.is_dir() or path.suffix, paths))
    return [place]


def _find_in_folder(folder: Path) -> Sequence[Path]:
    meant = []
    others = []
    for path in _list_folder(folder):
        if path.is_dir():
            if _holds_frames(path):
                meant.append(path)
        elif path.is_file() and _is_video(path):
            meant.append(path)
        elif path.is_file():
            others.append(path.name)
    found = _sort_some(folder, meant)
    if others:
        named = ", ".join(others[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        warnings.warn(f"{folder}: left out {named}{more}: not of a suffix of videos", stacklevel=2)
    return found


def _list_folder(folder: Path) -> list[Path]:
    """Return what lies in a folder by name, without what is hidden."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _sort_some(place: Path, paths: Iterable[Path]) -> Sequence[Path]:
    """Return paths in the order of their numbers.

    Raises:
        InputError: If there are none.
    """
    ordered = sorted(paths, key=lambda path: natural_key(str(path)))
    if not ordered:
        raise InputError(f"{place}: got no image and no video, want frames or videos")
    return ordered


def _holds_frames(folder: Path) -> bool:
    """Say whether a folder is a video of images.

    Raises:
        InputError: If there are videos beside the images.
    """
    images = []
    videos = []
    for path in _list_folder(folder):
        if path.suffix.lower() in SUFFIXES:
            images.append(path)
        elif path.is_file() and _is_video(path):
            videos.append(path)
    if images and videos:
        got = f"images ({images[0].name}) and videos ({videos[0].name})"
        want = f'one kind, or a pattern: "{folder}/*{videos[0].suffix}"'
        raise InputError(f"{folder}: got {got} in one folder, want {want}")
    return bool(images)


def _read_list(path: Path) -> Sequence[Path]:
    videos = []
    for line in read_lines(path, "a list of videos, one a line"):
        name = line.text.strip()
        if name and not name.startswith("#"):
            videos.append(path.parent / name)
    if not videos:
        raise InputError(f"{path}: got no video, want one a line")
    return videos
