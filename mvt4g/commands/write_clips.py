"""``mvt4g write-clips``: generated clips in a folder, by many processes, resumable, every byte accounted for."""

import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from mvt4g import __version__
from mvt4g.commands.resumable import SAVE_EVERY_S, clip_progress, locked, read_begun
from mvt4g.commands.worker_pool import run_in_processes
from mvt4g.data.kubric import FIRST_INDEX, MAX_CLIPS
from mvt4g.formats.atomic import is_leftover
from mvt4g.formats.clip_folder import ClipExtras, ClipStorage, write_clip_folder
from mvt4g.formats.clip_folder_header import read_header
from mvt4g.formats.exports.mvtracker import write_mvtracker_scene
from mvt4g.formats.manifest import (
    FileRecords,
    Manifest,
    record_files,
    sizes_agree,
    write_manifest,
)
from mvt4g.synthetic.spec import RECIPE_VERSION, SceneSpec
from mvt4g.types import InputError

ClipFormat = Literal["clip_folder", "mvtracker"]

GENERATOR = "mvt4g.synthetic.generate"
_MVTRACKER_SPLITS = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class ClipTask:
    """One clip to write; all that its bytes depend on.

    Attributes:
        name: Its folder from the root.
        folder: Where it goes.
        scene: The recipe.
        seed: Of the recipe's clips.
        index: Of the clip.
        format: How it is written.
        storage: What a clip folder may give up.
        made_by: What is written beside it.
    """

    name: str
    folder: Path
    scene: SceneSpec
    seed: int
    index: int
    format: ClipFormat
    storage: ClipStorage
    made_by: dict[str, Any]


def write_clips(
    out: Path,
    scene: SceneSpec = SceneSpec(),
    train: int = 0,
    val: int = 0,
    test: int = 0,
    seed: int = 0,
    workers: int = 1,
    format: ClipFormat = "clip_folder",
    storage: ClipStorage = ClipStorage(),
) -> int:
    """Generate clips and write them to a folder. A run that was stopped goes on when the same command is given again.

    Args:
        out: Takes train/, val/, test/ and manifest.json. It must be empty, or hold clips of the same recipe, seed,
            format and versions; then more clips may be asked for than before.
        scene: The recipe: a recipe's name, a YAML file of its values or of a datamodule with a scene; each value can be
            set by itself too, as --scene.num_frames 24.
        train: Training clips.
        val: Validation clips; no split shares a clip with another.
        test: Test clips.
        seed: Of all clips.
        workers: Processes that make clips, one thread each; 0 makes them in this process. It changes no byte.
        format: clip_folder is our own (docs/clip_folder.md), mvtracker is MVTracker's kubric-multiview layout.
        storage: What a clip folder may give up for size.

    Returns:
        The exit code, 0.

    Raises:
        InputError: If a number is out of range, or the folder holds other things, or cannot be written to.
    """
    counts = {"train": train, "val": val, "test": test}
    if not all(0 <= count <= MAX_CLIPS for count in counts.values()) or not any(counts.values()):
        raise InputError(f"train, val, test: got {train}, {val}, {test}, want 0 to {MAX_CLIPS} clips, one at least")
    if seed < 0 or workers < 0:
        raise InputError(f"seed, workers: got {seed}, {workers}, want both >= 0")
    made_by = _made_by(scene, seed, format, storage)
    with locked(out, "write-clips"):
        manifest = _begin(out, made_by, counts)
        finished = {}
        missing = []
        for split, first_index in FIRST_INDEX.items():
            for number in range(counts[split]):
                name = _clip_name(split, number, format)
                task = ClipTask(name, out / name, scene, seed, first_index + number, format, storage, made_by)
                records = _finished_files(task, manifest)
                if records:
                    finished[name] = records
                else:
                    missing.append(task)
        _write_missing(out, replace(manifest, clips=finished), missing, workers)
    sys.stdout.write(f"{out}: {len(finished) + len(missing)} clips, {len(missing)} of them written now\n")
    return 0


def make_clip(task: ClipTask) -> FileRecords:
    """Generate and write one clip and return what its files are.

    Raises:
        InputError: If the recipe cannot be generated, or the place cannot be written to.
    """
    from mvt4g.synthetic.generate import generate_scene  # as GENERATOR: loaded by those who make clips alone

    torch.set_num_threads(1)
    made = generate_scene(task.scene, task.seed, task.index)
    extras = ClipExtras(made.normals, made.world_from_object, made.collisions)
    made_by = {**task.made_by, "index": task.index}
    if task.format == "mvtracker":
        write_mvtracker_scene(task.folder, made.clip, extras, made_by)
    else:
        write_clip_folder(task.folder, made.clip, extras, task.storage, made_by)
    return record_files(task.folder)


def _write_missing(out: Path, manifest: Manifest, missing: list[ClipTask], workers: int) -> None:
    """Make clips and keep the manifest up to date, whatever happens."""
    clips = dict(manifest.clips)
    saved = time.monotonic()
    try:
        with clip_progress(len(manifest.clips) + len(missing), len(manifest.clips)) as progress:
            for task, records in run_in_processes(make_clip, missing, workers, (GENERATOR,)):
                clips[task.name] = records
                progress.advance(progress.task_ids[0])
                if time.monotonic() - saved > SAVE_EVERY_S:
                    write_manifest(out, replace(manifest, clips=clips))
                    saved = time.monotonic()
    finally:
        write_manifest(out, replace(manifest, clips=clips))


def _made_by(scene: SceneSpec, seed: int, format: ClipFormat, storage: ClipStorage) -> dict[str, Any]:
    """Return all that the clips' bytes depend on, as it comes back from JSON."""
    versions = {"mvt4g": __version__}
    for package in ("torch", "numpy", "mujoco", "open3d", "av", "pillow"):
        versions[package] = version(package)
    made_by = {
        "recipe_version": RECIPE_VERSION,
        "scene": _describe(scene),
        "seed": seed,
        "output": format,
        "storage": asdict(storage) if format == "clip_folder" else None,
        "versions": versions,
    }
    content: dict[str, Any] = json.loads(json.dumps(made_by))
    return content


def _describe(value: Any) -> Any:
    """Return a spec as JSON holds it, with the names of its classes: two may have fields alike."""
    if is_dataclass(value):
        content = {"class": type(value).__name__}
        for field in fields(value):
            content[field.name] = _describe(getattr(value, field.name))
        return content
    return list(map(_describe, value)) if isinstance(value, list | tuple) else value


def _begin(out: Path, made_by: dict[str, Any], counts: dict[str, int]) -> Manifest:
    """Return the manifest of a folder that is new, or was begun with the same command.

    Raises:
        InputError: If it holds something else, or clips made otherwise.
    """
    # Clips appear in the folders of the splits: what a killed run left half-written lies there or at the top.
    for place in (out, *filter(Path.is_dir, out.iterdir())):
        for path in filter(is_leftover, place.iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    manifest = read_begun(out, made_by, "the clips")
    if manifest is None:
        manifest = Manifest(made_by, counts, {})
    for split, before in manifest.splits.items():
        count = counts.get(split, 0)
        if count < before:
            raise InputError(f"{split}: got {count}, want {before} or more: {out} was begun with them")
    manifest = replace(manifest, splits=counts)
    write_manifest(out, manifest)
    return manifest


def _finished_files(task: ClipTask, manifest: Manifest) -> FileRecords | None:
    """Return the files of a clip that is there; what is left of a damaged one is removed.

    A clip that the manifest knows is looked at for the sizes of its files, another is read whole.
    """
    if not task.folder.exists():
        return None
    known = manifest.clips.get(task.name)
    if known is not None and sizes_agree(task.folder, known):
        return known
    if known is None:
        records = record_files(task.folder)
        if task.format == "mvtracker" or _agrees_with_itself(task.folder, records):
            return records
    shutil.rmtree(task.folder)
    return None


def _agrees_with_itself(folder: Path, records: FileRecords) -> bool:
    try:
        files = read_header(folder).files
    except InputError:
        return False
    digests = {file: record["sha256"] for file, record in records.items()}
    return files.items() <= digests.items()


def _clip_name(split: str, number: int, format: ClipFormat) -> str:
    return f"{_MVTRACKER_SPLITS[split]}/{number}" if format == "mvtracker" else f"{split}/{number:06d}"
