"""Writes the folder that the readers of bundles take."""

from pathlib import Path

import numpy as np

from tests.systems.wall import wall_clip


def write_bundles(root: Path) -> None:
    """Write four bundles for training and two for the test."""
    for split, numbers in (("train", range(4)), ("test", range(4, 6))):
        folder = root / split
        folder.mkdir(parents=True)
        for number in numbers:
            clip = wall_clip(number)
            tensors = {
                "video": clip.video, "tracks": clip.tracks, "visible": clip.visible, "depth": clip.depth,
                "cam_from_world": clip.cameras.cam_from_world, "intrinsics": clip.cameras.intrinsics,
            }  # fmt: skip
            np.savez(folder / f"{number}.bundle.npz", **{name: value.numpy() for name, value in tensors.items()})
