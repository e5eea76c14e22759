"""CogNVS: the folder ``cam_info`` of a sequence, which its converter makes from MegaSaM's file.

    <sequence>/cam_info/megasam_c2ws.npy        (t 4 4) world_from_cam, OpenCV axes
                        megasam_intrinsics.npy  (3 3), pixels of the depth
                        megasam_depth.npy       (t h w), z-depth

CogNVS itself makes no use of the poses: its targets are relative to each source frame. It scales fx and fy to the
video by the geometric mean of both ratios; here each is scaled by its own axis.

Source: Kaihua-Chen/cog-nvs, ``data_gen.py``, ``toolbox/convert_megasam_outputs.py``; read in public source code, not
off files it wrote.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from mvt4g.formats.foreign.reconstruction import (
    Reconstruction,
    check_count,
    depth_maps,
    numbers,
    reconstruction_of,
    transforms,
    with_fov_note,
)
from mvt4g.formats.safe_pickle import read_npy
from mvt4g.types import InputError

POSES, LENS, DEPTH = "megasam_c2ws.npy", "megasam_intrinsics.npy", "megasam_depth.npy"


def read_cognvs(folder: Path, num_frames: int | None = None, maps: bool = False) -> Reconstruction:
    """Read the cameras of a sequence, one a frame in order.

    Args:
        folder: ``cam_info``.
        num_frames: Number of poses there must be; None = any.
        maps: Read depth too.

    Raises:
        InputError: Naming the file, if one is missing, of another shape or length, or no rotation.
    """
    poses = transforms(str(folder / POSES), _read(folder / POSES))
    count = len(poses)
    check_count(str(folder / POSES), count, num_frames)
    intrinsics, depth, size = None, None, None
    if (folder / LENS).is_file():
        matrix = numbers(str(folder / LENS), _read(folder / LENS))
        if matrix.shape != (3, 3):
            raise InputError(f"{folder / LENS}: got shape {matrix.shape}, want (3, 3)")
        intrinsics = torch.from_numpy(matrix).expand(count, 3, 3)
    found = reconstruction_of(str(folder / POSES), poses, intrinsics, str(folder / LENS))
    if (folder / DEPTH).is_file():
        values = depth_maps(str(folder / DEPTH), _read(folder / DEPTH), count)
        size = (values.shape[1], values.shape[2])
        depth = values if maps else None
    return with_fov_note(replace(found, image_size=size, depth=depth), str(folder))


def _read(path: Path) -> Shaped[np.ndarray, "..."]:
    array: Any = read_npy(path)
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: got a pickled {type(array).__name__}, want an array of numbers")
    return array
