"""``manifest.json`` of a folder of clips: what made them, and the size and SHA-256 of every file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mvt4g.formats.atomic import appearing
from mvt4g.formats.checksums import sha256_of
from mvt4g.formats.parsing.json_files import read_json
from mvt4g.types import InputError

MANIFEST = "manifest.json"
FORMAT = "mvt4g clips"
VERSION = 1

FileRecords = dict[str, dict[str, int | str]]
"""``{"bytes": ..., "sha256": ...}`` of every file of a clip, by its path from the clip's folder."""


@dataclass(frozen=True)
class Manifest:
    """A checked ``manifest.json``.

    Attributes:
        made_by: All that the clips' bytes depend on: recipe, seed, format, versions.
        splits: Clips that each split is to have.
        clips: Files of every finished clip, by its folder from the root, as ``train/000000``.
    """

    made_by: Mapping[str, Any]
    splits: Mapping[str, int]
    clips: Mapping[str, FileRecords]


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder; it appears whole or not at all, equal manifests give equal bytes.

    Raises:
        InputError: If the place cannot be written to.
    """
    # Sorted keys give equal manifests equal bytes, whatever order the clips came in.
    content = {"format": FORMAT, "version": VERSION, **vars(manifest)}
    with appearing(root / MANIFEST) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_manifest(root: Path) -> Manifest:
    """Read and check the manifest of a folder.

    Raises:
        InputError: If there is none, it is of another kind, or it names a file outside the folder.
    """
    path = root / MANIFEST
    content = read_json(path, "a manifest of clips")
    is_ours = isinstance(content, dict) and content.get("format") == FORMAT
    if not is_ours or content.get("version") != VERSION:
        want = "a manifest of clips"
        raise InputError(f"{path}: format, version: got others than {(FORMAT, VERSION)}, want {want}")
    made_by = content.get("made_by")
    splits = content.get("splits")
    clips = content.get("clips")
    if not isinstance(made_by, dict):
        raise InputError(f"{path}: made_by: got {made_by!r}, want an object")
    if not isinstance(splits, dict) or not all(isinstance(count, int) for count in splits.values()):
        raise InputError(f"{path}: splits: got {splits!r}, want numbers of clips")
    if not isinstance(clips, dict):
        raise InputError(f"{path}: clips: got {type(clips).__name__}, want files by clip")
    for name, records in clips.items():
        _check_inside(path, "clips", name)
        if not isinstance(records, dict) or not all(map(_is_record, records.values())):
            want = "bytes and sha256 by file"
            raise InputError(f"{path}: clips.{name}: got {str(records)[:60]}, want {want}")
        for file in records:
            _check_inside(path, f"clips.{name}", file)
    return Manifest(made_by, splits, clips)


def record_files(folder: Path) -> FileRecords:
    """Return size and checksum of every file in a clip's folder."""
    records: FileRecords = {}
    for file in _files(folder):
        records[file] = {"bytes": (folder / file).stat().st_size, "sha256": sha256_of(folder / file)}
    return records


def sizes_agree(folder: Path, records: FileRecords) -> bool:
    """Say whether a clip's files are all there in their recorded sizes: a quick look, which reads none of them."""
    for file, record in records.items():
        path = folder / file
        if not path.is_file() or path.stat().st_size != record["bytes"]:
            return False
    return True


def file_faults(folder: Path, records: FileRecords) -> list[str]:
    """Return one line for every file that is missing, changed, or not in the manifest."""
    faults = []
    for file, record in records.items():
        path = folder / file
        if not path.is_file():
            faults.append(f"{path}: no such file, want what {MANIFEST} lists")
        elif (got := sha256_of(path)) != record["sha256"]:
            want = str(record["sha256"])[:16]
            faults.append(f"{path}: sha256: got {got[:16]}..., want {want}... as {MANIFEST} says")
    for file in _files(folder):
        if file not in records:
            faults.append(f"{folder / file}: got a file that {MANIFEST} does not list, want none")
    return faults


def _files(folder: Path) -> list[str]:
    """Return the paths of all files in a folder, from it, in order."""
    files = sorted(filter(Path.is_file, folder.rglob("*")))
    return [file.relative_to(folder).as_posix() for file in files]


def first_difference(got: Any, want: Any, key: str = "") -> str | None:
    """Return where two JSON values first differ, as ``key: got A, want B``; None where they do not."""
    if isinstance(got, Mapping) and isinstance(want, Mapping):
        for name in sorted({*got, *want}):
            deeper = first_difference(got.get(name), want.get(name), f"{key}.{name}" if key else name)
            if deeper is not None:
                return deeper
        return None
    return None if got == want else f"{key}: got {got!r}, want {want!r}"


def _check_inside(path: Path, key: str, name: str) -> None:
    # A manifest from a stranger must not have files read or removed elsewhere.
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise InputError(f"{path}: {key}: got {name!r}, want a path inside the folder")


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict):
        return False
    return isinstance(record.get("bytes"), int) and isinstance(record.get("sha256"), str)
