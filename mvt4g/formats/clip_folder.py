"""Our clip folder: one folder a clip, video compressed, arrays in ``.npz``, read by views and frames.

``docs/clip_folder.md`` describes it for readers in other languages. All comes back exactly, but for what
``ClipStorage`` says otherwise and for normals, which are off by at most 1 / 65534 in each component.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from mvt4g.formats.atomic import appearing_folder
from mvt4g.formats.axes import bind_axes
from mvt4g.formats.checksums import check_unchanged, sha256_of
from mvt4g.formats.clip_folder_header import HEADER, ClipHeader, read_header, safe_name
from mvt4g.formats.npz import read_arrays, write_arrays
from mvt4g.formats.quantised import (
    depth_range,
    dequantise_depth,
    dequantise_normals,
    quantise_depth,
    quantise_normals,
)
from mvt4g.formats.video import ArchiveQuality, read_video, write_archive_video
from mvt4g.types import Cameras, InputError, MultiViewClip

CAMERAS = "cameras.npz"
TRACKS = "tracks.npz"
SCENE = "scene.npz"
VIEW = "view_{:02d}.npz"
_FALLBACK_FPS = 24.0

LAYOUT = {
    "cam_from_world": (CAMERAS, "cameras frames 4 4", "f"),
    "intrinsics": (CAMERAS, "cameras frames 3 3", "f"),
    "tracks": (TRACKS, "views frames points 2", "f"),
    "visible": (TRACKS, "views frames points", "b"),
    "points_world": (TRACKS, "frames points 3", "f"),
    "point_instance": (TRACKS, "points", "u"),
    "point_valid": (TRACKS, "points", "b"),
    "world_from_object": (SCENE, "frames _ 4 4", "f"),
    "collisions": (SCENE, "_ 3", "u"),
    "depth": (VIEW, "frames height width", "f"),
    "instances": (VIEW, "frames height width", "u"),
    "dynamic": (VIEW, "frames height width", "b"),
    "covisible": (VIEW, "frames height width", "b"),
    "normals": (VIEW, "frames 3 height width", "i"),
}
"""File, axes (``_`` is free) and NumPy dtype kind of every array; a VIEW file has its own view's, without that axis.

There may be more cameras than views. Quantised depth is of kind "u".
"""
_KINDS = {"u": "unsigned integers", "f": "float32", "b": "bool", "i": "int16"}
_CAMERA_FIELDS = ("cam_from_world", "intrinsics")
_EXTRA_FIELDS = ("normals", "world_from_object", "collisions")
CLIP_FIELDS = tuple(name for name in LAYOUT if name not in _CAMERA_FIELDS + _EXTRA_FIELDS)
"""Fields of a clip that may be missing or left out of reading."""


@dataclass(frozen=True)
class ClipStorage:
    """What a clip folder may give up for size.

    Attributes:
        video: See ``write_archive_video``.
        depth: "float32" is exact; "uint16" keeps 65,535 levels evenly spaced in log depth, off by at most 1e-4 of the
            depth (5e-5 where the farthest is 700 times the nearest), at half the size.
        normals: Whether to keep normals.
    """

    video: ArchiveQuality = "lossless"
    depth: Literal["float32", "uint16"] = "float32"
    normals: bool = True


@dataclass(frozen=True)
class ClipExtras:
    """What is known of a scene beside its clip; None where it is not.

    Attributes:
        normals: Of the surface in every pixel, world frame, components in [-1, 1].
        world_from_object: Poses of the instances 1, 2, ...
        collisions: Frame, instance and other instance (0 = ground) of every contact that begins.
    """

    normals: Float[Tensor, "v t 3 h w"] | None = None
    world_from_object: Float[Tensor, "t i 4 4"] | None = None
    collisions: Int[Tensor, "k 3"] | None = None


def write_clip_folder(
    path: Path,
    clip: MultiViewClip,
    extras: ClipExtras = ClipExtras(),
    storage: ClipStorage = ClipStorage(),
    made_by: Mapping[str, Any] | None = None,
) -> None:
    """Write one clip (no batch axis); the folder appears whole or not at all, equal clips give equal bytes.

    Args:
        path: The folder; must not be there yet.
        clip: Video is rounded to 256 levels, floating numbers to float32; integers must not be negative.
        extras: Stored beside it.
        storage: What may be given up.
        made_by: What JSON can hold, kept in ``clip.json``: the recipe, seed and versions.

    Raises:
        InputError: If the clip cannot be stored, or the place cannot be written to.
    """
    if clip.video.ndim != 5:
        want = "one clip (v t c h w)"
        raise InputError(f"{path}: got a video of {clip.video.ndim} axes to write, want {want}")
    arrays = _arrays(path, clip, extras if storage.normals else replace(extras, normals=None))
    span = None
    if storage.depth == "uint16" and "depth" in arrays:
        span = depth_range(arrays["depth"])
        arrays["depth"] = quantise_depth(arrays["depth"], *span)
    header = ClipHeader(
        name=safe_name(f"{path}: name", clip.name),
        caption=clip.caption if isinstance(clip.caption, str) else None,
        fps=clip.fps if isinstance(clip.fps, float | int) else None,
        sizes=_sizes(clip),
        fields=tuple(arrays),
        depth_range=span,
        files={},
        made_by=made_by,
    )
    for name, array in arrays.items():
        _check_array(path, name, array if LAYOUT[name][0] != VIEW else array[0], header)
    with appearing_folder(path) as temporary:
        by_file = _sort_into_files(arrays)
        of_views = by_file.pop(VIEW, {})
        for file, own in by_file.items():
            write_arrays(temporary / file, own)
        for view, video in enumerate(clip.video):
            fps = header.fps or _FALLBACK_FPS
            write_archive_video(temporary / _video(view), video, fps, storage.video)
            own = {name: array[view] for name, array in of_views.items()}
            if own:
                write_arrays(temporary / VIEW.format(view), own)
        files = {file.name: sha256_of(file) for file in sorted(temporary.iterdir())}
        (temporary / HEADER).write_text(replace(header, files=files).to_json(), encoding="utf-8")


def _sort_into_files(arrays: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what belongs to each file of a clip, VIEW standing for those of all views."""
    by_file: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        by_file.setdefault(LAYOUT[name][0], {})[name] = array
    return by_file


def read_clip_folder(
    path: Path,
    views: Sequence[int] | None = None,
    frames: Sequence[int] | None = None,
    fields: Collection[str] | None = None,
) -> MultiViewClip:
    """Read a clip, or some views and frames of it: files of other views are not opened.

    Every file that is read is checked against its SHA-256 first.

    Args:
        path: The folder.
        views: Which, in this order; None = all, and then cameras without a video too.
        frames: Which, in this order; None = all.
        fields: Which of CLIP_FIELDS, beside video and cameras; None = all that are there.

    Returns:
        Video in [0, 1], floating numbers float32, integers int64.

    Raises:
        InputError: If a file is missing, damaged or of a wrong shape or type, or there is no such view, frame or field.
    """
    header = read_header(path)
    if unknown := sorted(set(fields or ()) - set(CLIP_FIELDS)):
        raise InputError(f"fields: got {unknown[0]!r}, want some of {', '.join(CLIP_FIELDS)}")
    fields = CLIP_FIELDS if fields is None else fields
    wanted = [name for name in CLIP_FIELDS if name in header.fields and name in fields]
    tensors = _read_tensors(path, header, (*_CAMERA_FIELDS, *wanted), views, frames)
    return MultiViewClip(
        video=_read_videos(path, header, _choose(path, "views", views, header), frames),
        cameras=Cameras(tensors.pop("cam_from_world"), tensors.pop("intrinsics")),
        name=header.name,
        caption=header.caption,
        fps=None if header.fps is None else float(header.fps),
        **tensors,
    )


def read_clip_extras(path: Path, views: Sequence[int] | None = None, frames: Sequence[int] | None = None) -> ClipExtras:
    """Read what is stored beside a clip; collisions keep the frame numbers of the whole clip.

    Raises:
        InputError: As ``read_clip_folder``.
    """
    header = read_header(path)
    wanted = [name for name in _EXTRA_FIELDS if name in header.fields]
    return ClipExtras(**_read_tensors(path, header, wanted, views, frames))


def file_of(field: str, view: int | None = None) -> str:
    """Return the file of a clip's folder that holds a field of it, of one view where every view has its own."""
    if field == "video":
        return _video(view or 0)
    file = CAMERAS if field == "cameras" else LAYOUT[field][0] if field in LAYOUT else HEADER
    return VIEW.format(view or 0) if file == VIEW else file


def _video(view: int) -> str:
    return f"view_{view:02d}.mkv"


def _sizes(clip: MultiViewClip) -> dict[str, int]:
    views, frames, _, height, width = clip.video.shape
    points = 0
    if clip.tracks is not None:
        points = clip.tracks.shape[-2]
    elif clip.points_world is not None:
        points = clip.points_world.shape[-2]
    elif clip.point_valid is not None:
        points = clip.point_valid.shape[-1]
    return {
        "views": views,
        "cameras": clip.cameras.intrinsics.shape[0],
        "frames": frames,
        "height": height,
        "width": width,
        "points": points,
    }


def _arrays(path: Path, clip: MultiViewClip, extras: ClipExtras) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return what is there, in the types it is stored in; depth is not quantised yet."""
    arrays: dict[str, np.ndarray] = {}
    for holder, names in ((clip.cameras, _CAMERA_FIELDS), (clip, CLIP_FIELDS), (extras, _EXTRA_FIELDS)):
        for name in names:
            tensor = getattr(holder, name)
            if tensor is not None:
                arrays[name] = tensor.detach().cpu().numpy()
    for name, array in arrays.items():
        kind = LAYOUT[name][2]
        if kind == "f":
            arrays[name] = array.astype(np.float32)
        elif kind == "i":
            arrays[name] = quantise_normals(array)
        elif kind == "u":
            if array.size and array.min() < 0:
                raise InputError(f"{path}: {name}: got {array.min()} to write, want ids >= 0")
            arrays[name] = array.astype(np.min_scalar_type(int(array.max(initial=0))))
        if LAYOUT[name][0] == VIEW and len(array) != len(clip.video):
            raise InputError(f"{path}: {name}: got {len(array)} views to write, want {len(clip.video)}")
    return arrays


def _read_tensors(
    path: Path,
    header: ClipHeader,
    names: Collection[str],
    views: Sequence[int] | None,
    frames: Sequence[int] | None,
) -> dict[str, Any]:
    """Read arrays of some views and frames, depth and normals dequantised."""
    chosen_views = _choose(path, "views", views, header)
    arrays: dict[str, np.ndarray] = {}
    for file, own in _sort_into_files(dict.fromkeys(names)).items():
        if file != VIEW:
            arrays |= _read_file(path, file, header, own)
            continue
        parts = [_read_file(path, VIEW.format(view), header, own) for view in chosen_views]
        for name in own:
            arrays[name] = np.stack([part[name] for part in parts])
    moments = None if frames is None else _choose(path, "frames", frames, header)
    tensors = {}
    for name in names:
        array = arrays[name]
        file, axes, _ = LAYOUT[name]
        if views is not None and axes.startswith(("views", "cameras")):
            array = array[list(views)]
        if moments is not None and "frames" in axes:
            # Of the files of views the stacking has put one more axis before those of the layout.
            array = np.take(array, moments, axis=axes.split().index("frames") + (file == VIEW))
        if name == "depth" and header.depth_range is not None:
            array = dequantise_depth(array, *header.depth_range)
        if name == "normals":
            array = dequantise_normals(array)
        tensors[name] = _tensor(array)
    return tensors


def _read_file(
    path: Path, file: str, header: ClipHeader, names: Collection[str]
) -> dict[str, Shaped[np.ndarray, "..."]]:
    _check_file(path, file, header)
    arrays = read_arrays(path / file, names)
    for name in names:
        if name not in arrays:
            raise InputError(f"{path / file}: {name}: missing, want what {HEADER} lists")
        _check_array(path / file, name, arrays[name], header)
    return arrays


def _read_videos(
    path: Path, header: ClipHeader, views: Sequence[int], frames: Sequence[int] | None
) -> Float[Tensor, "v t c h w"]:
    moments = _choose(path, "frames", frames, header)
    # A video is decoded forwards, each frame once: then they are put in the order asked for.
    taken, order = np.unique(moments, return_inverse=True)
    height = header.sizes["height"]
    width = header.sizes["width"]
    videos = []
    for file in map(_video, views):
        _check_file(path, file, header)
        video, _ = read_video(path / file, frames=None if frames is None else taken.tolist())
        if video.shape != (len(taken), 3, height, width):
            got = tuple(video.shape)
            want = (len(taken), 3, height, width)
            raise InputError(f"{path / file}: video: got shape {got}, want {want} as {HEADER} says")
        videos.append(video if frames is None else video[torch.from_numpy(order)])
    return torch.stack(videos)


def _check_file(path: Path, file: str, header: ClipHeader) -> None:
    if file not in header.files:
        raise InputError(f"{path / HEADER}: files: got no {file}, want its checksum")
    check_unchanged(path / file, header.files[file])


def _check_array(path: Path, name: str, array: Shaped[np.ndarray, "..."], header: ClipHeader) -> None:
    _, axes, kind = LAYOUT[name]
    kind = "u" if name == "depth" and header.depth_range is not None else kind
    if array.dtype.kind != kind or (kind == "f" and array.dtype != np.float32):
        raise InputError(f"{path}: {name}: got dtype {array.dtype}, want {_KINDS[kind]}")
    if not bind_axes(axes, array.shape, dict(header.sizes)):
        shape = tuple(int(axis) if axis.isdigit() else header.sizes.get(axis, -1) for axis in axes.split())
        raise InputError(f"{path}: {name}: got shape {array.shape}, want ({axes}) = {shape}")


def _choose(path: Path, axis: str, wanted: Sequence[int] | None, header: ClipHeader) -> list[int]:
    count = header.sizes[axis]
    chosen = list(range(count) if wanted is None else wanted)
    if not chosen or min(chosen) < 0 or max(chosen) >= count:
        raise InputError(f"{path}: {axis}: got {chosen}, want one or more of 0 to {count - 1}")
    return chosen


def _tensor(array: Shaped[np.ndarray, " *s"]) -> Shaped[Tensor, " *s"]:
    # Torch indexes by no unsigned type.
    if array.dtype.kind == "u":
        return torch.from_numpy(array.astype(np.int64))
    return torch.from_numpy(np.ascontiguousarray(array))
