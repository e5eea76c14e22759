"""Camera poses that outside programs estimated: ViPE and Depth Anything 3 dumps. COLMAP's models are in ``colmap.py``.

Layouts were read in public source code (``Source:`` of each reader), not off files the programs wrote. Neither says
whether its pixel centres lie at i or i + 0.5: intrinsics are returned as they are, which may be half a pixel off.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from mvt4g.formats.npz import read_arrays
from mvt4g.geometry.pose import check_poses, invert_pose
from mvt4g.types import InputError


@dataclass(frozen=True)
class FilePoses:
    """The cameras of one video as a program left them.

    Attributes:
        world_from_cam: OpenCV axes, the program's own world and scale; NaN where not registered.
        registered: False for frames the program gave no pose.
        intrinsics: K in pixels; NaN where not registered; None where the file has none that fits a pinhole camera.
        image_size: (height, width) of the image K belongs to, where the file tells.
    """

    world_from_cam: Float[Tensor, "t 4 4"]
    registered: Bool[Tensor, " t"]
    intrinsics: Float[Tensor, "t 3 3"] | None = None
    image_size: tuple[int, int] | None = None


def read_vipe_poses(path: Path, intrinsics_path: Path | None = None, num_frames: int | None = None) -> FilePoses:
    """Read ViPE's ``pose/<name>.npz``: ``data`` (k 4 4) world_from_cam and ``inds`` (k), the frames they belong to.

    Args:
        path: The poses.
        intrinsics_path: ``intrinsics/<name>.npz``: ``data`` (k 4) fx, fy, cx, cy and ``inds`` (k).
        num_frames: Frames of the video; None = up to the last one with a pose.

    Raises:
        InputError: Naming file and array, if one is missing, of another shape, no rotation or beyond ``num_frames``.

    Source: nv-tlabs/vipe (Apache-2.0), ``vipe/utils/io.py``, ``save_pose_artifacts``, ``save_intrinsics_artifacts``.
    """
    poses, frames = _indexed(path, (4, 4))
    num_frames = int(frames.max()) + 1 if num_frames is None else num_frames
    world_from_cam = _placed(f"{path}: inds", poses, frames, num_frames)
    intrinsics = None
    if intrinsics_path is not None:
        lens, lens_frames = _indexed(intrinsics_path, (4,))
        matrices = pinhole_matrices(f"{intrinsics_path}: data", torch.from_numpy(lens))
        intrinsics = _placed(f"{intrinsics_path}: inds", matrices.numpy(), lens_frames, num_frames)
    return checked(f"{path}: data", world_from_cam, intrinsics)


def read_depth_anything_poses(path: Path, num_frames: int | None = None) -> FilePoses:
    """Read Depth Anything 3's ``exports/npz/results.npz`` (or ``mini_npz``): one camera per image, in their order.

    ``extrinsics`` (t 3 4) or (t 4 4) is cam_from_world, ``intrinsics`` (t 3 3) belongs to the resized image that
    ``depth`` (t h w) has the size of.

    Args:
        path: The file.
        num_frames: Number of poses it must have; None = any.

    Raises:
        InputError: Naming file and array, if one is missing, of another shape or length, or no rotation.

    Source: ByteDance-Seed/Depth-Anything-3 (Apache-2.0), ``src/depth_anything_3/utils/export/npz.py`` (arrays, from
    copies of it), ``docs/API.md`` ("opencv w2c").
    """
    arrays = read_arrays(path)
    if "extrinsics" not in arrays:
        raise InputError(f"{path}: extrinsics: missing, got arrays {sorted(arrays)}; want a run that estimates poses")
    top = _numbers(f"{path}: extrinsics", arrays["extrinsics"])
    if top.ndim != 3 or top.shape[1:] not in ((3, 4), (4, 4)):
        raise InputError(f"{path}: extrinsics: got shape {top.shape}, want (t, 3, 4) or (t, 4, 4)")
    if num_frames is not None and len(top) != num_frames:
        raise InputError(f"{path}: extrinsics: got {len(top)} poses, want {num_frames}, one per frame")
    bottom = np.broadcast_to(np.array([0.0, 0.0, 0.0, 1.0]), (len(top), 1, 4))
    cam_from_world = top if top.shape[1] == 4 else np.concatenate([top, bottom], axis=1)
    intrinsics = None
    if "intrinsics" in arrays:
        matrices = _numbers(f"{path}: intrinsics", arrays["intrinsics"])
        if matrices.shape != (len(top), 3, 3):
            raise InputError(f"{path}: intrinsics: got shape {matrices.shape}, want ({len(top)}, 3, 3)")
        intrinsics = torch.from_numpy(matrices)
    depth = arrays.get("depth")
    size = (int(depth.shape[1]), int(depth.shape[2])) if depth is not None and depth.ndim == 3 else None
    poses = checked(f"{path}: extrinsics", torch.from_numpy(cam_from_world), intrinsics)
    return FilePoses(_inverted(poses), poses.registered, poses.intrinsics, size)


def checked(what: str, poses: Float[Tensor, "t 4 4"], intrinsics: Float[Tensor, "t 3 3"] | None = None) -> FilePoses:
    """Return fp32 cameras of either direction; frames with a NaN or infinity are not registered.

    Args:
        what: File and field, for the message.
        poses: As read.
        intrinsics: As read.

    Raises:
        InputError: If a finite pose is no rigid transform.
    """
    registered = poses.isfinite().all(dim=-1).all(dim=-1)
    filled = torch.where(rearrange(registered, "t -> t 1 1"), poses, torch.eye(4, dtype=poses.dtype))
    check_poses(filled, f"{what} frame ")
    gone = rearrange(~registered, "t -> t 1 1")
    lens = None if intrinsics is None else intrinsics.float().masked_fill(gone, torch.nan)
    return FilePoses(poses.float().masked_fill(gone, torch.nan), registered, lens)


def pinhole_matrices(what: str, lens: Float[Tensor, "t 4"]) -> Float[Tensor, "t 3 3"]:
    """Return K from rows fx, fy, cx, cy.

    Raises:
        InputError: If a focal length is not positive.
    """
    if not bool((lens[:, :2] > 0).all()):
        raise InputError(f"{what}: got focal lengths down to {lens[:, :2].min():g}, want fx, fy over 0")
    matrices = torch.zeros(len(lens), 3, 3, dtype=lens.dtype)
    matrices[:, 0, 0], matrices[:, 1, 1], matrices[:, 0, 2], matrices[:, 1, 2] = lens.unbind(dim=-1)
    matrices[:, 2, 2] = 1.0
    return matrices


def _inverted(poses: FilePoses) -> Float[Tensor, "t 4 4"]:
    inverse = invert_pose(poses.world_from_cam)
    return inverse.masked_fill(rearrange(~poses.registered, "t -> t 1 1"), torch.nan)


def _indexed(path: Path, shape: tuple[int, ...]) -> tuple[Float[ndarray, "k ..."], Int[ndarray, " k"]]:
    """Read ``data`` (k, *shape) and ``inds`` (k)."""
    arrays = read_arrays(path)
    for name in ("data", "inds"):
        if name not in arrays:
            raise InputError(f"{path}: {name}: missing, got arrays {sorted(arrays)}")
    data, frames = _numbers(f"{path}: data", arrays["data"]), arrays["inds"]
    if data.shape[1:] != shape or not len(data):
        raise InputError(f"{path}: data: got shape {data.shape}, want (k, {', '.join(map(str, shape))}), k >= 1")
    if frames.shape != (len(data),) or not np.issubdtype(frames.dtype, np.integer):
        raise InputError(f"{path}: inds: got {frames.dtype} of shape {frames.shape}, want {len(data)} whole numbers")
    return data, frames


def _placed(
    what: str, values: Float[ndarray, "k i j"], frames: Int[ndarray, " k"], num_frames: int
) -> Float[Tensor, "t i j"]:
    """Put matrices at their frames, NaN elsewhere."""
    if len(np.unique(frames)) != len(frames) or frames.min() < 0 or frames.max() >= num_frames:
        raise InputError(f"{what}: got frames {frames.min()} to {frames.max()}, want each once, 0 to {num_frames - 1}")
    placed = np.full((num_frames, *values.shape[1:]), np.nan)
    placed[frames] = values
    return torch.from_numpy(placed)


def _numbers(what: str, array: Shaped[ndarray, " *s"]) -> Float[ndarray, " *s"]:
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{what}: got {array.dtype}, want floating-point numbers")
    return array.astype(np.float64)
