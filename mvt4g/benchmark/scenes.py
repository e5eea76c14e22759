"""What a page shows of each clip: copies of its reference and of every method's video, and the paths of its cameras.

Copies of one clip have the source's frames for their time axis: tick k shows what a method made of source frame k, or
of the last one before it. A method that stands still in time is shown in the order of its own frames.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.benchmark.aligned_video import scored_frames, shape_of
from mvt4g.benchmark.cases import Case
from mvt4g.benchmark.found_videos import FoundVideo, Method
from mvt4g.benchmark.known_clips import Sources
from mvt4g.benchmark.made_sources import known_clip
from mvt4g.benchmark.previews import Preview, is_fresh, preview_path, shrunk, write_preview
from mvt4g.benchmark.results import Results
from mvt4g.data.sources import FrameSource
from mvt4g.formats.foreign.frame_maps import AlignedFrames
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW, Trajectory, read_views
from mvt4g.formats.video import probe_video, read_video
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.geometry.trajectories import BENCHMARK_CAMERAS, PRESETS, benchmark_trajectory
from mvt4g.types import InputError

REFERENCE = "reference"
Told = Callable[[str], None]


@dataclass
class Scene:
    """A clip.

    Attributes:
        clip: Its name.
        cameras: Every camera that any method should have a video of, sorted.
        reference: Copy of the clip itself; None = its video is not given.
        videos: Copies by method and camera.
        why: Why there is none, by method and camera.
        paths: World from camera by camera, the world being the source's first one; of cameras whose path is known.
    """

    clip: str
    cameras: list[str]
    reference: Preview | None = None
    videos: dict[tuple[str, str], Preview] = field(default_factory=dict)
    why: dict[tuple[str, str], str] = field(default_factory=dict)
    paths: dict[str, Float[Tensor, "t 4 4"]] = field(default_factory=dict)

    @property
    def num_frames(self) -> int:
        """Frames of the longest copy of a method; 0 without any."""
        return max((copy.num_frames for copy in self.videos.values()), default=0)


@dataclass(frozen=True)
class Material:
    """What scenes are made of.

    Attributes:
        out: Folder of the page.
        methods: Videos as the scorer finds them, by method.
        sources: Sources of the clips.
        most_frames: At most so many frames of a video were scored; None = all.
    """

    out: Path
    methods: Mapping[str, Method]
    sources: Sources
    most_frames: int | None = None

    def video(self, method: str, file: str) -> tuple[Method, FoundVideo]:
        """Return a video by its file.

        Raises:
            InputError: If the method has no such video any more.
        """
        found = self.methods.get(method)
        for video in () if found is None else found.videos:
            if found is not None and video.file == file and video.path is not None:
                return found, video
        raise InputError(f"{file}: got no such video of {method}, want it where it was scored")


def scenes_of(results: Results, material: Material, clips: Sequence[str], told: Told) -> Iterator[Scene]:
    """Yield what is shown of each clip; copies that are missing or old are made.

    A video that cannot be read is told of and left out; its place on the page says why.

    Args:
        results: Of the benchmark.
        material: Videos and sources.
        clips: To be shown; none = all.
        told: Takes a line on what could not be read.

    Raises:
        InputError: If a clip is none of the benchmark's, or a copy cannot be written.
    """
    known: dict[str, list[str]] = {}
    for clip, camera in results.cases:
        known.setdefault(clip, []).append(camera)
    for clip in clips:
        if clip not in known:
            raise InputError(f"--clips: got {clip!r}, want some of {', '.join(known)}")
    for clip in clips or known:
        scene = Scene(clip, known[clip])
        source: FrameSource | None = None
        for camera in scene.cameras:
            for name in results.methods:
                try:
                    source = _add_video(scene, results, material, name, camera) or source
                except InputError as error:
                    told(f"{name}: {clip}_{camera}: {error}")
                    scene.why[name, camera] = "cannot be read any more"
        if source is not None:
            scene.reference = _reference(scene, material, source, told)
        yield scene


def source_axis(frames: AlignedFrames) -> list[int]:
    """Return which frame of an output is shown at each frame of its source, from 0 to the last one that it stands for.

    >>> source_axis(AlignedFrames((0, 1, 2), (0, 2, 4)))
    [0, 0, 1, 1, 2]
    """
    times = frames.source
    if any(later <= earlier for earlier, later in pairwise(times)):
        return list(frames.output)  # time stands still somewhere: no frame of the source would show the others
    ticks = range(times[-1] + 1)
    shown = []
    for tick in ticks:
        # Before the first frame of the source that the output has, its first frame stands.
        place = max(0, bisect_right(times, tick) - 1)
        shown.append(frames.output[place])
    return shown


def _add_video(scene: Scene, results: Results, material: Material, name: str, camera: str) -> FrameSource | None:
    """Add a method's video from a camera, of its first seed, or the reason why there is none; return its source.

    Raises:
        InputError: If the video or what is known of its clip cannot be read.
    """
    case: Case = (scene.clip, camera)
    files = results.methods[name].scored.get(case)
    if not files:
        scene.why[name, camera] = results.methods[name].absent.get(case, "not among its videos")
        return None
    method, video = material.video(name, files[min(files)])
    assert video.path is not None, "Material.video gives videos that are there"
    clip = known_clip(video, material.sources)
    shape = shape_of(video, method.layout)
    frames = scored_frames(method.layout, video, shape, clip)
    frames = AlignedFrames(frames.output[: material.most_frames], frames.source[: material.most_frames])
    ticks = source_axis(frames)
    copy = preview_path(material.out, name, f"{scene.clip}_{camera}", (ticks, shape.offset))
    if not is_fresh(copy, video.path):
        numbers = sorted(set(ticks))
        small, _ = read_video(video.path, frames=numbers, change=lambda frame: shrunk(frame[..., shape.offset :]))
        write_preview(copy, small[[numbers.index(number) for number in ticks]])
    scene.videos[name, camera] = Preview(copy, len(ticks))
    if camera not in scene.paths:
        views = {} if clip is None else {view: path for view, (path, _) in clip.cameras().items()}
        _add_path(scene, method, video, views, shape.num_frames)
    return None if clip is None else clip.reference


def _add_path(
    scene: Scene, method: Method, video: FoundVideo, known: Mapping[str, Trajectory], num_frames: int
) -> None:
    """Add the path that a camera was asked to take: of the clip, of the manifest, or by the camera's name."""
    views = dict(known)
    made = (video.made or {}).get("cameras")
    if TARGET_VIEW not in views and made:
        views = read_views(method.folder / str(made))
    if TARGET_VIEW in views:
        path = views[TARGET_VIEW].world_from_cam
        first = views[REFERENCE_VIEW].world_from_cam[:1] if REFERENCE_VIEW in views else path[:1]
        scene.paths[video.camera] = compose(invert_pose(first), path)
    elif video.camera in BENCHMARK_CAMERAS or video.camera in PRESETS:
        scene.paths[video.camera] = benchmark_trajectory(video.camera, num_frames, method.layout.speed, video.strength)


def _reference(scene: Scene, material: Material, source: FrameSource, told: Told) -> Preview | None:
    count = min(scene.num_frames, source.num_frames)
    copy = preview_path(material.out, REFERENCE, scene.clip)
    try:
        # A folder's own time says nothing of its frames; its last frame stands for them.
        if not is_fresh(copy, source.files[-1]) or probe_video(copy).num_frames != count:
            small = [shrunk(frame[None])[0] for frame in source.frames(range(count))]  # one at full size at a time
            write_preview(copy, torch.stack(small))
    except InputError as error:
        told(str(error))
        return None
    return Preview(copy, count)
