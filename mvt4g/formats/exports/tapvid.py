"""TAP-Vid's pickle: videos and tracks as its evaluation reads them, one entry for every view.

A dict of clips by name: video (t h w 3) uint8; points (n t 2) float32 in [0, 1] between the picture's edges, x first;
occluded (n t), True = hidden. Our pixels run from 0 to the picture's size as TAP-Vid's raster does, so that a division
by the size is all.

Source: google-deepmind/tapnet, ``tapnet/tapvid/README.md`` (the layout; no code was copied).
"""

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from einops import rearrange
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.formats.track_files import TrackFile
from mvt4g.types import InputError


def write_tapvid(path: Path, videos: Mapping[str, Float[Tensor, "t 3 h w"]], content: TrackFile) -> None:
    """Write one entry a view; the file appears whole or not at all.

    Args:
        path: Ends in .pkl.
        videos: Of all views in their order, in [0, 1], by the names of their entries.
        content: The tracks.

    Raises:
        InputError: If videos and tracks do not fit, or the place cannot be written to.
    """
    check_videos(path, videos, content)
    height, width = content.image_size
    size = np.array([width, height], np.float32)
    entries = {
        name: {
            "video": as_bytes(video),
            "points": rearrange(content.tracks[view].cpu().numpy(), "t n xy -> n t xy").astype(np.float32) / size,
            "occluded": rearrange(~content.visible[view].cpu().numpy(), "t n -> n t"),
        }
        for view, (name, video) in enumerate(videos.items())
    }
    with appearing(path) as temporary:
        temporary.write_bytes(pickle.dumps(entries, protocol=4))


def check_videos(path: Path, videos: Mapping[str, Shaped[Tensor, "..."]], content: TrackFile) -> None:
    """Check that there is a video for every view, of the tracks' size and length.

    Raises:
        InputError: If not.
    """
    num_views, num_frames = content.tracks.shape[:2]
    if len(videos) != num_views:
        raise InputError(f"{path}: got {len(videos)} videos to write, want {num_views}, one for each view")
    for name, video in videos.items():
        if video.shape != (num_frames, 3, *content.image_size):
            want = (num_frames, 3, *content.image_size)
            raise InputError(
                f"{path}: {name}: got a video of shape {tuple(video.shape)}, want {want} as the tracks have"
            )


def as_bytes(video: Float[Tensor, "t 3 h w"]) -> UInt8[np.ndarray, "t h w 3"]:
    """Return the frames (t h w 3) in 256 levels."""
    levels = video.detach().cpu().clamp(0, 1).mul(255).round().byte()
    return np.ascontiguousarray(rearrange(levels, "t c h w -> t h w c").numpy())
