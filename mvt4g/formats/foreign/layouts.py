"""Every layout of files that other programs leave of a video's cameras, by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from mvt4g.formats.foreign.cognvs import read_cognvs
from mvt4g.formats.foreign.colmap import read_colmap_poses
from mvt4g.formats.foreign.depth_anything_3 import read_depth_anything
from mvt4g.formats.foreign.megasam import read_megasam
from mvt4g.formats.foreign.reconstruction import Reconstruction
from mvt4g.formats.foreign.trajectory import read_trajectory_cameras
from mvt4g.formats.foreign.vipe import read_vipe
from mvt4g.formats.foreign.vista4d import read_vista4d
from mvt4g.types import InputError

Layout = Literal["json", "vipe", "depth_anything_3", "megasam", "colmap", "vista4d", "cognvs"]
LAYOUTS: tuple[str, ...] = get_args(Layout)


def read_reconstruction(
    layout: str,
    path: Path,
    num_frames: int | None = None,
    maps: bool = False,
    frame_names: Sequence[str] | None = None,
) -> Reconstruction:
    """Read what a program left of a video.

    Args:
        layout: One of ``LAYOUTS``.
        path: As each reader takes it: a trajectory JSON, ViPE's ``pose/<name>.npz``, Depth Anything 3's ``results.npz``
            or streaming folder, MegaSaM's ``.npz``, the folder of COLMAP's model, Vista4D's ``.npz``, CogNVS's
            ``cam_info``.
        num_frames: Frames of the video; None = any.
        maps: Read depth and masks too, where the layout has them.
        frame_names: Of the video's frames, for COLMAP.

    Raises:
        InputError: As the reader, or for an unknown layout.
    """
    if layout == "colmap":
        return read_colmap_poses(path, frame_names, num_frames)
    readers = {
        "json": lambda: read_trajectory_cameras(path, num_frames),
        "vipe": lambda: read_vipe(path, num_frames, maps),
        "depth_anything_3": lambda: read_depth_anything(path, num_frames, maps),
        "megasam": lambda: read_megasam(path, num_frames, maps),
        "vista4d": lambda: read_vista4d(path, num_frames, maps),
        "cognvs": lambda: read_cognvs(path, num_frames, maps),
    }
    if layout not in readers:
        raise InputError(f"layout: got {layout!r}, want one of {', '.join(LAYOUTS)}")
    return readers[layout]()
