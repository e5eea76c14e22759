"""A reader: one ``*.bundle.npz`` a clip, with video, cameras, tracks."""

from dataclasses import replace

import numpy as np
import torch

from mvt4g.formats.readers.reader import Reader
from mvt4g.formats.readers.selection import EVERYTHING
from mvt4g.types import Cameras, InputError, MultiViewClip


class Bundles(Reader):
    """Reads a folder of bundles."""

    layout = "bundles: *.bundle.npz"

    def is_there(self, path):
        return any(path.glob("*.bundle.npz"))

    def list_clips(self, path):
        if not (found := sorted(path.glob("*.bundle.npz"))):
            raise InputError(f"{path}: got no bundle, want *.bundle.npz")
        return found

    def count(self, clip):
        with np.load(clip) as content:
            return content["visible"].shape[:2]

    def read(self, clip, selection=EVERYTHING):
        with np.load(clip) as content:
            found = {name: torch.from_numpy(content[name]) for name in content.files}
        views, frames = selection.of(clip, *found["visible"].shape[:2])
        cameras = Cameras(found.pop("cam_from_world"), found.pop("intrinsics"))[views][:, frames]
        found = {name: value[views][:, frames] for name, value in found.items()}
        return replace(MultiViewClip(found.pop("video"), cameras, clip.name), **found)
