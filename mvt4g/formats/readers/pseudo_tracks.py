"""Clips of real videos with tracks that a tracker found, as ``docs/pseudo_tracks.md`` describes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor

from mvt4g.formats.images import frame_paths, read_images
from mvt4g.formats.npz import read_arrays
from mvt4g.formats.readers.fields import finite, member
from mvt4g.formats.readers.folders import find_folders, holds_folder
from mvt4g.formats.readers.pseudo_track_filter import PseudoTrackFilter
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.formats.readers.track_fields import stacked, track_fields, unknown_cameras
from mvt4g.formats.video import probe_video, read_video
from mvt4g.geometry.pose import check_poses
from mvt4g.types import Cameras, InputError, MultiViewClip

TRACKS = "pseudo_tracks.npz"
CAMERAS = "cameras.npz"


class PseudoTrackClip(NamedTuple):
    """One clip, and which of its tracks are believed."""

    path: Path
    filter: PseudoTrackFilter = PseudoTrackFilter()


def is_there(path: Path) -> bool:
    """Say whether a clip is at or below a path."""
    return holds_folder(path, _is_clip)


def list_clips(root: Path) -> list[PseudoTrackClip]:
    """List the clips.

    Raises:
        InputError: If there is none.
    """
    folders = find_folders(root, _is_clip, f"folders with a {TRACKS} and view_0")
    return [PseudoTrackClip(folder) for folder in folders]


def count(clip: PseudoTrackClip) -> tuple[int, int]:
    """Return how many views and frames a clip has."""
    videos = _videos(clip.path)
    first = videos[0]
    return len(videos), len(frame_paths(first)) if first.is_dir() else probe_video(first).num_frames


def read(clip: PseudoTrackClip, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one clip; tracks are believed or not over all its views and frames, whatever is selected.

    Raises:
        InputError: Naming file and field, if one is missing, broken, or contradicts another.
    """
    path = clip.path / TRACKS
    num_views, num_frames = count(clip)
    views, frames = selection.of(clip.path, num_views, num_frames)
    sizes = {"v": num_views, "t": num_frames}
    content = read_arrays(path)
    tracks = member(path, content, "tracks", "v t n 2", sizes)
    visible = member(path, content, "visible", "v t n", sizes, "bool")
    believed = visible & _are_confident(path, content, sizes, clip.filter)
    believed &= _agree_both_ways(path, content, sizes, tracks, clip.filter)
    videos = []
    rates = []
    files = _videos(clip.path)
    for view in views:
        of_view, rate = _read_video(files[view], frames)
        videos.append(of_view)
        rates.append(rate)
    video = stacked(clip.path, "view_*", videos)
    chosen = np.ix_(views, frames)
    image_size = (video.shape[-2], video.shape[-1])
    fields = track_fields(f"{path}: tracks", tracks[chosen], believed[chosen], image_size, in_part=True)
    # Where no least share is asked for, a point of which nothing is believed is left out all the same.
    least = max(clip.filter.min_share, np.finfo(float).tiny)
    left_out = torch.from_numpy(_share(believed, visible) < least)
    fields["point_valid"] &= ~left_out
    fields["visible"] &= fields["point_valid"]
    cameras = _cameras(clip.path, sizes)[chosen]
    return MultiViewClip(video=video, cameras=cameras, name=clip.path.name, fps=rates[0], **fields)


def _are_confident(
    path: Path, content: dict[str, Shaped[ndarray, "..."]], sizes: dict[str, int], rule: PseudoTrackFilter
) -> Bool[ndarray, "v t n"] | bool:
    if "confidence" not in content:
        return True
    confidence = member(path, content, "confidence", "v t n", sizes)
    if ((confidence < 0) | (confidence > 1)).any():
        raise InputError(f"{path}: confidence: got {confidence.min():g} to {confidence.max():g}, want shares in [0, 1]")
    return np.asarray(confidence >= rule.min_confidence)


def _agree_both_ways(
    path: Path,
    content: dict[str, Shaped[ndarray, "..."]],
    sizes: dict[str, int],
    tracks: Float[ndarray, "v t n 2"],
    rule: PseudoTrackFilter,
) -> Bool[ndarray, "v t n"] | bool:
    """Return where both ways agree; NaN agrees with nothing."""
    if "backward" not in content:
        return True
    backward = member(path, content, "backward", "v t n 2", sizes)
    return np.asarray(np.linalg.norm(tracks - backward, axis=-1) <= rule.max_cycle_px)


def _share(believed: Bool[ndarray, "v t n"], visible: Bool[ndarray, "v t n"]) -> Float[ndarray, " n"]:
    """Return which share of each point's visible entries is believed, 0 where none is visible."""
    return np.asarray(believed.sum(axis=(0, 1)) / np.maximum(visible.sum(axis=(0, 1)), 1))


def _is_clip(folder: Path) -> bool:
    return (folder / TRACKS).is_file()


def _videos(clip: Path) -> list[Path]:
    """Return the video file or frame folder of every view, numbered without a gap."""
    videos: list[Path] = []
    while (found := _view(clip, len(videos))) is not None:
        videos.append(found)
    if not videos:
        want = "the video of every view"
        raise InputError(f"{clip}: got no view_0.mp4 and no folder view_0, want {want}")
    return videos


def _view(clip: Path, number: int) -> Path | None:
    candidates = (clip / f"view_{number}.mp4", clip / f"view_{number}")
    return next(filter(Path.exists, candidates), None)


def _read_video(path: Path, frames: Sequence[int]) -> tuple[Float[Tensor, "t 3 h w"], float | None]:
    if not path.is_dir():
        return read_video(path, frames=frames)[0], probe_video(path).fps
    pictures = frame_paths(path)
    if frames[-1] >= len(pictures):
        raise InputError(f"{path}: got {len(pictures)} frames, want as many as view_0 has")
    return read_images([pictures[frame] for frame in frames]), None


def _cameras(clip: Path, sizes: dict[str, int]) -> Cameras:
    path = clip / CAMERAS
    if not path.is_file():
        return unknown_cameras(sizes["v"], sizes["t"])
    content = read_arrays(path)
    pose = member(path, content, "cam_from_world", "v t 4 4", sizes)
    intrinsics = finite(f"{path}: intrinsics", member(path, content, "intrinsics", "v t 3 3", sizes))
    check_poses(torch.from_numpy(pose), f"{path}: cam_from_world ")
    return Cameras(torch.from_numpy(pose).float(), torch.from_numpy(intrinsics).float())
