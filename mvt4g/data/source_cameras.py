"""Cameras of a real video, from a file that another program or ``predict`` left."""

from dataclasses import dataclass
from pathlib import Path

from mvt4g.data.sources import FolderSource, FrameSource
from mvt4g.formats.foreign.layouts import read_reconstruction
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, SHARES, TARGET_VIEW, Trajectory, read_views
from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.types import InputError

NAME = "{name}"
"""Stands for the video's name in ``camera.source``."""


@dataclass(frozen=True)
class SourceCameras:
    """A video's own cameras.

    Attributes:
        path: Of the video's camera; NaN where the program found no pose.
        file: What they were read from.
        notes: What a user should know of them, one sentence each.
    """

    path: Trajectory
    file: str
    notes: tuple[str, ...] = ()


def source_camera_file(source: str, name: str) -> Path:
    """Return the file of a video's cameras.

    Args:
        source: As the option gives it.
        name: Of the video.
    """
    return Path(source.replace(NAME, name))


def source_camera_files(path: Path, layout: str) -> list[Path]:
    """Return all files of these cameras that are there.

    Args:
        path: As ``source_camera_file``.
        layout: As the option gives it.
    """
    if path.is_dir():
        # COLMAP's in either form, Depth Anything 3's and CogNVS's.
        names = (
            "images.bin", "cameras.bin", "images.txt", "cameras.txt", "camera_poses.txt", "intrinsic.txt",
            "megasam_c2ws.npy", "megasam_intrinsics.npy",
        )  # fmt: skip
        return list(filter(Path.is_file, map(path.joinpath, names)))
    files = [path]
    if layout == "vipe":
        lenses = path.parent.parent / "intrinsics"
        beside = (lenses / f"{path.stem}.npz", lenses / f"{path.stem}_camera.txt")
        files += filter(Path.is_file, beside)
    return files


def read_source_cameras(path: Path, layout: str = "json", source: FrameSource | None = None) -> SourceCameras:
    """Read the cameras of a video.

    Args:
        path: As the layout's reader takes it; of a trajectory JSON the reference view is taken, or the only one.
        layout: One of ``formats.foreign.layouts.LAYOUTS``.
        source: The video: its number of frames, and their names where they are files; None = not known.

    Raises:
        InputError: As the reader.
    """
    if layout == "json":
        views = read_views(path, same_length=False)
        view = views.get(REFERENCE_VIEW, views[TARGET_VIEW])
        if view.intrinsics is None:
            return SourceCameras(view, str(path), (_no_lens(path),))
        return SourceCameras(view, str(path))
    names = None
    if layout == "colmap" and isinstance(source, FolderSource):
        frames = source.files[: source.num_frames]  # masks come after the frames
        names = [file.name for file in frames]
    # ViPE leaves out frames at the end that it has no pose of.
    count = source.num_frames if source is not None and layout == "vipe" else None
    found = read_reconstruction(layout, path, count, frame_names=names)
    notes = found.notes
    if found.scale == "unknown":
        notes = (*notes, f"{path}: the scale is not known, so that a metre of a motion is one unit of the program")
    lenses = found.intrinsics
    size = found.image_size
    if lenses is None or size is None:
        without_lens = Trajectory(found.world_from_cam)
        return SourceCameras(without_lens, str(path), (*notes, _no_lens(path)))
    shares = scale_intrinsics(lenses, 1 / size[1], 1 / size[0])
    return SourceCameras(Trajectory(found.world_from_cam, shares, SHARES), str(path), notes)


def _no_lens(path: Path) -> str:
    return f"{path}: got no intrinsics of a known picture size, so that camera.fov_deg is taken"


def check_source(source: str | None, num_videos: int) -> None:
    """Refuse the cameras of one video for several.

    Raises:
        InputError: If the option does not say which file is whose.
    """
    if source is not None and num_videos > 1 and NAME not in source:
        want = f"{NAME} in it, the video's name"
        raise InputError(f"camera.source: got {source} for {num_videos} videos, want {want}")
