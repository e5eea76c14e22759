"""A trajectory JSON (``formats/trajectory_json.py``) as a reconstruction: the cameras of one video."""

from dataclasses import replace
from pathlib import Path

from mvt4g.formats.foreign.reconstruction import Reconstruction, check_count, reconstruction_of, with_fov_note
from mvt4g.formats.trajectory_json import read_trajectory


def read_trajectory_cameras(path: Path, num_frames: int | None = None) -> Reconstruction:
    """Read the target's cameras; scene units, whatever these are.

    Args:
        path: The JSON.
        num_frames: Number of poses there must be, or one that stands for all; None = any.

    Raises:
        InputError: As ``read_trajectory``.
    """
    trajectory = read_trajectory(path, num_frames)
    check_count(str(path), len(trajectory.world_from_cam), num_frames)
    found = reconstruction_of(str(path), trajectory.world_from_cam, trajectory.intrinsics, str(path))
    return with_fov_note(replace(found, image_size=trajectory.image_size), str(path))
