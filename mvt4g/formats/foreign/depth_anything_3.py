"""Depth Anything 3: ``exports/npz/results.npz``, ``exports/mini_npz/results.npz``, and the folder of DA3-Streaming.

Main program: extrinsics are cam_from_world; streaming: world_from_cam. Depth is z-depth. K, depth and confidence are at
the size that the network took, to which the video was squeezed without cutting: ``Reconstruction.at_size`` goes back.
The world is that of a view that the program chose, so frame 0 is not the identity: ``from_first_camera``. The scale is
arbitrary but for the nested models, which give metres; the file does not say which it was.

Source: ByteDance-Seed/Depth-Anything-3@2c21ea8 (Apache-2.0), ``src/depth_anything_3/utils/export/npz.py``,
``da3_streaming/da3_streaming.py``, read in public source code, not off files the program wrote.
"""

import re
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.foreign.reconstruction import (
    Reconstruction,
    check_count,
    check_memory,
    depth_maps,
    numbers,
    pinhole_matrices,
    reconstruction_of,
    transforms,
    with_fov_note,
)
from mvt4g.formats.npz import read_array_headers, read_arrays
from mvt4g.formats.parsing.rows import finite_number, read_lines
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import InputError

POSES_FILE = "camera_poses.txt"
LENS_FILE = "intrinsic.txt"
FRAMES_FOLDER = "results_output"
SCALE_NOTE = "Depth Anything 3 gives metres for its nested models alone; the file does not say which model it was"


def read_depth_anything(path: Path, num_frames: int | None = None, maps: bool = False) -> Reconstruction:
    """Read what Depth Anything 3 left of a video, one camera a frame in order.

    Args:
        path: ``results.npz`` of either kind, or the folder of DA3-Streaming.
        num_frames: Number of poses there must be; None = any.
        maps: Read depth and confidence too.

    Raises:
        InputError: Naming file and array or line, if one is missing, of another shape or length, or no rotation.
    """
    read = _read_streaming if path.is_dir() else _read_results
    return read(path, num_frames, maps)


def _read_results(path: Path, num_frames: int | None, maps: bool) -> Reconstruction:
    headers = read_array_headers(path)
    if "extrinsics" not in headers:
        raise InputError(f"{path}: extrinsics: missing, got arrays {sorted(headers)}; want a run that estimates poses")
    arrays = read_arrays(path, ("extrinsics", "intrinsics", *(("depth", "conf") if maps else ())))
    cam_from_world = transforms(f"{path}: extrinsics", arrays["extrinsics"])
    count = len(cam_from_world)
    check_count(f"{path}: extrinsics", count, num_frames)
    intrinsics = None
    if "intrinsics" in arrays:
        matrices = numbers(f"{path}: intrinsics", arrays["intrinsics"])
        if matrices.shape != (count, 3, 3):
            raise InputError(f"{path}: intrinsics: got shape {matrices.shape}, want ({count}, 3, 3)")
        intrinsics = torch.from_numpy(matrices)
    world_from_cam = invert_pose(cam_from_world)
    found = reconstruction_of(f"{path}: extrinsics", world_from_cam, intrinsics, f"{path}: intrinsics")
    depth = None
    size = None
    if "depth" in headers:
        shape = headers["depth"].shape
        if len(shape) != 3 or shape[0] != count or 0 in shape:
            raise InputError(f"{path}: depth: got shape {shape}, want ({count}, h, w)")
        # K is of pictures of the depth's size, whether depth is read or not.
        size = (shape[1], shape[2])
        depth = depth_maps(f"{path}: depth", arrays["depth"], count) if maps else None
    confidence = None
    if depth is not None and "conf" in arrays:
        confidence = depth_maps(f"{path}: conf", arrays["conf"], count)
    if confidence is not None and confidence.shape[1:] != size:
        raise InputError(f"{path}: conf: got shape {tuple(confidence.shape)}, want that of depth")
    found = replace(found, image_size=size, depth=depth, confidence=confidence, notes=(SCALE_NOTE,))
    return with_fov_note(found, str(path))


def _read_streaming(folder: Path, num_frames: int | None, maps: bool) -> Reconstruction:
    rows = _read_rows(folder / POSES_FILE, 16, "a world_from_cam matrix")
    check_count(str(folder / POSES_FILE), len(rows), num_frames)
    intrinsics = None
    if (folder / LENS_FILE).exists():
        lens = _read_rows(folder / LENS_FILE, 4, "fx fy cx cy")
        if len(lens) not in (1, len(rows)):
            want = f"1 or {len(rows)}, one a pose"
            raise InputError(f"{folder / LENS_FILE}: got {len(lens)} lines, want {want}")
        intrinsics = pinhole_matrices(str(folder / LENS_FILE), lens).expand(len(rows), 3, 3)
    world_from_cam = rows.reshape(-1, 4, 4)
    found = reconstruction_of(str(folder / POSES_FILE), world_from_cam, intrinsics, str(folder / LENS_FILE))
    files = _frame_files(folder / FRAMES_FOLDER, len(rows))
    depth = None
    size = None
    if files:
        first = next(iter(files.values()))
        size = _map_size(first)
        depth = _read_frames(files, size, len(rows)) if maps else None
    return with_fov_note(replace(found, image_size=size, depth=depth, notes=(SCALE_NOTE,)), str(folder))


def _read_rows(path: Path, count: int, want: str) -> Float[Tensor, "t n"]:
    """Read a line of numbers a frame; empty lines are none."""
    rows = []
    for line in read_lines(path, f"{want} a line"):
        words = line.text.split()
        if words and len(words) != count:
            raise InputError(f"{line.where}: got {len(words)} numbers, want {count}: {want}")
        if words:
            rows.append([finite_number(word, line.where) for word in words])
    if not rows:
        raise InputError(f"{path}: got an empty file, want {want} a line")
    return torch.tensor(rows, dtype=torch.float64)


def _frame_files(folder: Path, count: int) -> dict[int, Path]:
    """Return the file of every frame that has one."""
    if not folder.is_dir():
        return {}
    files: dict[int, Path] = {}
    for path in sorted(folder.glob("frame_*.npz")):
        digits = re.fullmatch(r"frame_(\d{1,9})", path.stem, re.ASCII)
        number = int(digits[1]) if digits else -1
        if not 0 <= number < count or number in files:
            want = f"frame_0 to frame_{count - 1}, each once"
            raise InputError(f"{path}: got frame {path.stem!r:.60}, want {want}")
        files[number] = path
    return files


def _map_size(path: Path) -> tuple[int, int]:
    headers = read_array_headers(path)
    if "depth" not in headers or headers["depth"].ndim not in (2, 3) or 0 in headers["depth"].shape:
        got = headers["depth"].shape if "depth" in headers else f"arrays {sorted(headers)}"
        raise InputError(f"{path}: depth: got {got}, want (h, w)")
    return headers["depth"].shape[-2], headers["depth"].shape[-1]


def _read_frames(files: dict[int, Path], size: tuple[int, int], count: int) -> Float[Tensor, "t h w"]:
    check_memory(str(next(iter(files.values())).parent), count, size, 4)
    depth = torch.zeros(count, *size)
    for number, path in files.items():
        if _map_size(path) != size:
            want = f"{list(size)} as in the frame before it"
            raise InputError(f"{path}: depth: got {list(_map_size(path))}, want {want}")
        values = read_arrays(path, ("depth",))["depth"]
        if values.ndim == 2:
            values = values.reshape(1, *size)
        depth[number] = depth_maps(f"{path}: depth", values, 1)[0]
    return depth
