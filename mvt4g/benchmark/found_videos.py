"""The videos of every method in a folder: what their paths, an index, a table of clips or a manifest say of them.

    <dir>/<method>/...            one folder a method, in the layout of the program that wrote it
    <dir>/<method>/index.csv      file,clip,camera[,seed]: of videos whose names do not say it
    <dir>/<method>/manifest.json  of ``mvt4g benchmark generate``

If the folder itself holds videos that a layout finds, it is the one method.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mvt4g.benchmark.layout_choice import LayoutChoice
from mvt4g.benchmark.manifest import MANIFEST, read_manifest
from mvt4g.formats.foreign.video_layouts import ClipTable, VideoLayout
from mvt4g.formats.foreign.video_names import SUFFIXES, VideoName, read_name
from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.parsing.rows import read_table
from mvt4g.types import InputError

INDEX = "index.csv"


@dataclass(frozen=True)
class FoundVideo:
    """A video of a method, found or expected.

    Attributes:
        clip: What was seen.
        camera: From where it was to be seen; empty = nothing says it.
        seed: Of the generation; empty = nothing says it.
        path: The file; None = there is none.
        file: The file relative to the folder that is scored.
        strength: Factor on the camera's motion.
        status: Why it cannot be scored, a key of ``score_files.NOT_SCORED``; empty = nothing is against it so far.
        reason: The same in words.
        made: What the manifest says of it; None = there is no manifest.
    """

    clip: str
    camera: str
    seed: str = ""
    path: Path | None = None
    file: str = ""
    strength: float = 1.0
    status: str = ""
    reason: str = ""
    made: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """What estimators' files call it: clip, camera and seed, as far as they are known."""
        return self.clip + (f"_{self.camera}" if self.camera else "") + (f"_s{self.seed}" if self.seed else "")


@dataclass(frozen=True)
class Method:
    """The videos of one method.

    Attributes:
        name: Of its folder, with the variant that its names tell.
        layout: How they were read.
        folder: Holds them.
        videos: In natural order of their clips and cameras.
        notes: What a reader of the table should know.
    """

    name: str
    layout: VideoLayout
    folder: Path
    videos: tuple[FoundVideo, ...]
    notes: tuple[str, ...] = ()


def find_methods(root: Path, choice: LayoutChoice, only: Sequence[str] = ()) -> list[Method]:
    """Find the videos of all methods, by name; videos that one method has and another has not are there as missing.

    Args:
        root: Holds a folder for each method, or the videos of one.
        choice: Of layouts.
        only: Names of folders; empty = all that are not hidden.

    Raises:
        InputError: If there is no folder, a name of ``only`` is none, or an index, table or manifest is broken.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder, want one that holds a folder for each method")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    absent = set(only) - {folder.name for folder in folders}
    if absent:
        raise InputError(f"methods: got {min(absent)!r}, want folders of {root}: {', '.join(f.name for f in folders)}")
    own = None if only else choice.of_root(root.resolve().name, _video_files(root))
    methods: list[Method] = []
    if own is not None:
        methods += _methods_of(root, root, root.resolve().name, own)
    else:
        for folder in folders:
            if not only or folder.name in only:
                layout = choice.of_folder(folder.name, _video_files(folder))
                methods += _methods_of(root, folder, folder.name, layout)
    if not methods:
        raise InputError(f"{root}: got no folder, want one for each method")
    return _with_missing(methods)


def _video_files(folder: Path) -> list[str]:
    """Return the paths of all video files below a folder, with slashes, in natural order."""
    found = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix.lower() in SUFFIXES and not is_hidden and path.is_file():
            found.append(relative.as_posix())
    return sorted(found, key=natural_key)


def _methods_of(root: Path, folder: Path, name: str, layout: VideoLayout) -> list[Method]:
    """Return the methods in one folder: one, or one for each variant that its names tell."""
    index = _read_index(folder)
    manifest = {entry["file"]: entry for entry in _read_manifest(folder)}
    table = _read_clip_table(folder, layout.table)
    notes = () if table is not None or layout.table is None else (f"no {layout.table.file}: rows are not clips",)
    by_variant: dict[str, list[FoundVideo]] = {}
    for file in _video_files(folder):
        said = index.get(file) or _said_by(manifest.get(file)) or read_name(layout.patterns, file)
        where = (folder / file).relative_to(root).as_posix()
        if said is None:
            if read_name(layout.companions, file) is not None and read_name(layout.patterns, file) is None:
                continue
            reason = f"no name of layout {layout.name}: {' or '.join(layout.patterns)}"
            stray = FoundVideo(PurePosixPath(file).stem, "", "", folder / file, where, 1.0, "unnamed", reason)
            by_variant.setdefault("", []).append(stray)
            continue
        video = _found(said, layout, table, folder / file, where)
        by_variant.setdefault(said.variant, []).append(replace(video, made=manifest.get(file)))
    by_variant = by_variant or {"": []}
    for file, entry in manifest.items():
        if not (folder / file).is_file():
            said = _said_by(entry)
            assert said is not None, "an entry says what it is"
            reason = entry["reason"] or "the manifest has it, and the file is not there"
            lost = FoundVideo(said.clip, said.camera, said.seed, status="missing", reason=reason, made=entry)
            by_variant.setdefault("", []).append(lost)
    return [
        Method(f"{name}:{variant}" if variant else name, layout, folder, _told_apart(videos), notes)
        for variant, videos in sorted(by_variant.items())
    ]


def _found(
    said: VideoName, layout: VideoLayout, table: Mapping[str, tuple[str, str]] | None, path: Path, where: str
) -> FoundVideo:
    clip = said.clip
    camera = said.camera
    status = ""
    reason = ""
    key = said.row or said.entry
    if key and table is not None:
        if key in table:
            clip, of_table = table[key]
            camera = camera or of_table
        else:
            status = "unnamed"
            reason = f"got {key!r}, which {layout.table and layout.table.file} does not have"
    return FoundVideo(clip or said.entry or path.stem, camera, said.seed, path, where, said.strength, status, reason)


def _told_apart(videos: Sequence[FoundVideo]) -> tuple[FoundVideo, ...]:
    """Return the videos in order; of two of one clip, camera and seed, the second cannot be told from the first."""
    told: list[FoundVideo] = []
    first: dict[tuple[str, str, str], str] = {}
    for video in sorted(videos, key=lambda video: natural_key(f"{video.clip} {video.camera} {video.seed}")):
        key = (video.clip, video.camera, video.seed)
        other = first.setdefault(key, video.file)
        if other != video.file and not video.status:
            reason = f"clip, camera and seed are those of {other}; {INDEX} may tell them apart"
            video = replace(video, status="unnamed", reason=reason)
        told.append(video)
    return tuple(told)


def _with_missing(methods: Sequence[Method]) -> list[Method]:
    """Return the methods, each with what another one has and it has not, whatever the seed."""
    wanted: dict[tuple[str, str], None] = {}
    for method in methods:
        for video in method.videos:
            if video.status != "unnamed":
                wanted[video.clip, video.camera] = None
    completed = []
    for method in methods:
        there = {(video.clip, video.camera) for video in method.videos}
        reason = "another method has it"
        absent = [FoundVideo(*key, status="missing", reason=reason) for key in wanted if key not in there]
        completed.append(replace(method, videos=_told_apart([*method.videos, *absent])))
    return completed


def _read_index(folder: Path) -> dict[str, VideoName]:
    """Read what ``index.csv`` says of files; camera and seed may be empty.

    Raises:
        InputError: If it is broken, or names a file that is not there.
    """
    path = folder / INDEX
    if not path.is_file():
        return {}
    found = {}
    for row in read_table(path, ("file", "clip", "camera"), ("seed",), "video"):
        file = row.fields["file"].strip()
        if not (folder / file).is_file() or ".." in PurePosixPath(file).parts:
            raise InputError(f"{row.where}: got {file!r}, want a file below {folder}")
        clip, camera, seed = (row.fields.get(name, "").strip() for name in ("clip", "camera", "seed"))
        found[PurePosixPath(file).as_posix()] = VideoName(clip, camera, seed)
    return found


def _read_manifest(folder: Path) -> Sequence[Mapping[str, Any]]:
    return read_manifest(folder).videos if (folder / MANIFEST).is_file() else ()


def _said_by(entry: Mapping[str, Any] | None) -> VideoName | None:
    if entry is None:
        return None
    return VideoName(str(entry["clip"]), str(entry["camera"]), str(entry["seed"]))


def _read_clip_table(folder: Path, table: ClipTable | None) -> dict[str, tuple[str, str]] | None:
    """Return clip and camera by row number or name; None where there is no table.

    Raises:
        InputError: If the table is broken.
    """
    if table is None or not (folder / table.file).is_file():
        return None
    optional = [column for column in (table.name, table.camera) if column]
    found = {}
    for number, row in enumerate(read_table(folder / table.file, (table.clip, *optional), what="video")):
        key = row.fields[table.name].strip() if table.name else str(number)
        clip = PurePosixPath(row.fields[table.clip].strip()).stem
        found[key] = (clip, row.fields[table.camera].strip() if table.camera else "")
    return found
