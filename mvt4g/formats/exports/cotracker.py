"""CoTracker's sequences, one for every view: what its Kubric loader trains on, and ``formats.readers`` read.

    <root>/<name>/<name>.npy          a dict: coords (n t 2) float32 pixels, visibility (n t) True = **hidden**
                  frames/000.png ...

Source: facebookresearch/co-tracker, ``cotracker/datasets/kubric_movif_dataset.py`` (the layout; no code was copied).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from mvt4g.formats.atomic import appearing_folder
from mvt4g.formats.exports.tapvid import as_bytes, check_videos
from mvt4g.formats.track_files import TrackFile


def write_cotracker(root: Path, videos: Mapping[str, Float[Tensor, "t 3 h w"]], content: TrackFile) -> None:
    """Write one sequence a view; each folder appears whole or not at all.

    Args:
        root: Takes a folder for each view, none of which is there yet.
        videos: Of all views in their order, in [0, 1], by the names of their sequences.
        content: The tracks.

    Raises:
        InputError: If videos and tracks do not fit, or the place cannot be written to.
    """
    check_videos(root, videos, content)
    for view, (name, video) in enumerate(videos.items()):
        entry: dict[str, Any] = {
            "coords": rearrange(content.tracks[view].cpu().numpy(), "t n xy -> n t xy").astype(np.float32),
            "visibility": rearrange(~content.visible[view].cpu().numpy(), "t n -> n t"),
        }
        with appearing_folder(root / name) as folder:
            (folder / "frames").mkdir()
            for number, picture in enumerate(as_bytes(video)):
                Image.fromarray(picture).save(folder / "frames" / f"{number:03d}.png")
            np.save(folder / f"{name}.npy", np.array(entry, dtype=object), allow_pickle=True)
