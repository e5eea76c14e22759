"""Cameras of a real video, from a file that another program or ``predict`` left."""

from pathlib import Path

from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW, Trajectory, read_views
from mvt4g.types import InputError

NAME = "{name}"
"""Stands for the video's name in ``camera.source``."""


def source_camera_file(source: str, name: str) -> Path:
    """Return the file of a video's cameras.

    Args:
        source: As the option gives it.
        name: Of the video.
    """
    return Path(source.replace(NAME, name))


def read_source_cameras(path: Path) -> Trajectory:
    """Read the path of a video's own camera: of the reference view, or of a file's only view.

    Raises:
        InputError: As ``read_views``, or if the file is of ReCamMaster, whose cameras belong to no video.
    """
    views = read_views(path, same_length=False)
    return views.get(REFERENCE_VIEW, views[TARGET_VIEW])


def check_source(source: str | None, num_videos: int) -> None:
    """Refuse the cameras of one video for several.

    Raises:
        InputError: If the option does not say which file is whose.
    """
    if source is not None and num_videos > 1 and NAME not in source:
        raise InputError(f"camera.source: got {source} for {num_videos} videos, want {NAME} in it, the video's name")
