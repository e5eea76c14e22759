"""What is lifted: the two videos of a scene, and what is known about them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mvt4g.formats.generated_folder import GENERATED, read_generated
from mvt4g.formats.images import frame_paths, read_images
from mvt4g.formats.readers.registry import open_source
from mvt4g.formats.scene4d import VIEWS, TrueTracks
from mvt4g.formats.track_files import TrackFile, read_tracks
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW, Trajectory, read_views
from mvt4g.formats.video import read_video
from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.geometry.pose import invert_pose
from mvt4g.inference.lifting.benchmark_video import find_benchmark_video
from mvt4g.types import Cameras, InputError, MultiViewClip, ViewRecord

DEFAULT_FPS = 8.0
"""Of videos that tell no rate: folders of frames."""
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif")


@dataclass(frozen=True)
class GivenTracks:
    """Points in both views.

    Attributes:
        pixels: (x, y) of the view's video.
        visible: Where the point is said to be seen.
    """

    pixels: Float[Tensor, "2 t n 2"]
    visible: Bool[Tensor, "2 t n"]


@dataclass(frozen=True)
class LiftInput:
    """Two synchronous videos, reference first; None = not known.

    Attributes:
        name: For messages.
        videos: Colours; the sizes may differ.
        times_s: When a frame is shown, seconds from the first.
        cameras: Of each view (t), in one world; true ones or those asked for.
        tracks: Of points in both views.
        depth: z-depth of each view at its video's size, true ones.
        instances: Ids of every pixel of each view; ``point_instance`` those of the tracked points.
        point_instance: Of each tracked point.
        true_tracks: Where they are known.
    """

    name: str
    videos: tuple[UInt8[Tensor, "t h w 3"], UInt8[Tensor, "t h2 w2 3"]]
    times_s: Float[Tensor, " t"]
    cameras: tuple[Cameras, Cameras] | None = None
    tracks: GivenTracks | None = None
    depth: tuple[Float[Tensor, "t h w"], Float[Tensor, "t h2 w2"]] | None = None
    instances: tuple[Int[Tensor, "t h w"], Int[Tensor, "t h2 w2"]] | None = None
    point_instance: Int[Tensor, " n"] | None = None
    true_tracks: TrueTracks | None = None

    @property
    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(height, width) of each view."""
        first, second = self.videos
        return (first.shape[1], first.shape[2]), (second.shape[1], second.shape[2])


@dataclass(frozen=True)
class PairFiles:
    """What belongs to a generated video that lies alone.

    Attributes:
        reference: The video that it was generated from; a file, or a folder of frames.
        cameras: A trajectory (.json) of both views.
        tracks: As ``predict`` writes them (.npz or .json).
    """

    reference: Path | None = None
    cameras: Path | None = None
    tracks: Path | None = None


def read_lift_input(path: Path, files: PairFiles = PairFiles()) -> LiftInput:
    """Read what is to be lifted.

    Args:
        path: A folder that ``predict`` wrote, any folder of ``formats.generated_folder``, a clip of two views in any
            known format, a video of ``mvt4g benchmark generate``, or a generated video (file or folder of frames),
            with ``files`` telling the rest.
        files: Of a generated video that lies alone.

    Raises:
        InputError: If a view is missing, lengths differ, or a file is broken; the message names it.
    """
    if files.reference is not None:
        return _read_files(path, files)
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        return _read_benchmark(path, files)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, want a folder that predict wrote, or a clip of two views")
    if _video_there(path, GENERATED):
        return _read_generated(path)
    if _video_there(path, REFERENCE_VIEW) and _video_there(path, TARGET_VIEW):
        return _read_two_videos(path)
    if _video_there(path, REFERENCE_VIEW):
        raise InputError(f"{path}: got {REFERENCE_VIEW} and no {GENERATED}.mp4, want the generated video")
    return _read_clip(path)


def _video_there(folder: Path, name: str) -> bool:
    return (folder / f"{name}.mp4").exists() or (folder / name).is_dir()


def _read_generated(folder: Path) -> LiftInput:
    known = read_generated(folder)
    if known.reference.video is None:
        raise InputError(f"{folder}: got no {REFERENCE_VIEW}.mp4, want the video that {GENERATED}.mp4 was made from")
    video = known.video[0]
    fps = DEFAULT_FPS if known.fps is None else float(known.fps[0])
    # The generated video shows the target view as far as it is right: its depth is taken for that of the target.
    depth = None
    if known.reference.depth is not None and known.target.depth is not None:
        depth = (known.reference.depth[0], known.target.depth[0])
    cameras = None
    reference = _cameras_of(known.reference)
    target = _cameras_of(known.target)
    if reference is not None and target is not None:
        cameras = (reference, target)
    videos = (_bytes(known.reference.video[0]), _bytes(video))
    tracks = _read_tracks(folder, (video.shape[2], video.shape[3]), len(video))
    return LiftInput(str(folder), videos, _times(len(video), fps), cameras, tracks, depth)


def _cameras_of(view: ViewRecord) -> Cameras | None:
    if view.cam_from_world is None or view.intrinsics is None:
        return None
    return Cameras(view.cam_from_world[0], view.intrinsics[0])


def _read_two_videos(folder: Path) -> LiftInput:
    """Read what ``predict`` leaves of two given videos: no cameras."""
    reference, fps = _read_any_video(folder / f"{REFERENCE_VIEW}.mp4")
    target, _ = _read_any_video(folder / f"{TARGET_VIEW}.mp4")
    _check_lengths(str(folder), reference, target)
    tracks = _read_tracks(folder, (reference.shape[1], reference.shape[2]), len(reference))
    return LiftInput(str(folder), (reference, target), _times(len(reference), fps), tracks=tracks)


def _read_benchmark(path: Path, files: PairFiles) -> LiftInput:
    found = find_benchmark_video(path)
    if found is None:
        raise InputError(f"{path}: got a video alone, want --pair.reference, the video it was generated from")
    generated, fps = _read_any_video(path)
    cameras = found.cameras if files.cameras is None else files.cameras
    return _pair_of(path, (_bytes(found.read_reference()), generated), fps, cameras, files.tracks)


def _read_files(path: Path, files: PairFiles) -> LiftInput:
    assert files.reference is not None
    reference, fps = _read_any_video(files.reference)
    generated, _ = _read_any_video(path)
    return _pair_of(path, (reference, generated), fps, files.cameras, files.tracks)


def _pair_of(
    path: Path,
    videos: tuple[UInt8[Tensor, "t h w 3"], UInt8[Tensor, "t2 h2 w2 3"]],
    fps: float,
    cameras_file: Path | None,
    tracks_file: Path | None,
) -> LiftInput:
    """Put the files of one pair together; K and tracks are told for the size of each video."""
    _check_lengths(str(path), *videos)
    num_frames = len(videos[0])
    sizes = [(video.shape[1], video.shape[2]) for video in videos]
    cameras = None
    if cameras_file is not None:
        views = read_views(cameras_file)
        # A file of one path is that of the target, seen from a reference that stands still.
        still = Trajectory(torch.eye(4)[None], *_lens_of(views[TARGET_VIEW]))
        reference = _sized(cameras_file, views.get(REFERENCE_VIEW, still), sizes[0], num_frames)
        cameras = (reference, _sized(cameras_file, views[TARGET_VIEW], sizes[1], num_frames))
    tracks = None
    if tracks_file is not None:
        tracks = _given(tracks_file, read_tracks(tracks_file), sizes[0], num_frames)
    return LiftInput(str(path), videos, _times(num_frames, fps), cameras, tracks)


def _lens_of(path: Trajectory) -> tuple[Float[Tensor, "t 3 3"] | None, tuple[int, int] | None]:
    return (None, None) if path.intrinsics is None else (path.intrinsics[:1], path.image_size)


def _sized(file: Path, path: Trajectory, size: tuple[int, int], num_frames: int) -> Cameras:
    """Return the cameras of a trajectory with K in pixels of a video of its own size."""
    path = path.of_length(num_frames)
    if len(path.world_from_cam) != num_frames:
        raise InputError(f"{file}: got {len(path.world_from_cam)} poses, want {num_frames}, one a frame, or 1")
    if path.intrinsics is None or path.image_size is None:
        raise InputError(f"{file}: intrinsics: missing, want K of both views")
    scales = size[1] / path.image_size[1], size[0] / path.image_size[0]
    return Cameras(invert_pose(path.world_from_cam), scale_intrinsics(path.intrinsics, *scales))


def _read_clip(path: Path) -> LiftInput:
    source = open_source(path)
    if len(source) != 1:
        raise InputError(f"{path}: got {len(source)} clips, want the path of one, such as {path / source.names[0]}")
    clip = source[0]
    if clip.video.shape[0] < 2:
        raise InputError(f"{path}: got a clip of one view, want two: the reference and the {VIEWS[1]} view")
    clip = clip.select_views([0, 1])
    videos = [_bytes(video) for video in clip.video]
    depth = None if clip.depth is None else (clip.depth[0].float(), clip.depth[1].float())
    tracks, truth, ids = _tracks_of(clip)
    fps = clip.fps if isinstance(clip.fps, float | int) else DEFAULT_FPS
    return LiftInput(
        name=str(path),
        videos=(videos[0], videos[1]),
        times_s=_times(clip.video.shape[1], fps),
        cameras=(clip.cameras[0], clip.cameras[1]),
        tracks=tracks,
        depth=depth,
        instances=None if clip.instances is None or ids is None else (clip.instances[0], clip.instances[1]),
        point_instance=ids,
        true_tracks=truth,
    )


def _tracks_of(clip: MultiViewClip) -> tuple[GivenTracks | None, TrueTracks | None, Int[Tensor, " n"] | None]:
    """Return a clip's tracks as given ones, as true ones, and their instances; points of padding are left out."""
    if clip.tracks is None or clip.visible is None:
        return None, None, None
    valid = torch.ones(clip.tracks.shape[2], dtype=torch.bool) if clip.point_valid is None else clip.point_valid
    pixels = clip.tracks[:, :, valid]
    visible = clip.visible[:, :, valid]
    truth = None if clip.points_world is None else TrueTracks(pixels, visible, clip.points_world[:, valid])
    ids = None if clip.point_instance is None else clip.point_instance[valid]
    return GivenTracks(pixels, visible), truth, ids


def _read_tracks(folder: Path, size: tuple[int, int], num_frames: int) -> GivenTracks | None:
    path = folder / "tracks.npz"
    return _given(path, read_tracks(path), size, num_frames) if path.exists() else None


def _given(path: Path, found: TrackFile, size: tuple[int, int], num_frames: int) -> GivenTracks:
    got = (*found.tracks.shape[:2], *found.image_size)
    want = (2, num_frames, *size)
    if got != want:
        raise InputError(f"{path}: got views, frames, height, width {got}, want {want} as the videos have")
    return GivenTracks(found.tracks, found.visible)


def _read_any_video(path: Path) -> tuple[UInt8[Tensor, "t h w 3"], float]:
    folder = path.with_suffix("")
    if path.is_dir() or (not path.exists() and folder.is_dir()):
        return _bytes(read_images(frame_paths(path if path.is_dir() else folder))), DEFAULT_FPS
    video, fps = read_video(path)
    return _bytes(video), fps


def _bytes(video: Float[Tensor, "t 3 h w"]) -> UInt8[Tensor, "t h w 3"]:
    return rearrange(video.mul(255).round().clamp(0, 255).to(torch.uint8), "t c h w -> t h w c").contiguous()


def _times(num_frames: int, fps: float) -> Float[Tensor, " t"]:
    return torch.arange(num_frames, dtype=torch.float32) / fps


def _check_lengths(what: str, first: UInt8[Tensor, "t h w 3"], second: UInt8[Tensor, "t2 h2 w2 3"]) -> None:
    if len(first) != len(second):
        raise InputError(f"{what}: got {len(first)} and {len(second)} frames, want as many of both views")
