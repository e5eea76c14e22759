"""MVTracker's ``kubric-multiview`` (v2 and v3): Kubric scenes seen by several static cameras, with tracks in space.

    <root>/{train,validation,test}/<number>/
      tracks_3d.npz                 tracks_3d (t n 3), world frame
      tracks_segmentation_ids.npz   tracks_segmentation_ids (n): asset that each point lies on
      tracked_objects.json          {"names": [...], "ids": [...]} of these assets, the background's name is "dome"
      cameras.npz (v2: views.npz)   camera_positions (v2: views) (v 3), which say how many views there are
      view_<number>/rgba_%05d.png  depth_%05d.tiff  segmentation_%05d.png  metadata.json
                    tracks_2d.npz   tracks_2d (t n 2) pixels, centres at i + 0.5; occlusion (t n), True = hidden
                    object_id_to_segmentation_id.json   {asset name: id in this view's segmentation}

Segmentations count instances anew in each view; here an instance has one id in all of them, its place among the tracked
objects. Ids are None where these files are missing or their names do not fit each other.

Source: ethz-vlg/mvtracker, ``datasets/kubric_multiview_dataset.py`` (layout and formulas; no code was copied).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.formats.npz import read_arrays
from mvt4g.formats.readers.fields import array, finite, member, read_json_object
from mvt4g.formats.readers.folders import find_folders, holds_folder, sub_folders
from mvt4g.formats.readers.kubric_view import KubricView, count_frames, read_view
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.formats.readers.track_fields import check_projection, stacked, stacked_if_all, track_fields
from mvt4g.types import Cameras, InputError, MultiViewClip

BACKGROUND = "dome"
_VIEW = "view_"


def is_mvtracker(path: Path) -> bool:
    """Say whether a scene is at or below a path."""
    return holds_folder(path, _is_scene)


def list_clips(root: Path) -> list[Path]:
    """List the scene folders.

    Raises:
        InputError: If there is none.
    """
    return find_folders(root, _is_scene, "MVTracker scenes: folders with tracks_3d.npz and view_0/metadata.json")


def count(scene: Path) -> tuple[int, int]:
    """Return how many views and frames a scene has."""
    folders = _view_folders(scene)
    return len(folders), count_frames(folders[0])


def read(scene: Path, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one scene.

    Raises:
        InputError: Naming file and field, if one is missing, broken, of a wrong shape or type, or contradicts another.
    """
    sizes: dict[str, int] = {}
    path = scene / "tracks_3d.npz"
    points = finite(f"{path}: tracks_3d", member(path, read_arrays(path), "tracks_3d", "t n 3", sizes))
    folders = _view_folders(scene)
    chosen, frames = selection.of(scene, len(folders), sizes["t"])
    points_world = torch.from_numpy(points[frames]).float()
    assets = _tracked_assets(scene)
    views = [_read_view(folders[view], frames, points_world, sizes, assets) for view in chosen]
    video = stacked(scene, "rgba", [view.seen.video for view in views])
    return MultiViewClip(
        video=video,
        cameras=Cameras(
            torch.stack([view.seen.cameras.cam_from_world for view in views]),
            torch.stack([view.seen.cameras.intrinsics for view in views]),
        ),
        name=scene.name,
        points_world=points_world,
        point_instance=_point_instances(scene, assets, sizes),
        depth=stacked_if_all(scene, "depth", [view.seen.depth for view in views]),
        instances=stacked_if_all(scene, "segmentation", [view.instances for view in views]),
        dynamic=stacked_if_all(scene, "segmentation", [view.seen.dynamic for view in views]),
        fps=views[0].seen.fps,
        **track_fields(
            f"{scene}: tracks_2d",
            np.stack([view.tracks for view in views]),
            np.stack([view.visible for view in views]),
            (video.shape[-2], video.shape[-1]),
        ),
    )


@dataclass(frozen=True)
class _View:
    seen: KubricView
    tracks: np.ndarray
    visible: np.ndarray
    instances: Int[Tensor, "t h w"] | None


@dataclass(frozen=True)
class _Assets:
    """Ids of the tracked assets in the clip, 0 = background, by name and by the number that the files have.

    A name that several assets have tells of none of them, and is left out.
    """

    by_name: Mapping[str, int]
    by_number: Mapping[int, int]


def _is_scene(folder: Path) -> bool:
    return (folder / "tracks_3d.npz").is_file() and any(folder.glob(f"{_VIEW}*/metadata.json"))


def _view_folders(scene: Path) -> list[Path]:
    """Return view_0, view_1 ..., as many as the scene says it has cameras."""
    folders = [folder for folder in sub_folders(scene) if folder.name.removeprefix(_VIEW).isdigit()]
    numbers = [int(folder.name.removeprefix(_VIEW)) for folder in folders]
    want = len(folders)
    for name, positions in (("cameras.npz", "camera_positions"), ("views.npz", "views")):
        if (scene / name).is_file():
            want = len(member(scene / name, read_arrays(scene / name), positions, "v 3", {}))
    if not folders or numbers != list(range(want)):
        raise InputError(f"{scene}: got views {numbers}, want {_VIEW}0 to {_VIEW}{max(want, 1) - 1}")
    return folders


def _read_view(
    folder: Path,
    frames: Sequence[int],
    points_world: Float[Tensor, "t n 3"],
    sizes: dict[str, int],
    assets: _Assets | None,
) -> _View:
    metadata_path = folder / "metadata.json"
    path = folder / "tracks_2d.npz"
    seen = read_view(folder, metadata_path, read_json_object(metadata_path), frames, sizes["t"])
    arrays = read_arrays(path)
    tracks = member(path, arrays, "tracks_2d", "t n 2", sizes)[frames]
    occluded = member(path, arrays, "occlusion", "t n", sizes, "bool")[frames]
    check_projection(f"{path}: tracks_2d", torch.from_numpy(tracks).float(), points_world, seen.cameras)
    return _View(seen, tracks, ~occluded, _scene_ids(folder, seen.segmentation, assets))


def _tracked_assets(scene: Path) -> _Assets | None:
    path = scene / "tracked_objects.json"
    if not path.is_file():
        return None
    content = read_json_object(path)
    if "names" not in content or "ids" not in content:
        return None
    names = content["names"]
    numbers = member(path, content, "ids", "k", {}, "whole").tolist()
    if not isinstance(names, list) or len(names) != len(numbers) or len(set(numbers)) != len(numbers):
        raise InputError(f"{path}: names: got {names} for ids {numbers}, want a name for each id")
    objects = sorted(number for number, name in zip(numbers, names, strict=True) if name != BACKGROUND)
    by_number = {number: objects.index(number) + 1 if number in objects else 0 for number in numbers}
    by_name = {str(name): by_number[number] for name, number in zip(names, numbers, strict=True)}
    twice = {name for name in map(str, names) if names.count(name) > 1 and name != BACKGROUND}
    return _Assets({name: id_ for name, id_ in by_name.items() if name not in twice}, by_number)


def _point_instances(scene: Path, assets: _Assets | None, sizes: dict[str, int]) -> Int[Tensor, " n"] | None:
    path = scene / "tracks_segmentation_ids.npz"
    if assets is None or not path.is_file():
        return None
    numbers = member(path, read_arrays(path), "tracks_segmentation_ids", "n", sizes, "whole")
    strange = set(np.unique(numbers).tolist()) - assets.by_number.keys()
    if strange:
        want = "ids of tracked_objects.json"
        raise InputError(f"{path}: tracks_segmentation_ids: got {sorted(strange)[:5]}, want {want}")
    return torch.tensor([assets.by_number[number] for number in numbers.tolist()])


def _scene_ids(
    folder: Path, segmentation: Int[Tensor, "t h w"] | None, assets: _Assets | None
) -> Int[Tensor, "t h w"] | None:
    """Return a view's segmentation with the scene's ids; None where an id has no name among the tracked objects."""
    path = folder / "object_id_to_segmentation_id.json"
    if segmentation is None or assets is None or not path.is_file():
        return None
    table = torch.full((256,), -1)
    table[0] = 0
    for name, entry in read_json_object(path).items():
        number = int(array(f"{path}: {name}", entry, "", {}, "whole"))
        if not 0 <= number < len(table):
            raise InputError(f"{path}: {name}: got {number}, want an id from 0 to 255")
        if number and name in assets.by_name:
            table[number] = assets.by_name[name]
    ids = table[segmentation]
    return None if bool((ids < 0).any()) else ids
