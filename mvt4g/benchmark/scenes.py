"""What a page shows of each clip: copies of its reference and of every method's video, and the paths of its cameras."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.benchmark.previews import Preview, is_fresh, preview_path, shrunk, write_preview
from mvt4g.benchmark.results import Case, Results
from mvt4g.data.video_places import find_videos, video_name
from mvt4g.data.video_source import open_video
from mvt4g.formats.readers.davis import list_sequences
from mvt4g.formats.video import probe_video
from mvt4g.geometry.trajectories import BENCHMARK_CAMERAS, PRESETS, benchmark_trajectory
from mvt4g.types import InputError

REFERENCE = "reference"
_PATH_FRAMES = 81


@dataclass
class Scene:
    """A clip.

    Attributes:
        clip: Its name.
        cameras: Every camera that any method should have a video of, sorted.
        reference: Copy of the clip itself; None = its video is not given.
        videos: Copies by method and camera.
        why: Why there is none, by method and camera.
        paths: World from camera by camera, the world being its first; of cameras whose path is known.
    """

    clip: str
    cameras: list[str]
    reference: Preview | None = None
    videos: dict[tuple[str, str], Preview] = field(default_factory=dict)
    why: dict[tuple[str, str], str] = field(default_factory=dict)
    paths: dict[str, Float[Tensor, "t 4 4"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Places:
    """Where the videos of a page lie.

    Attributes:
        out: Folder of the page.
        videos: Folder that was scored.
        references: Source of each clip, by name.
        speed: Speed rule of the cameras, see ``geometry.trajectories``.
    """

    out: Path
    videos: Path
    references: dict[str, Path]
    speed: str


def reference_places(root: Path | None) -> dict[str, Path]:
    """Return where the sources are, by clip: a DAVIS root, or whatever ``find_videos`` finds.

    Raises:
        InputError: If there is no video.
    """
    if root is None:
        return {}
    if (root / "JPEGImages").is_dir():
        return {sequence.name: sequence.frames[0].parent for sequence in list_sequences(root)}
    return {video_name(path): path for path in find_videos(root)}


def scenes_of(results: Results, places: Places, clips: Sequence[str], told: Callable[[str], None]) -> Iterator[Scene]:
    """Yield what is shown of each clip; copies that are missing or old are made.

    A video that cannot be read is told of and left out; its place on the page says why.

    Args:
        results: Of the benchmark.
        places: Of videos.
        clips: To be shown; none = all.
        told: Takes a line on what could not be read.

    Raises:
        InputError: If a clip is none of the benchmark's, or a copy cannot be written.
    """
    known = dict.fromkeys(clip for clip, _ in results.cases)
    if odd := [clip for clip in clips if clip not in known]:
        raise InputError(f"--clips: got {odd[0]!r}, want some of {', '.join(known)}")
    for clip in clips or known:
        cameras = [camera for name, camera in results.cases if name == clip]
        scene = Scene(clip, cameras)
        longest = 0
        for camera in cameras:
            for method in results.methods:
                _add_video(scene, results, places, method, camera, told)
                shown = scene.videos.get((method, camera))
                longest = max(longest, shown.num_frames if shown is not None else 0)
        scene.reference = _reference(clip, places, longest or _PATH_FRAMES, told)
        for camera in cameras:
            if camera in BENCHMARK_CAMERAS or camera in PRESETS:
                scene.paths[camera] = benchmark_trajectory(camera, longest or _PATH_FRAMES, places.speed)
        yield scene


def _add_video(
    scene: Scene, results: Results, places: Places, method: str, camera: str, told: Callable[[str], None]
) -> None:
    """Add a method's video from a camera, of its first seed, or the reason why there is none."""
    case: Case = (scene.clip, camera)
    files = results.methods[method].scored.get(case)
    if not files:
        scene.why[method, camera] = results.methods[method].absent.get(case, "not among its videos")
        return
    source = places.videos / files[min(files)]
    copy = preview_path(places.out, method, f"{scene.clip}_{camera}")
    try:
        scene.videos[method, camera] = _copied(copy, source)
    except InputError as error:
        told(str(error))
        scene.why[method, camera] = "cannot be read any more"


def _reference(clip: str, places: Places, num_frames: int, told: Callable[[str], None]) -> Preview | None:
    source = places.references.get(clip)
    if source is None:
        return None
    try:
        return _copied(preview_path(places.out, REFERENCE, clip), source, num_frames)
    except InputError as error:
        told(str(error))
        return None


def _copied(copy: Path, source: Path, num_frames: int | None = None) -> Preview:
    """Return a video's copy, made if it is missing or older than the video."""
    if not is_fresh(copy, source):
        frames = open_video(source)
        total = frames.num_frames
        count = total if num_frames is None else min(num_frames, total)
        small = [shrunk(frame) for frame in frames.frames(range(count))]  # one frame at full size at a time
        write_preview(copy, torch.stack(small))
    return Preview(copy, probe_video(copy).num_frames)
