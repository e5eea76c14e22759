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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from mvt4g.formats.npz import read_arrays
from mvt4g.formats.readers.fields import array, finite, member, read_json_object
from mvt4g.formats.readers.folders import find_folders, holds_folder, sub_folders
from mvt4g.formats.readers.kubric_view import count_frames, read_view, stack_views
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.formats.readers.track_fields import check_projection, stacked_if_all, track_fields
from mvt4g.types import InputError, MultiViewClip

BACKGROUND = "dome"
_VIEW = "view_"


def is_there(path: Path) -> bool:
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
    views = []
    tracks = []
    visible = []
    instances = []
    for view in chosen:
        folder = folders[view]
        metadata_path = folder / "metadata.json"
        kubric_view = read_view(folder, metadata_path, read_json_object(metadata_path), frames, sizes["t"])
        path = folder / "tracks_2d.npz"
        arrays = read_arrays(path)
        of_view = member(path, arrays, "tracks_2d", "t n 2", sizes)[frames]
        pixels = torch.from_numpy(of_view).float()
        check_projection(f"{path}: tracks_2d", pixels, points_world, kubric_view.cameras)
        views.append(kubric_view)
        tracks.append(of_view)
        visible.append(~member(path, arrays, "occlusion", "t n", sizes, "bool")[frames])
        instances.append(_scene_ids(folder, kubric_view.segmentation, assets))
    fields = stack_views(scene, views)
    height, width = fields["video"].shape[-2:]
    fields |= track_fields(f"{scene}: tracks_2d", np.stack(tracks), np.stack(visible), (height, width))
    return MultiViewClip(
        name=scene.name,
        points_world=points_world,
        point_instance=_point_instances(scene, assets, sizes),
        instances=stacked_if_all(scene, "segmentation", instances),
        **fields,
    )


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
    folders = []
    numbers = []
    for folder in sub_folders(scene):
        number = folder.name.removeprefix(_VIEW)
        if number.isdigit():
            folders.append(folder)
            numbers.append(int(number))
    want = len(folders)
    for name, positions in (("cameras.npz", "camera_positions"), ("views.npz", "views")):
        if (scene / name).is_file():
            want = len(member(scene / name, read_arrays(scene / name), positions, "v 3", {}))
    if not folders or numbers != list(range(want)):
        raise InputError(f"{scene}: got views {numbers}, want {_VIEW}0 to {_VIEW}{max(want, 1) - 1}")
    return folders


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
        want = "a name for each id"
        raise InputError(f"{path}: names: got {names} for ids {numbers}, want {want}")
    by_number = {}
    by_name = {}
    place = 0
    # The number of an asset grows with that in the file, whatever the order of the lists.
    for number, name in sorted(zip(numbers, names, strict=True), key=lambda pair: pair[0]):
        if name != BACKGROUND:
            place += 1
        by_number[number] = 0 if name == BACKGROUND else place
        if name == BACKGROUND or names.count(name) == 1:
            by_name[str(name)] = by_number[number]
    return _Assets(by_name, by_number)


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
    # Of an id without a name nothing is known: -1.
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
