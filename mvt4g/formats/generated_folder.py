"""Folders of generated videos that anyone can fill: one folder a video, one file for each thing that is known.

    <clip>/generated.mp4     the generated view; like the other videos also a folder of frames of that name
    <clip>/target.mp4        what it should be
    <clip>/reference.mp4     what it was generated from
    <clip>/cameras.json      the cameras asked for, as ``predict`` writes them: views target and perhaps reference
    <clip>/depth.npz         z-depth of the true views, arrays target and reference (t h w)
    <clip>/dynamic.npz       what moves, arrays target and reference (t h w), 0 = static
    <clip>/mask.npz          which pixels masked metrics look at, array target (t h w), 0 = not these

Only the generated video must be there; a folder that holds others of these files and not that one is an item that
failed. Frame k of all of them is one moment, so videos of other lengths or rates are refused. ``mvt4g predict`` writes
such folders, ``<clip>/<camera>-s<seed>``: a root may hold them one or two levels down. Cameras that a program estimated
from the generated videos are read by ``metrics.pose_estimators.poses_from_files``.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from mvt4g.formats.images import frame_paths, read_images
from mvt4g.formats.npz import read_arrays
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW, Trajectory, read_views
from mvt4g.formats.video import read_video
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import GeneratedVideos, InputError, ViewRecord

GENERATED = "generated"
VIEWS = (TARGET_VIEW, REFERENCE_VIEW)
_FILES = ("cameras.json", "depth.npz", "dynamic.npz", "mask.npz")
_SAME_RATE = 1.01
"""Rates closer than this are one: 24 and 23.976."""


def generated_folders(root: Path) -> list[Path]:
    """Return the folders of generated videos in a root, or in the folders in it, by name.

    Hidden folders, such as a killed ``predict`` leaves, are passed by, and so are those with none of the known files.

    Raises:
        InputError: If there is no generated video.
    """
    if not root.is_dir():
        want = "one that holds a folder for each generated video"
        raise InputError(f"{root}: no such folder, want {want}")
    found: list[Path] = []
    for folder in _folders(root):
        found += [folder] if _is_known(folder) else filter(_is_known, _folders(folder))
    if not any(_video_path(folder, GENERATED) for folder in found):
        raise InputError(f"{root}: got no folder with a {GENERATED}.mp4 or {GENERATED}/ in it, want at least one")
    return found


def read_generated(folder: Path, called: str | None = None) -> GeneratedVideos:
    """Read all that one folder knows, as a batch of one.

    Args:
        folder: Of one generated video.
        called: What tables call it; None = as the folder.

    Raises:
        InputError: Naming the file that is broken or does not fit the generated video.
    """
    video, fps = _read_video(folder, GENERATED)
    if video is None:
        want = "the generated video"
        raise InputError(f"{folder}: got no {GENERATED}.mp4 and no {GENERATED}/, want {want}")
    others: dict[str, Tensor | None] = {}
    for name in VIEWS:
        others[name], rate = _read_video(folder, name)
        _check_fits(f"{folder}: {name}", others[name], rate, video, fps)
    cameras = _read_cameras(folder, video)
    depth = _read_maps(folder / "depth.npz", video)
    dynamic = _read_maps(folder / "dynamic.npz", video)
    views = {}
    for name in VIEWS:
        cam_from_world, intrinsics = cameras.get(name, (None, None))
        views[name] = ViewRecord(
            video=_add_batch(others[name]),
            depth=_add_batch(depth[name].float() if name in depth else None),
            dynamic=_add_batch(dynamic[name] != 0 if name in dynamic else None),
            cam_from_world=_add_batch(cam_from_world),
            intrinsics=_add_batch(intrinsics),
        )
    mask = _read_maps(folder / "mask.npz", video, (TARGET_VIEW,)).get(TARGET_VIEW)
    return GeneratedVideos(
        names=(folder.name if called is None else called,),
        video=video[None],
        target=views[TARGET_VIEW],
        reference=views[REFERENCE_VIEW],
        mask=_add_batch(None if mask is None else mask != 0),
        fps=None if fps is None else torch.tensor([fps]),
    )


def _add_batch(value: Shaped[Tensor, "*shape"] | None) -> Shaped[Tensor, " 1 *shape"] | None:
    return None if value is None else value[None]


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_known(folder: Path) -> bool:
    """Say whether a folder holds one of the files that are read."""
    names = [*_FILES, GENERATED, *VIEWS]
    for name in (GENERATED, *VIEWS):
        names.append(f"{name}.mp4")
    return any((folder / name).exists() for name in names)


def _check_fits(
    what: str, other: Shaped[Tensor, "..."] | None, rate: float | None, video: Shaped[Tensor, "..."], fps: float | None
) -> None:
    """Refuse a video whose frame k is not the moment of the generated video's."""
    if other is not None and other.shape != video.shape:
        want = f"{_size(video)} as the generated video has"
        raise InputError(f"{what}: got {_size(other)}, want {want}")
    if rate is not None and fps is not None and max(rate, fps) > min(rate, fps) * _SAME_RATE:
        want = f"{fps:g} as the generated video has"
        raise InputError(f"{what}: got {rate:g} frames a second, want {want}")


def _video_path(folder: Path, name: str) -> Path | None:
    places = (folder / f"{name}.mp4", folder / name)
    return next(filter(Path.exists, places), None)


def _read_video(folder: Path, name: str) -> tuple[Float[Tensor, "t 3 h w"] | None, float | None]:
    """Return a video and its frames a second, which images do not tell."""
    path = _video_path(folder, name)
    if path is None:
        return None, None
    return (read_images(frame_paths(path)), None) if path.is_dir() else read_video(path)


def _read_cameras(folder: Path, video: Shaped[Tensor, "t 3 h w"]) -> dict[str, tuple[Any, Any]]:
    """Return poses and intrinsics (None where not known) of each view that has poses."""
    path = folder / "cameras.json"
    if not path.exists():
        return {}
    cameras = {}
    for name, path_of_view in read_views(path).items():
        # A single pose is a camera that stands still.
        view = path_of_view.of_length(len(video))
        if len(view.world_from_cam) != len(video):
            want = f"{len(video)}, one a frame, or 1"
            raise InputError(f"{path}: {name}: got {len(view.world_from_cam)} poses, want {want}")
        intrinsics = _intrinsics(path, view, (video.shape[2], video.shape[3]))
        cameras[name] = (invert_pose(view.world_from_cam), intrinsics)
    return cameras


def _intrinsics(path: Path, view: Trajectory, size: tuple[int, int]) -> Float[Tensor, "t 3 3"] | None:
    if view.intrinsics is not None and view.image_size != size:
        want = f"{list(size)}, the video's"
        raise InputError(f"{path}: image_size: got {list(view.image_size or ())}, want {want}")
    return view.intrinsics


def _read_maps(
    path: Path, video: Shaped[Tensor, "t 3 h w"], names: tuple[str, ...] = VIEWS
) -> dict[str, Shaped[Tensor, "t h w"]]:
    if not path.exists():
        return {}
    arrays = read_arrays(path)
    want = (len(video), *video.shape[2:])
    for name, array in arrays.items():
        if name not in names or array.shape != want:
            raise InputError(f"{path}: got {name} of shape {array.shape}, want only {' and '.join(names)} of {want}")
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _size(video: Shaped[Tensor, "t c h w"]) -> str:
    return f"{len(video)} frames of {video.shape[3]}x{video.shape[2]}"
