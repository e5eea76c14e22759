"""Depth that another program left of a video, or of both videos together, at the size of the video."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.formats.foreign.depth_anything_3 import POSES_FILE, read_depth_anything
from mvt4g.formats.foreign.megasam import POSES, read_megasam
from mvt4g.formats.foreign.reconstruction import Reconstruction, depth_maps
from mvt4g.formats.foreign.vipe import read_vipe
from mvt4g.formats.npz import read_array_headers, read_arrays
from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.geometry.depth_maps import resize_depth
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import Cameras, InputError

SAME_SHAPE = 0.06
"""Largest difference of the shapes (width / height) of depth and video, as a share: sides are rounded to 14 pixels."""
WANT = "Depth Anything 3's results.npz or streaming folder, ViPE's pose/<name>.npz, MegaSaM's .npz, or an .npz of depth"


@dataclass(frozen=True)
class ViewDepth:
    """Depth of one view, at the size of its video.

    Attributes:
        depth: z-depth, 0 = none.
        confidence: In the program's own unit, 0 = none; None = nobody said.
        cameras: In the program's own world, in the unit of the depth; None = not known. Frames without a pose have
            the nearest one's, and no depth.
        is_metric: Whether the unit is a metre.
        notes: What a user should know, one sentence each.
    """

    depth: Float[Tensor, "t h w"]
    confidence: Float[Tensor, "t h w"] | None = None
    cameras: Cameras | None = None
    is_metric: bool = False
    notes: tuple[str, ...] = ()


def read_view_depth(path: Path, size: tuple[int, int], num_frames: int) -> ViewDepth:
    """Read the depth of one video.

    Args:
        path: See ``WANT``; an ``.npz`` of depth holds ``depth`` (t h w), and perhaps ``confidence``.
        size: (height, width) of the video.
        num_frames: Of the video.

    Raises:
        InputError: Naming the file, if it is broken or of another length or shape of picture.
    """
    found = _read_any(path, num_frames)
    return _at_size(path, found, size, slice(0, num_frames))


def read_joint_depth(
    path: Path, sizes: tuple[tuple[int, int], tuple[int, int]], num_frames: int
) -> tuple[ViewDepth, ViewDepth]:
    """Read the depth of both videos, all frames of the reference before all of the generated one, in one world.

    Args:
        path: As ``read_view_depth``.
        sizes: (height, width) of each video.
        num_frames: Of either video.

    Raises:
        InputError: As ``read_view_depth``.
    """
    found = _read_any(path, 2 * num_frames)
    first = _at_size(path, found, sizes[0], slice(0, num_frames))
    return first, _at_size(path, found, sizes[1], slice(num_frames, 2 * num_frames))


def depth_file_parts(path: Path) -> list[Path]:
    """Return all files that depth is read from and that are there.

    Args:
        path: As ``read_view_depth``.
    """
    if path.is_dir():
        return sorted(filter(Path.is_file, path.rglob("*")))
    # ViPE's maps lie beside the poses.
    maps = path.parent.parent / "depth" / f"{path.stem}.zip"
    return list(filter(Path.is_file, (path, maps)))


def _read_any(path: Path, num_frames: int) -> Reconstruction:
    """Read a file by the arrays that it has."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, want {WANT}")
    if path.is_dir():
        if not (path / POSES_FILE).exists():
            raise InputError(f"{path}: got a folder without {POSES_FILE}, want {WANT}")
        return read_depth_anything(path, num_frames, maps=True)
    headers = read_array_headers(path)
    if "extrinsics" in headers:
        return read_depth_anything(path, num_frames, maps=True)
    if POSES in headers:
        return read_megasam(path, num_frames, maps=True)
    if "inds" in headers:
        return read_vipe(path, num_frames, maps=True)
    if "depth" not in headers:
        raise InputError(f"{path}: got arrays {sorted(headers)}, want {WANT}")
    arrays = read_arrays(path, ("depth", "confidence"))
    depth = depth_maps(f"{path}: depth", arrays["depth"], num_frames)
    confidence = None
    if "confidence" in arrays:
        confidence = depth_maps(f"{path}: confidence", arrays["confidence"], num_frames)
        if confidence.shape != depth.shape:
            raise InputError(f"{path}: confidence: got shape {tuple(confidence.shape)}, want that of depth")
    # It tells no cameras: no frame has a pose.
    nowhere = torch.full((num_frames, 4, 4), torch.nan)
    unposed = torch.zeros(num_frames, dtype=torch.bool)
    size = (depth.shape[1], depth.shape[2])
    return Reconstruction(nowhere, unposed, image_size=size, depth=depth, confidence=confidence)


def _at_size(path: Path, found: Reconstruction, size: tuple[int, int], frames: slice) -> ViewDepth:
    if found.depth is None or found.image_size is None:
        raise InputError(f"{path}: got no depth, want {WANT}")
    shape = found.image_size[1] / found.image_size[0]
    # Depth of the source video, of which ``predict`` takes a part, would be moved against the pictures.
    if abs(shape * size[0] / size[1] - 1) > SAME_SHAPE:
        got = f"depth of {found.image_size[1]}x{found.image_size[0]}"
        raise InputError(f"{path}: got {got}, want the shape of the video, {size[1]}x{size[0]}")
    depth = resize_depth(found.depth[frames], size)
    confidence = None if found.confidence is None else found.at_size(size).confidence
    registered = found.registered[frames]
    cameras = None
    if bool(registered.any()):
        depth = depth * registered[:, None, None]
        cameras = _cameras(found, registered, size, frames)
    return ViewDepth(
        depth,
        None if confidence is None else confidence[frames],
        cameras,
        found.scale == "metres",
        found.notes,
    )


def _cameras(
    found: Reconstruction, registered: Bool[Tensor, " t"], size: tuple[int, int], frames: slice
) -> Cameras | None:
    """Return the cameras of some frames with K in pixels of a picture of ``size``."""
    if found.intrinsics is None or found.image_size is None:
        return None
    nearest = _nearest_true(registered)
    scales = size[1] / found.image_size[1], size[0] / found.image_size[0]
    intrinsics = scale_intrinsics(found.intrinsics[frames][nearest], *scales)
    return Cameras(invert_pose(found.world_from_cam[frames][nearest]), intrinsics)


def _nearest_true(flags: Bool[Tensor, " t"]) -> Int[Tensor, " t"]:
    """Return for every place the nearest one with True."""
    places = torch.arange(len(flags))
    there = places[flags]
    return there[(places[:, None] - there).abs().argmin(dim=1)]
