"""Kubric-4D (GCD): one simulation of a Kubric scene seen by 16 static cameras.

    <root>/scn00000/scn00000_p0_v<view>.json      metadata: scene, camera, instances
                    frames_p0_v<view>/rgba_%05d.png  depth_%05d.tiff  segmentation_%05d.png

``p<number>`` counts perturbed simulations of one scene: each is a clip of its own. Ids are the same in all views. It
has no tracks: ``tracks``, ``visible``, ``points_world`` and ``point_instance`` are None.

Source: basilevh/gcd, ``data-gen/export_kub_mv.py``, ``data-gen/kubric_sim.py`` (layout; no code was copied).
"""

import re
from pathlib import Path

from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.readers.fields import read_json_object
from mvt4g.formats.readers.folders import find_folders, holds_folder
from mvt4g.formats.readers.kubric_view import count_frames, read_view, stack_views
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.formats.readers.track_fields import stacked_if_all
from mvt4g.types import InputError, MultiViewClip


def is_there(path: Path) -> bool:
    """Say whether a scene is at or below a path."""
    return holds_folder(path, _is_scene)


def list_clips(root: Path) -> list[Path]:
    """List clips by the path that their files of metadata have in common: ``<scene>/<scene>_p<number>``.

    Raises:
        InputError: If there is none.
    """
    clips = []
    want = "Kubric-4D scenes: scn00000/scn00000_p0_v0.json and frames_p0_v0/"
    for scene in find_folders(root, _is_scene, want):
        clips += _simulations(scene)
    return clips


def count(clip: Path) -> tuple[int, int]:
    """Return how many views and frames a clip has."""
    views = _views(clip)
    return len(views), count_frames(_frames_folder(clip, 0))


def read(clip: Path, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one clip.

    Raises:
        InputError: Naming file and field, if one is missing, broken, of a wrong shape or type, or contradicts another.
    """
    paths = _views(clip)
    num_frames = count_frames(_frames_folder(clip, 0))
    chosen, frames = selection.of(clip, len(paths), num_frames)
    views = []
    for view in chosen:
        folder = _frames_folder(clip, view)
        content = read_json_object(paths[view])
        views.append(read_view(folder, paths[view], content, frames, num_frames))
    return MultiViewClip(
        name=clip.name,
        instances=stacked_if_all(clip, "segmentation", [view.segmentation for view in views]),
        **stack_views(clip, views),
    )


def _is_scene(folder: Path) -> bool:
    return any(folder.glob("frames_p*_v*/")) and any(_simulations(folder))


def _simulations(scene: Path) -> list[Path]:
    pattern = re.compile(rf"({re.escape(scene.name)}_p\d+)_v\d+\.json")
    names = set()
    for path in scene.glob("*.json"):
        if match := pattern.fullmatch(path.name):
            names.add(match[1])  # once, whatever views there are
    return [scene / name for name in sorted(names, key=natural_key)]


def _views(clip: Path) -> list[Path]:
    """Return the metadata of views 0, 1, ..."""
    pattern = re.compile(rf"{re.escape(clip.name)}_v(\d+)\.json")
    found = {}
    for path in clip.parent.glob("*.json"):
        if match := pattern.fullmatch(path.name):
            found[int(match[1])] = path
    if not found or sorted(found) != list(range(len(found))):
        want = "0, 1, ... without a gap"
        raise InputError(f"{clip}_v*.json: got views {sorted(found)}, want {want}")
    return [path for _, path in sorted(found.items())]


def _frames_folder(clip: Path, view: int) -> Path:
    folder = clip.parent / f"frames_{clip.name.rpartition('_')[2]}_v{view}"
    if not folder.is_dir():
        want = f"the frames that {clip.name}_v{view}.json is about"
        raise InputError(f"{folder}: no such folder, want {want}")
    return folder
