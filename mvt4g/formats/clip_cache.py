"""One clip, one uncompressed ``.npz``: read with NumPy alone, without pickle.

Stored compactly and given back exactly: video as uint8 (so a clip whose video is a multiple of 1/255 comes back equal,
any other is rounded to the nearest), integers in the smallest unsigned type, everything else as float32 or bool. Depth
stays float32: float16 would move a surface by 1/2000 of its depth, and a cached clip would differ from a generated one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.formats.axes import bind_axes
from mvt4g.formats.npz import read_array_headers, read_arrays
from mvt4g.formats.parsing.array_headers import ArrayHeader
from mvt4g.formats.parsing.json_files import parse_json
from mvt4g.types import Cameras, InputError, MultiViewClip

_VERSION = 1
_HEADER = "header"
_LAYOUT = {
    "video": ("v t c h w", "u"),
    "cam_from_world": ("v t 4 4", "f"),
    "intrinsics": ("v t 3 3", "f"),
    "tracks": ("v t n 2", "f"),
    "visible": ("v t n", "b"),
    "points_world": ("t n 3", "f"),
    "point_instance": ("n", "u"),
    "point_valid": ("n", "b"),
    "depth": ("v t h w", "f"),
    "instances": ("v t h w", "u"),
    "dynamic": ("v t h w", "b"),
    "covisible": ("v t h w", "b"),
}
"""Axes and NumPy dtype kind of every array; cameras may have other views than the video, so their v is not bound."""
_OF_CAMERAS = ("cam_from_world", "intrinsics")
_REQUIRED = ("video", *_OF_CAMERAS)
_KINDS = {"u": "unsigned integers", "f": "float32", "b": "bool"}


def write_clip(path: Path, clip: MultiViewClip) -> None:
    """Write one clip (no batch axis); the file appears whole or not at all.

    Raises:
        InputError: If the clip is a batch, its video is not finite, an integer field is negative, or the place cannot
            be written to.
    """
    if clip.video.ndim != 5:
        want = "one clip (v t c h w)"
        raise InputError(f"{path}: got a video of {clip.video.ndim} axes to write, want {want}")
    if not bool(torch.isfinite(clip.video).all()):
        raise InputError(f"{path}: got a video with NaN or infinity to write, want values in [0, 1]")
    arrays = {}
    for name in _LAYOUT:
        tensor = getattr(clip.cameras if name in _OF_CAMERAS else clip, name)
        if tensor is not None:
            arrays[name] = _pack(path, name, tensor)
    header = {"version": _VERSION, "name": clip.name, "caption": clip.caption, "fps": clip.fps}
    # NumPy would put .npz behind the name of a path that it opens itself.
    with appearing(path) as temporary, temporary.open("wb") as file:
        arrays[_HEADER] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        np.savez(file, allow_pickle=False, **arrays)


def read_clip(path: Path) -> MultiViewClip:
    """Read a clip that ``write_clip`` wrote; video is float32 in [0, 1], integers are int64.

    Raises:
        InputError: If the file is missing, cut short, no clip file, or a field is missing or of a wrong shape or type.
    """
    arrays = read_arrays(path, check=lambda headers: _check_layout(path, headers))
    header = _read_header(path, arrays.pop(_HEADER, None))
    tensors: dict[str, Any] = {name: _unpack(name, array) for name, array in arrays.items()}
    cameras = Cameras(tensors.pop("cam_from_world"), tensors.pop("intrinsics"))
    fps = header.get("fps")
    return MultiViewClip(
        cameras=cameras,
        name=header.get("name", ""),
        caption=header.get("caption"),
        fps=None if fps is None else float(fps),
        **tensors,
    )


def clip_size(path: Path) -> tuple[int, int]:
    """Return how many views and frames a clip has; its numbers are not read.

    Raises:
        InputError: As ``read_clip``, but for faults of the numbers.
    """
    headers = read_array_headers(path)
    _check_layout(path, headers)
    return headers["video"].shape[0], headers["video"].shape[1]


def _pack(path: Path, name: str, tensor: Shaped[Tensor, " *s"]) -> Shaped[np.ndarray, " *s"]:
    if name == "video":
        return tensor.detach().mul(255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    array = tensor.detach().cpu().numpy()
    if _LAYOUT[name][1] == "u":
        if array.size and array.min() < 0:
            raise InputError(f"{path}: got {name} with {array.min()} to write, want ids >= 0")
        return array.astype(np.min_scalar_type(int(array.max(initial=0))))
    return array.astype(np.float32) if _LAYOUT[name][1] == "f" else array


def _unpack(name: str, array: Shaped[np.ndarray, " *s"]) -> Shaped[Tensor, " *s"]:
    if name == "video":
        return torch.from_numpy(array).float().div_(255)
    if _LAYOUT[name][1] == "u":
        # Torch indexes by no unsigned type.
        return torch.from_numpy(array.astype(np.int64))
    return torch.from_numpy(array)


def _read_header(path: Path, header: Shaped[np.ndarray, "..."] | None) -> dict[str, Any]:
    where = f"{path}: {_HEADER}"
    want = "a clip file from write_clip"
    content = {} if header is None else parse_json(header.tobytes(), where, want)
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        got = content.get("version") if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{where}: got version {got!r:.40}, want {_VERSION}")
    fps = content.get("fps")
    is_rate = fps is None or (isinstance(fps, int | float) and not isinstance(fps, bool) and fps > 0)
    good = {
        "name": isinstance(content.get("name", ""), str),
        "caption": isinstance(content.get("caption"), str | None),
        "fps": is_rate,
    }
    for key, is_good in good.items():
        if not is_good:
            raise InputError(f"{where}: {key}: got {content[key]!r:.60}, want what write_clip writes")
    return content


def _check_layout(path: Path, arrays: Mapping[str, ArrayHeader]) -> None:
    missing = set(_REQUIRED) - set(arrays)
    unknown = set(arrays) - {*_LAYOUT, _HEADER}
    if missing or unknown:
        got = sorted(set(arrays) - {_HEADER})
        want = f"{list(_REQUIRED)} and no others than {[*_LAYOUT]}"
        raise InputError(f"{path}: got fields {got}, want {want}")
    sizes: dict[str, int] = {}
    for name, (axes, kind) in _LAYOUT.items():
        if name not in arrays:
            continue
        array = arrays[name]
        if array.dtype.kind != kind or (kind == "f" and array.dtype != np.float32):
            raise InputError(f"{path}: {name}: got dtype {array.dtype}, want {_KINDS[kind]}")
        # There may be more cameras than videos.
        bound = {"t": sizes["t"]} if name in _OF_CAMERAS else sizes
        if not bind_axes(axes, array.shape, bound):
            want = f"({axes}) with {sizes}"
            raise InputError(f"{path}: {name}: got shape {array.shape}, want {want}")
