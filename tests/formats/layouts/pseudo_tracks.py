"""A folder as a user's own tracker would leave it."""

from pathlib import Path

import numpy as np
from einops import rearrange
from PIL import Image


def write_pseudo_tracks(folder: Path, clip, **arrays: np.ndarray) -> None:
    """Write a clip's videos, cameras and tracks, and further arrays beside these."""
    folder.mkdir(parents=True)
    for view, video in enumerate(clip.video):
        (folder / f"view_{view}").mkdir()
        for frame, picture in enumerate(rearrange(video, "t c h w -> t h w c").mul(255).round().byte().numpy()):
            Image.fromarray(picture).save(folder / f"view_{view}" / f"{frame:05d}.png")
    np.savez(folder / "cameras.npz", cam_from_world=clip.cameras.cam_from_world, intrinsics=clip.cameras.intrinsics)
    known = {"tracks": clip.tracks.numpy(), "visible": clip.visible.numpy()}
    np.savez(folder / "pseudo_tracks.npz", **{**known, **arrays})
