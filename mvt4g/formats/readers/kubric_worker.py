"""The output of a Kubric worker (MOVi's, or one's own): one view of a scene in one folder.

    <scene>/rgba_%05d.png  depth_%05d.tiff  segmentation_%05d.png  metadata.json  (and flow, normals, coordinates)

It has no tracks: ``tracks``, ``visible``, ``points_world`` and ``point_instance`` are None.
"""

from pathlib import Path

from mvt4g.formats.readers.fields import read_json_object
from mvt4g.formats.readers.folders import find_folders, holds_folder
from mvt4g.formats.readers.kubric_view import count_frames, read_view
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.types import Cameras, MultiViewClip


def is_there(path: Path) -> bool:
    """Say whether a worker's folder is at or below a path."""
    return holds_folder(path, _is_scene)


def list_clips(root: Path) -> list[Path]:
    """List the workers' folders.

    Raises:
        InputError: If there is none.
    """
    return find_folders(root, _is_scene, "a Kubric worker's output: folders with metadata.json and rgba_*.png")


def count(scene: Path) -> tuple[int, int]:
    """Return how many views (1) and frames a scene has."""
    return 1, count_frames(scene)


def read(scene: Path, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one scene.

    Raises:
        InputError: Naming file and field, if one is missing, broken, of a wrong shape or type, or contradicts another.
    """
    path = scene / "metadata.json"
    num_frames = count_frames(scene)
    _, frames = selection.of(scene, 1, num_frames)
    view = read_view(scene, path, read_json_object(path), frames, num_frames)
    return MultiViewClip(
        video=view.video[None],
        cameras=Cameras(view.cameras.cam_from_world[None], view.cameras.intrinsics[None]),
        name=scene.name,
        depth=None if view.depth is None else view.depth[None],
        instances=None if view.segmentation is None else view.segmentation[None],
        dynamic=None if view.dynamic is None else view.dynamic[None],
        fps=view.fps,
    )


def _is_scene(folder: Path) -> bool:
    return (folder / "metadata.json").is_file() and any(folder.glob("rgba_*.png"))
