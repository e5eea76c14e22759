"""MV-TAP's Kubric: several views with tracks in each, without depth and positions in space.

    <root>/<chunk>/frames/<sequence>/<view>/rgba_*.png
    <root>/<chunk>/stacked_tracks/<sequence>/tracks.npy | tracks.npz        (the evaluation set has no chunks)
      coords (v n t 2) pixels, centres at i + 0.5; occluded (v n t); is_bkgd (v n 1); intrinsics (v t 3 3) pixels;
      cam_rot (v t 3 3), cam_trans (v t 3): camera from world, with y up and -z forward

Views are in the order of their folders' names as text (view_10 before view_2), as MV-TAP's own loader takes them. Of a
point it is known only whether it lies on the background: ``point_instance`` is 0 there and 1 on any object.

Source: cvlab-kaist/MV-TAP (MIT), ``data/kubric_train.py``, ``data/kubric_eval.py``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from mvt4g.formats.images import read_images
from mvt4g.formats.npz import read_arrays
from mvt4g.formats.readers.fields import finite, member
from mvt4g.formats.readers.folders import find_folders, holds_folder, numbered_files
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.formats.readers.track_fields import stacked, track_fields
from mvt4g.formats.safe_pickle import read_npy
from mvt4g.geometry.pose import check_poses
from mvt4g.types import Cameras, InputError, MultiViewClip

_TRACKS = "stacked_tracks"


def is_there(path: Path) -> bool:
    """Say whether a sequence is at or below a path."""
    return holds_folder(path, _is_sequence)


def list_clips(root: Path) -> list[Path]:
    """List the sequences' folders of frames.

    Raises:
        InputError: If there is none.
    """
    return find_folders(root, _is_sequence, f"MV-TAP sequences: frames/<name>/<view>/ and {_TRACKS}/<name>/tracks.npy")


def count(sequence: Path) -> tuple[int, int]:
    """Return how many views and frames a sequence has."""
    views = _views(sequence)
    return len(views), len(views[0])


def read(sequence: Path, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one sequence.

    Raises:
        InputError: Naming file and field, if one is missing, broken, of a wrong shape or type, or contradicts another.
    """
    pictures = _views(sequence)
    sizes = {"v": len(pictures), "t": len(pictures[0])}
    chosen, frames = selection.of(sequence, sizes["v"], sizes["t"])
    path = _tracks_file(sequence)
    content = read_npy(path) if path.suffix == ".npy" else read_arrays(path)
    tracks = rearrange(member(path, content, "coords", "v n t 2", sizes), "v n t c -> v t n c")
    occluded = rearrange(member(path, content, "occluded", "v n t", sizes, "bool"), "v n t -> v t n")
    # Alike in all views, since a point stays on its body.
    background = member(path, content, "is_bkgd", "v n k", sizes, "bool")[:1, :, :1].any(axis=(0, 2))
    cameras = _cameras(path, content, sizes)
    videos = []
    for view in chosen:
        videos.append(read_images([pictures[view][frame] for frame in frames]))
    video = stacked(sequence, "rgba", videos)
    image_size = (video.shape[-2], video.shape[-1])
    picked = np.ix_(chosen, frames)
    return MultiViewClip(
        video=video,
        cameras=Cameras(cameras.cam_from_world[picked], cameras.intrinsics[picked]),
        name=sequence.name,
        point_instance=torch.from_numpy((~background).astype(np.int64)),
        **track_fields(f"{path}: coords", tracks[picked], ~occluded[picked], image_size),
    )


def _is_sequence(folder: Path) -> bool:
    return folder.parent.name == "frames" and (folder.parents[1] / _TRACKS / folder.name).is_dir()


def _views(sequence: Path) -> list[list[Path]]:
    """Return the pictures of every view, in the order of their numbers, as tracks and cameras are."""
    folders = sorted(path for path in sequence.iterdir() if path.is_dir() and not path.name.startswith("."))
    views = []
    lengths = {}
    for folder in folders:
        pictures = numbered_files(folder, "rgba_", ".png")
        views.append(pictures)
        lengths[folder.name] = len(pictures)
    if not views or len(set(lengths.values())) != 1 or not views[0]:
        want = "the same number in each, one or more"
        raise InputError(f"{sequence}: got {lengths} rgba_*.png by view, want {want}")
    return views


def _tracks_file(sequence: Path) -> Path:
    folder = sequence.parents[1] / _TRACKS / sequence.name
    for path in (folder / "tracks.npy", folder / "tracks.npz"):
        if path.is_file():
            return path
    raise InputError(f"{folder}: got no tracks.npy or tracks.npz, want one")


def _cameras(path: Path, content: Any, sizes: dict[str, int]) -> Cameras:
    rotation = finite(f"{path}: cam_rot", member(path, content, "cam_rot", "v t 3 3", sizes))
    translation = finite(f"{path}: cam_trans", member(path, content, "cam_trans", "v t 3", sizes))
    intrinsics = finite(f"{path}: intrinsics", member(path, content, "intrinsics", "v t 3 3", sizes))
    focal = intrinsics[..., [0, 1], [0, 1]]
    if (focal <= 0).any():
        raise InputError(f"{path}: intrinsics: got a focal length of {focal.min():g}, want > 0")
    poses = _opencv(rotation, translation)
    check_poses(poses, f"{path}: cam_rot")
    return Cameras(poses.float(), torch.from_numpy(intrinsics).float())


def _opencv(rotation: Float[ndarray, "v t 3 3"], translation: Float[ndarray, "v t 3"]) -> Float[Tensor, "v t 4 4"]:
    """Turn the camera's axes from y up, -z forward to y down, z forward."""
    poses = np.zeros((*rotation.shape[:2], 4, 4))
    poses[..., :3, :3] = rotation
    poses[..., :3, 3] = translation
    poses[..., 3, 3] = 1.0
    poses[..., 1:3, :] *= -1.0
    return torch.from_numpy(poses)
