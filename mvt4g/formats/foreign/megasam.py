"""MegaSaM: ``<name>_sgd_cvd_hr.npz``, and files of the same arrays that other programs write.

Arrays: ``cam_c2w`` (t 4 4) world_from_cam, OpenCV axes; ``intrinsic`` (3 3), one for all frames, pixels of ``depths``
(t h w), which is z-depth in the scale of the poses; perhaps ``images`` (t h w 3), which is not read. The scale comes
from single-image networks and is not to be relied on.

Source: mega-sam/mega-sam (Apache-2.0), ``cvd_opt/cvd_opt.py``; Kaihua-Chen/cog-nvs,
``toolbox/convert_megasam_outputs.py``; cvlab-kaist/3DScenePrompt, ``demo_from_folder.py``. The latter two read and
write the same arrays. Read in public source code, not off files the programs wrote.
"""

from dataclasses import replace
from pathlib import Path

import torch

from mvt4g.formats.foreign.reconstruction import (
    Reconstruction,
    check_count,
    depth_maps,
    numbers,
    reconstruction_of,
    transforms,
    with_fov_note,
)
from mvt4g.formats.npz import read_array_headers, read_arrays
from mvt4g.types import InputError

POSES = "cam_c2w"
LENS = "intrinsic"
DEPTH = "depths"


def read_megasam(path: Path, num_frames: int | None = None, maps: bool = False) -> Reconstruction:
    """Read what MegaSaM left of a video, one camera a frame in order.

    Args:
        path: The ``.npz``.
        num_frames: Number of poses there must be; None = any.
        maps: Read depth too.

    Raises:
        InputError: Naming file and array, if one is missing, of another shape or length, or no rotation.
    """
    headers = read_array_headers(path)
    if POSES not in headers:
        raise InputError(f"{path}: {POSES}: missing, got arrays {sorted(headers)}")
    arrays = read_arrays(path, (POSES, LENS, *((DEPTH,) if maps else ())))
    poses = transforms(f"{path}: {POSES}", arrays[POSES])
    count = len(poses)
    check_count(f"{path}: {POSES}", count, num_frames)
    intrinsics = None
    if LENS in arrays:
        matrices = numbers(f"{path}: {LENS}", arrays[LENS])
        if matrices.shape not in ((3, 3), (count, 3, 3)):
            want = f"(3, 3) or ({count}, 3, 3)"
            raise InputError(f"{path}: {LENS}: got shape {matrices.shape}, want {want}")
        intrinsics = torch.from_numpy(matrices).expand(count, 3, 3)
    found = reconstruction_of(f"{path}: {POSES}", poses, intrinsics, f"{path}: {LENS}")
    size = None
    depth = None
    if DEPTH in headers:
        shape = headers[DEPTH].shape
        if len(shape) != 3 or shape[0] != count or 0 in shape:
            raise InputError(f"{path}: {DEPTH}: got shape {shape}, want ({count}, h, w)")
        size = (shape[1], shape[2])
        depth = depth_maps(f"{path}: {DEPTH}", arrays[DEPTH], count) if maps else None
    return with_fov_note(replace(found, image_size=size, depth=depth), str(path))
