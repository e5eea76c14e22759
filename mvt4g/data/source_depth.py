"""Depth of a real video, from a file that another program or a script left."""

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from mvt4g.data.source_cameras import NAME
from mvt4g.data.sources import FrameSource
from mvt4g.formats.foreign.depth_files import depth_file_parts, read_view_depth
from mvt4g.geometry.depth_maps import frame_depth
from mvt4g.geometry.framing import Framing
from mvt4g.types import InputError


def source_depth_file(text: str, name: str) -> Path:
    """Return the file of a video's depth.

    Args:
        text: As ``camera.depth`` gives it.
        name: Of the video.
    """
    return Path(text.replace(NAME, name))


def source_depth_files(text: str, name: str) -> list[Path]:
    """Return all files of a video's depth that are there; arguments as ``source_depth_file``."""
    return depth_file_parts(source_depth_file(text, name))


def read_source_depth(
    text: str,
    source: FrameSource,
    kept: Sequence[int],
    framing: Framing,
) -> tuple[Float[Tensor, "t H W"], tuple[str, ...]]:
    """Return depth of the frames kept, framed as the video is, and what a user should know of it.

    The file has a map for each frame of the source, of the shape of its pictures at any size; those of the frames kept
    are taken.

    Args:
        text: As ``camera.depth`` gives it.
        source: The video.
        kept: Numbers of the frames.
        framing: What is done to its pictures.

    Raises:
        InputError: If there is no such file, it is broken, or it is of another length or shape of picture.
    """
    path = source_depth_file(text, source.name)
    found = read_view_depth(path, framing.source, source.num_frames)
    return frame_depth(found.depth[list(kept)], framing), found.notes


def check_depth(text: str | None, num_videos: int) -> None:
    """Refuse the depth of one video for several.

    Raises:
        InputError: If the option does not say which file is whose.
    """
    if text is not None and num_videos > 1 and NAME not in text:
        want = f"{NAME} in it, the video's name"
        raise InputError(f"camera.depth: got {text} for {num_videos} videos, want {want}")
