"""Vista4D: ``cameras.npz`` of a reconstruction, and the target cameras of its evaluation set.

    recon_and_seg/<video>/cameras.npz     cam_c2w (t 4 4) world_from_cam, intrinsics (t 4) fx fy cx cy
                          depths/00000.exr ...        z-depth, channel Y, half floats
                          dynamic_mask/00000.png ...  over 127 = moves
    cameras/<video>/<camera>.npz          the same arrays for a target, in the world of the reconstruction

Arrays ``cam_c2w_fsff`` and ``intrinsics_fsff`` (the target's first frame made the source's) are not read.
Intrinsics are in pixels of the reconstruction's video. A file does not tell its size; as in the program's own code, it
is taken to be twice the mean principal point, unless depth or masks tell it.

Source: Eyeline-Labs/Vista4D (Apache-2.0), ``utils/media.py``, read in public source code, not off files it wrote.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.formats.foreign.exr import read_exr_channel
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
from mvt4g.formats.images import load_image
from mvt4g.formats.npz import read_arrays
from mvt4g.formats.parsing.files import check_regular
from mvt4g.types import InputError

POSES, LENS = "cam_c2w", "intrinsics"
DEPTHS, MASKS = "depths", "dynamic_mask"
_MOVES = 127


def read_vista4d(path: Path, num_frames: int | None = None, maps: bool = False) -> Reconstruction:
    """Read the cameras of a video or of a target, one a frame in order.

    Args:
        path: The ``.npz``; depth and masks are in the folders beside it.
        num_frames: Number of poses there must be; None = any.
        maps: Read depth and masks too, where they are.

    Raises:
        InputError: Naming file and array, if one is missing, of another shape or length, or no rotation.
    """
    arrays = read_arrays(path, (POSES, LENS))
    for name in (POSES, LENS):
        if name not in arrays:
            raise InputError(f"{path}: {name}: missing, got arrays {sorted(arrays)}")
    poses = transforms(f"{path}: {POSES}", arrays[POSES])
    count = len(poses)
    check_count(f"{path}: {POSES}", count, num_frames)
    lens = torch.from_numpy(numbers(f"{path}: {LENS}", arrays[LENS]))
    if lens.shape != (count, 4):
        raise InputError(f"{path}: {LENS}: got shape {tuple(lens.shape)}, want ({count}, 4): fx fy cx cy")
    intrinsics = pinhole_matrices(f"{path}: {LENS}", lens)
    found = reconstruction_of(f"{path}: {POSES}", poses, intrinsics, f"{path}: {LENS}")
    depth = _read_depth(path.parent / DEPTHS, count) if maps else None
    dynamic = _read_masks(path.parent / MASKS, count) if maps else None
    size = _size_of(path, lens, depth, dynamic)
    return with_fov_note(replace(found, image_size=size, depth=depth, dynamic=dynamic), str(path))


def _size_of(
    path: Path,
    lens: Float[Tensor, "t 4"],
    depth: Float[Tensor, "t h w"] | None,
    dynamic: Bool[Tensor, "t h2 w2"] | None,
) -> tuple[int, int]:
    """Return the size that the maps tell, or else twice the principal point."""
    sizes = {(values.shape[1], values.shape[2]) for values in (depth, dynamic) if values is not None}
    if len(sizes) > 1:
        raise InputError(f"{path.parent}: got depth and masks of sizes {sorted(sizes)}, want one size")
    if sizes:
        return sizes.pop()
    width, height = (round(2 * float(lens[:, column].mean())) for column in (2, 3))
    if width < 1 or height < 1:
        raise InputError(f"{path}: {LENS}: got a principal point of {width / 2:g}, {height / 2:g}, want it over 0")
    return height, width


def _read_depth(folder: Path, count: int) -> Float[Tensor, "t h w"] | None:
    """Read the depth of every frame; None where there is no folder."""
    files = _frame_files(folder, ".exr", count)
    maps = [depth_maps(str(file), read_exr_channel(_content(file), "Y", str(file))[None], 1)[0] for file in files]
    return _stacked(files, maps)


def _read_masks(folder: Path, count: int) -> Bool[Tensor, "t h w"] | None:
    """Read what moves in every frame; None where there is no folder."""
    files = _frame_files(folder, ".png", count)
    masks = []
    for file in files:
        image = load_image(_content(file), str(file))
        masks.append(torch.from_numpy(np.asarray(image.convert("L")) > _MOVES))
    return _stacked(files, masks)


def _frame_files(folder: Path, suffix: str, count: int) -> list[Path]:
    if not folder.is_dir():
        return []
    files = sorted(folder.glob(f"*{suffix}"))
    if len(files) != count:
        raise InputError(f"{folder}: got {len(files)} files {suffix}, want {count}, one a pose")
    return files


def _content(file: Path) -> bytes:
    check_regular(file, "a readable file")
    return file.read_bytes()


def _stacked(files: Sequence[Path], maps: Sequence[Shaped[Tensor, "h w"]]) -> Shaped[Tensor, "t h w"] | None:
    if not maps:
        return None
    for file, values in zip(files, maps, strict=True):
        if values.shape != maps[0].shape:
            want = list(maps[0].shape)
            raise InputError(f"{file}: got {list(values.shape)}, want {want} as in the frame before it")
    check_memory(str(files[0].parent), len(maps), maps[0].shape, maps[0].element_size())
    return torch.stack(list(maps))
