"""CoTracker3_Kubric: one view with dense tracks, depth and a camera.

    <root>/0000/0000.npy           a pickled dict
                frames/000.png     depths/000.npy (h w), z-depth
    coords (n t 2) pixels, centres at i + 0.5; visibility (n t), True = **hidden**, whatever its name says;
    camera {positions (t 3), quaternions (t 4) wxyz, focal_length, sensor_width in mm}; segmentations (t h w 1)

``cameras`` is NaN where the dict has no camera, its intrinsics where that has no focal length or sensor width. Points
have no positions in space: ``points_world`` is None. The dict's own ``depth`` and ``coords_depth`` are not read.

Source: facebookresearch/co-tracker, ``cotracker/datasets/kubric_movif_dataset.py`` (coords, visibility); its issues
152, 153 (depth: the dataset's author on the z in ``depths``) and 158 (camera); google-research/kubric for the camera.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.formats.images import frame_paths, read_images
from mvt4g.formats.readers.fields import array, member
from mvt4g.formats.readers.folders import find_folders, holds_folder, numbered_files, same_count
from mvt4g.formats.readers.kubric_files import NO_HIT, kubric_cameras
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.formats.readers.track_fields import track_fields, unknown_cameras
from mvt4g.formats.safe_pickle import read_npy
from mvt4g.types import Cameras, InputError, MultiViewClip

_DEPTH_FOLDERS = ("depths", "depth")


def is_there(path: Path) -> bool:
    """Say whether a sequence is at or below a path."""
    return holds_folder(path, _is_sequence)


def list_clips(root: Path) -> list[Path]:
    """List the sequences.

    Raises:
        InputError: If there is none.
    """
    return find_folders(root, _is_sequence, "CoTracker3_Kubric sequences: 0000/0000.npy and 0000/frames/")


def count(sequence: Path) -> tuple[int, int]:
    """Return how many views (1) and frames a sequence has."""
    return 1, len(frame_paths(sequence / "frames"))


def read(sequence: Path, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one sequence.

    Raises:
        InputError: Naming file and field, if one is missing, broken, of a wrong shape or type, or contradicts another.
    """
    path = sequence / f"{sequence.name}.npy"
    pictures = frame_paths(sequence / "frames")
    sizes = {"t": len(pictures)}
    _, frames = selection.of(sequence, 1, sizes["t"])
    content = read_npy(path)
    tracks = rearrange(member(path, content, "coords", "n t 2", sizes), "n t c -> 1 t n c")
    # The field is called visibility, and holds True where a point is hidden.
    hidden = rearrange(member(path, content, "visibility", "n t", sizes, "bool"), "n t -> 1 t n")
    video = read_images([pictures[frame] for frame in frames])
    image_size = (video.shape[-2], video.shape[-1])
    return MultiViewClip(
        video=video[None],
        cameras=_cameras(path, content, sizes["t"], image_size)[:, frames],
        name=sequence.name,
        depth=_depth(sequence, frames, sizes["t"], image_size),
        instances=_instances(path, content, frames, sizes["t"], image_size),
        **track_fields(f"{path}: coords", tracks[:, frames], ~hidden[:, frames], image_size),
    )


def _is_sequence(folder: Path) -> bool:
    return (folder / f"{folder.name}.npy").is_file() and (folder / "frames").is_dir()


def _cameras(path: Path, content: Mapping[str, Any], num_frames: int, image_size: tuple[int, int]) -> Cameras:
    if "camera" not in content:
        return unknown_cameras(1, num_frames)
    cameras = kubric_cameras(f"{path}: camera", content["camera"], num_frames, image_size)
    return Cameras(cameras.cam_from_world[None], cameras.intrinsics[None])


def _depth(
    sequence: Path, frames: Sequence[int], num_frames: int, image_size: tuple[int, int]
) -> Float[Tensor, "1 t h w"] | None:
    folders = filter(Path.is_dir, map(sequence.joinpath, _DEPTH_FOLDERS))
    folder = next(folders, None)
    if folder is None:
        return None
    files = same_count(folder, "", numbered_files(folder, "", ".npy"), num_frames)
    height, width = image_size
    maps = []
    for frame in frames:
        values = array(f"{files[frame]}: depth", read_npy(files[frame]), "h w", {"h": height, "w": width})
        if (values < 0).any():
            raise InputError(f"{files[frame]}: depth: got {np.nanmin(values):g}, want depth from 0")
        maps.append(np.where(np.isfinite(values) & (values <= NO_HIT), values, 0.0))
    return torch.from_numpy(np.stack(maps)[None]).float()


def _instances(
    path: Path, content: Mapping[str, Any], frames: Sequence[int], num_frames: int, image_size: tuple[int, int]
) -> Int[Tensor, "1 t h w"] | None:
    if "segmentations" not in content:
        return None
    height, width = image_size
    sizes = {"t": num_frames, "h": height, "w": width}
    ids = member(path, content, "segmentations", "t h w 1", sizes, "whole")[frames, ..., 0]
    return torch.from_numpy(ids[None])
