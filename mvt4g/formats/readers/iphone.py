"""DyCheck's iPhone scenes: a moving phone and, in some scenes, two that stand still; no tracks.

    <scene>/camera/<id>.json  rgb/{1x,2x}/<id>.png  depth/{1x,2x}/<id>.npy (h w 1) z-depth, metres
            covisible/{1x,2x}/<split>/<id>.png  splits/{train,val}.json {frame_names}
            extra.json {fps}                                    <id> = <camera>_<time>, as 0_00012

Views are the cameras in order, frames the times that all of them have: the standing phones dropped some, so that frames
may lie more than 1/30 s apart. Only the moving phone measured depth; it is 0, none, in other views. World and depth are
in metres, not normalised by ``scene.json``. Pictures at half size ("2x") are taken where they are there. A mask of
co-visibility is true where more than max(5, a tenth) of the frames of the other split see what the pixel shows, by
optical flow.

Source: KAIR-BAIR/dycheck (Apache-2.0), ``dycheck/datasets/iphone.py``, ``dycheck/geometry/camera.py``,
``docs/DATASETS.md`` (which calls the depth millimetres; its writer stores metres).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.formats.images import read_images, read_mask
from mvt4g.formats.readers.fields import array, field, finite, member, read_json_object, whole_size
from mvt4g.formats.readers.folders import find_folders, holds_folder
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.formats.readers.track_fields import stacked
from mvt4g.formats.safe_pickle import read_npy
from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.geometry.pose import check_poses, pose_from, rotate
from mvt4g.types import Cameras, InputError, MultiViewClip

_SIZES = ("2x", "1x")
_NO_DISTORTION = 1e-6


def is_there(path: Path) -> bool:
    """Say whether a scene is at or below a path."""
    return holds_folder(path, _is_scene)


def list_clips(root: Path) -> list[Path]:
    """List the scene folders.

    Raises:
        InputError: If there is none.
    """
    return find_folders(root, _is_scene, "DyCheck iPhone scenes: camera/0_00000.json and rgb/2x/")


def count(scene: Path) -> tuple[int, int]:
    """Return how many views and common frames a scene has."""
    cameras, times = _ids(scene)
    return len(cameras), len(times)


def read(scene: Path, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one scene.

    Raises:
        InputError: Naming file and field, if one is missing, broken, of a wrong shape or type, or no pinhole camera.
    """
    cameras, times = _ids(scene)
    views, frames = selection.of(scene, len(cameras), len(times))
    return read_ids(scene, [[f"{cameras[view]}_{times[frame]}" for frame in frames] for view in views])


def read_ids(scene: Path, ids: Sequence[Sequence[str]]) -> MultiViewClip:
    """Read some pictures of a scene with all that is known of them.

    Args:
        scene: Its folder.
        ids: Of each view, as many of each, such as "0_00012".

    Raises:
        InputError: As ``read``.
    """
    size = size_folder(scene)
    videos = []
    for row in ids:
        videos.append(read_images([scene / "rgb" / size / f"{id_}.png" for id_ in row]))
    video = stacked(scene, "rgb", videos)
    image_size = (video.shape[-2], video.shape[-1])
    poses = []
    intrinsics = []
    # K is read after the pictures, whose size it is wanted for.
    for row in ids:
        of_view = [read_camera(scene / "camera" / f"{id_}.json", image_size) for id_ in row]
        poses.append(torch.stack([camera.cam_from_world for camera in of_view]))
        intrinsics.append(torch.stack([camera.intrinsics for camera in of_view]))
    return MultiViewClip(
        video=video,
        cameras=Cameras(torch.stack(poses), torch.stack(intrinsics)),
        name=scene.name,
        depth=_depth(scene / "depth" / size, ids, image_size),
        covisible=_covisible(scene / "covisible" / size, ids, image_size),
        fps=frame_rate(scene),
    )


def read_split(scene: Path, split: str) -> dict[str, tuple[str, ...]]:
    """Return the times of each camera in a split, in order; without a file, camera 0 is "train" and the others "val".

    Args:
        scene: Its folder.
        split: A file of splits/.

    Raises:
        InputError: If the file is broken, or there is none and the split is another.
    """
    path = scene / "splits" / f"{split}.json"
    if path.is_file():
        names = field(str(path), read_json_object(path), "frame_names")
    elif split in ("train", "val"):
        all_names = [image.stem for image in (scene / "rgb" / size_folder(scene)).glob("*_*.png")]
        names = [name for name in all_names if name.startswith("0_") == (split == "train")]
    else:
        raise InputError(f"{path}: no such file, want a split of the scene")
    times: dict[str, list[str]] = {}
    for name in names if isinstance(names, list) else [names]:
        camera, _, time = str(name).partition("_")
        if not (camera.isdigit() and time.isdigit()):
            raise InputError(f"{path}: frame_names: got {name!r:.40}, want names such as 0_00012")
        times.setdefault(camera, []).append(time)
    return {camera: tuple(sorted(times[camera], key=int)) for camera in sorted(times, key=int)}


def read_camera(path: Path, image_size: tuple[int, int]) -> Cameras:
    """Read one camera.

    Args:
        path: The JSON.
        image_size: (height, width) of the pictures K is wanted for, whatever size the file is about.

    Raises:
        InputError: If a field is missing or wrong, or the lens is distorted.
    """
    content = read_json_object(path)
    height, width = whole_size(f"{path}: image_size", content.get("image_size"))
    rotation = finite(f"{path}: orientation", member(path, content, "orientation", "3 3", {}))
    centre = finite(f"{path}: position", member(path, content, "position", "3", {}))
    point = finite(f"{path}: principal_point", member(path, content, "principal_point", "2", {}))
    focal = float(member(path, content, "focal_length", "", {}))
    aspect = float(member(path, content, "pixel_aspect_ratio", "", {}))
    skew = float(member(path, content, "skew", "", {}))
    if not (0 < focal < np.inf and 0 < aspect < np.inf and abs(skew) < np.inf):
        raise InputError(f"{path}: focal_length, pixel_aspect_ratio, skew: got {focal}, {aspect}, {skew}, want > 0")
    for name in ("radial_distortion", "tangential_distortion"):
        terms = array(f"{path}: {name}", content.get(name, [0.0]), "k", {})
        if np.abs(terms).max(initial=0) > _NO_DISTORTION:
            raise InputError(f"{path}: {name}: got {content[name]}, want none: a pinhole camera")
    # The file has the rotation from the world and the centre in it.
    turn = torch.from_numpy(rotation)
    pose = pose_from(turn, -rotate(turn, torch.from_numpy(centre)))
    check_poses(pose, f"{path}: orientation")
    intrinsics = torch.tensor([[focal, skew, point[0]], [0.0, focal * aspect, point[1]], [0.0, 0.0, 1.0]])
    scaled = scale_intrinsics(intrinsics, image_size[1] / width, image_size[0] / height)
    return Cameras(pose.float(), scaled.float())


def _is_scene(folder: Path) -> bool:
    return any(folder.glob("camera/*_*.json")) and any((folder / "rgb" / size).is_dir() for size in _SIZES)


def size_folder(scene: Path) -> str:
    """Return which of the sizes of pictures is taken: "2x" is half of "1x"."""
    return next(size for size in _SIZES if (scene / "rgb" / size).is_dir())


def _ids(scene: Path) -> tuple[list[str], list[str]]:
    """Return the cameras, and the times that all of them have a picture of."""
    times: dict[str, set[str]] = {}
    for path in (scene / "rgb" / size_folder(scene)).glob("*_*.png"):
        camera, _, time = path.stem.partition("_")
        if camera.isdigit() and time.isdigit():
            times.setdefault(camera, set()).add(time)
    shared = set.intersection(*times.values()) if times else set()
    if not shared:
        want = "a time that all have"
        raise InputError(f"{scene / 'rgb'}: got pictures of cameras {sorted(times)}, want {want}")
    return sorted(times, key=int), sorted(shared, key=int)


def _covisible(
    folder: Path, ids: Sequence[Sequence[str]], image_size: tuple[int, int]
) -> Bool[Tensor, "v t h w"] | None:
    """Read the masks that any split has; all True where a picture has none. None where no picture has one."""
    masks = torch.ones(len(ids), len(ids[0]), *image_size, dtype=torch.bool)
    found = False
    for view, row in enumerate(ids):
        for frame, id_ in enumerate(row):
            path = next(iter(sorted(folder.glob(f"*/{id_}.png"))), None)
            if path is None:
                continue
            mask = read_mask(path)
            if tuple(mask.shape) != image_size:
                got, want = f"{mask.shape[1]}x{mask.shape[0]}", f"{image_size[1]}x{image_size[0]}"
                raise InputError(f"{path}: got a mask of {got}, want {want} as the picture has")
            masks[view, frame] = mask > 0
            found = True
    return masks if found else None


def _depth(folder: Path, ids: Sequence[Sequence[str]], image_size: tuple[int, int]) -> Float[Tensor, "v t h w"] | None:
    """Read depth of the views that have some; the others' is 0. None where no view has any."""
    if not any((folder / f"{id_}.npy").is_file() for row in ids for id_ in row):
        return None
    maps = np.zeros((len(ids), len(ids[0]), *image_size), np.float32)
    for view, row in enumerate(ids):
        for frame, id_ in enumerate(row):
            path = folder / f"{id_}.npy"
            if not path.is_file():
                continue
            sizes = {"h": image_size[0], "w": image_size[1]}
            values = array(f"{path}: depth", read_npy(path), "h w 1", sizes)[..., 0]
            if (values < 0).any():
                raise InputError(f"{path}: depth: got {np.nanmin(values):g}, want depth from 0")
            maps[view, frame] = np.where(np.isfinite(values), values, 0)
    return torch.from_numpy(maps)


def frame_rate(scene: Path) -> float | None:
    """Return frames a second; None where the scene does not say.

    Raises:
        InputError: If what it says is no rate.
    """
    path = scene / "extra.json"
    if not path.is_file():
        return None
    rate = float(member(path, read_json_object(path), "fps", "", {}))
    if not 0 < rate < np.inf:
        raise InputError(f"{path}: fps: got {rate}, want a rate over 0")
    return rate
