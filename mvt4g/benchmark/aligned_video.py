"""One generated video beside what is known of its clip: the same moments, the same part of the picture, pixel by pixel.

The output is taken as it is; what is known of the source is brought to it: frames by the layout's frame map, pictures,
depth, masks and intrinsics by its crop rule. Two methods with different crops are so scored on different parts of the
scene, which the table says of each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from mvt4g.benchmark.found_videos import FoundVideo, Method
from mvt4g.benchmark.known_clips import KnownClip
from mvt4g.data.camera_paths import framed_intrinsics
from mvt4g.data.sources import FrameSource
from mvt4g.formats.foreign.frame_maps import AlignedFrames
from mvt4g.formats.foreign.video_layouts import VideoLayout
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW, Trajectory, read_views
from mvt4g.formats.video import probe_video, read_video
from mvt4g.geometry.framing import Framing, Window
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import GeneratedVideos, InputError, ViewRecord

_NO_LENS_FOV_DEG = 60.0
"""Never used: ``framed_intrinsics`` assumes it where a path has no lens, and such paths are not asked for one."""


class NotScored(InputError):
    """A video that cannot be scored, and which of ``score_files.NOT_SCORED`` it is."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Shape:
    """A generated video as its file is.

    Attributes:
        size: (height, width) of the video proper, without what is pasted beside it.
        offset: First column of the video proper.
        num_frames: Frames in the file.
        fps: Rate of the file.
    """

    size: tuple[int, int]
    offset: int
    num_frames: int
    fps: float


@dataclass(frozen=True)
class AlignedVideo:
    """A generated video and what is known of it.

    Attributes:
        videos: As metrics take them, a batch of one.
        shape: Of the file.
        frames: Which frames are scored.
        framing: What was done to the source's pictures; None = the source is not known.
    """

    videos: GeneratedVideos
    shape: Shape
    frames: AlignedFrames
    framing: Framing | None


def shape_of(video: FoundVideo, layout: VideoLayout) -> Shape:
    """Return what a file is, after checking that its program may have written it.

    Raises:
        NotScored: If it cannot be read, or is of another size.
    """
    assert video.path is not None, "only videos that are there are looked at"
    try:
        info = probe_video(video.path)
    except InputError as error:
        raise NotScored("damaged", str(error)) from error
    size = info.image_size
    if video.made is not None and "size" in video.made:
        wanted = tuple(video.made["size"])
        proper = size if size == wanted else None
        want = f"{wanted[1]}x{wanted[0]}, the manifest's"
    else:
        proper = layout.expected_size(size)
        want = " or ".join(f"{width}x{height}" for height, width in layout.sizes)
    if proper is None:
        raise NotScored("size", f"got {size[1]}x{size[0]}, want {want}")
    return Shape(proper, size[1] - proper[1], info.num_frames, info.fps)


def align_video(
    method: Method,
    video: FoundVideo,
    shape: Shape,
    clip: KnownClip | None,
    frames: AlignedFrames,
    with_truth: bool = True,
) -> AlignedVideo:
    """Read a video and what is known of its clip.

    Args:
        method: Whose it is.
        video: The video.
        shape: Of its file.
        clip: What is known; None = nothing.
        frames: As ``scored_frames`` gives them.
        with_truth: Read the pictures of the true target view too, which take 390 MB of 81 frames of 480x832.

    Raises:
        NotScored: If the video is damaged, or what is known does not fit it.
    """
    generated = _read_output(video, shape, frames.output)
    try:
        framing = _framing(method.layout, video, shape.size, clip)
        views: dict[str, ViewRecord] = {}
        mask, rate = None, shape.fps
        if clip is not None and framing is not None:
            views, mask, rate = _known_views(clip, frames.source, framing, shape.fps, with_truth)
        if video.made is not None and "cameras" in video.made and not _has_cameras(views):
            views |= cameras_of_file(method.folder / str(video.made["cameras"]), shape, frames.output, views)
    except InputError as error:
        raise NotScored("failed", str(error)) from error
    videos = GeneratedVideos(
        names=(video.file,),
        video=generated[None],
        target=views.get(TARGET_VIEW, ViewRecord()),
        reference=views.get(REFERENCE_VIEW, ViewRecord()),
        mask=None if mask is None else mask[None],
        fps=torch.tensor([rate]),
    )
    return AlignedVideo(videos, shape, frames, framing)


def scored_frames(layout: VideoLayout, video: FoundVideo, shape: Shape, clip: KnownClip | None) -> AlignedFrames:
    """Return which frames of the output are scored, by the manifest or by the layout; nothing is decoded.

    Args:
        layout: Of the method.
        video: The video.
        shape: Of its file.
        clip: What is known; None = nothing.

    Raises:
        NotScored: If the video is short, or its frames do not fit the source.
    """
    if video.made is not None and "frames" in video.made:
        made = tuple(int(number) for number in video.made["frames"])
        if shape.num_frames < len(made):
            raise NotScored("short", f"got {shape.num_frames} frames, want {len(made)}, the manifest's")
        return AlignedFrames(tuple(range(len(made))), made)
    try:
        num_source = None if clip is None else clip.num_frames
    except InputError as error:
        raise NotScored("failed", str(error)) from error
    if reason := layout.count.shortfall(shape.num_frames, num_source):
        raise NotScored("short", reason)
    try:
        return layout.frames.align(shape.num_frames, num_source, video.file)
    except InputError as error:
        raise NotScored("failed", str(error)) from error


def _framing(layout: VideoLayout, video: FoundVideo, size: tuple[int, int], clip: KnownClip | None) -> Framing | None:
    """Return what becomes of the source's pictures, by the manifest or by the layout; None without a source."""
    source = None if clip is None else clip.image_size
    if source is None:
        return None
    if video.made is not None and "crop_xyxy" in video.made:
        left, top, _, _ = video.made["crop_xyxy"]
        scale_x, scale_y = video.made["scale_xy"]
        resized = (round(source[0] * scale_y), round(source[1] * scale_x))
        return Framing(source, size, Window(0, 0, *source), resized, (round(top * scale_y), round(left * scale_x)))
    return layout.crop.framing(source, size)


def _read_output(video: FoundVideo, shape: Shape, numbers: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
    assert video.path is not None, "only videos that are there are read"

    def proper(frame: Float[Tensor, "1 3 h full"]) -> Float[Tensor, "1 3 h w"]:
        return frame[..., shape.offset :]

    try:
        return read_video(video.path, frames=numbers, change=proper if shape.offset else None)[0]
    except InputError as error:
        raise NotScored("damaged", str(error)) from error


def _known_views(
    clip: KnownClip, numbers: Sequence[int], framing: Framing, fps: float, with_truth: bool
) -> tuple[dict[str, ViewRecord], Shaped[Tensor, "t h w"] | None, float]:
    """Return what is known of both views at some frames of the source, the mask, and the frames' true rate."""
    cameras = clip.cameras()
    views = {}
    rate = fps
    for view, source in ((REFERENCE_VIEW, clip.reference), (TARGET_VIEW, clip.target)):
        is_read = source is not None and (with_truth or view == REFERENCE_VIEW)
        pictures = _pictures(source, numbers, framing) if source is not None and is_read else None
        if source is not None:
            rate = source.rate(numbers) if len(set(numbers)) > 1 else rate
        depth = _maps(clip, "depth.npz", view, numbers, framing)
        dynamic = _maps(clip, "dynamic.npz", view, numbers, framing)
        if dynamic is None and view == REFERENCE_VIEW and source is not None:
            dynamic = source.read_masks(list(numbers), framing)
        record = ViewRecord(
            video=_batched(pictures),
            depth=_batched(None if depth is None else depth.float()),
            dynamic=_batched(None if dynamic is None else dynamic != 0),
        )
        if view in cameras:
            record = _with_cameras(record, *cameras[view], numbers, framing)
        views[view] = record
    mask = _maps(clip, "mask.npz", TARGET_VIEW, numbers, framing)
    return views, None if mask is None else mask != 0, rate


def cameras_of_file(
    path: Path, shape: Shape, numbers: Sequence[int], views: Mapping[str, ViewRecord]
) -> dict[str, ViewRecord]:
    """Return the views with the cameras of a file, which has a pose a frame of the output.

    Args:
        path: A trajectory of both views, or of the target alone.
        shape: Of the output.
        numbers: Frames of the output that are scored.
        views: What is known of them beside.

    Raises:
        InputError: As ``read_views``, or if there are fewer poses.
    """
    whole = Framing(shape.size, shape.size, Window(0, 0, *shape.size), shape.size)
    completed = {}
    for view, trajectory in read_views(path).items():
        of_frames = trajectory.of_length(shape.num_frames)
        if len(of_frames.world_from_cam) < max(numbers) + 1:
            got = f"got {len(of_frames.world_from_cam)} poses"
            raise InputError(f"{path}: {view}: {got}, want {max(numbers) + 1}, one a frame of the video")
        completed[view] = _with_cameras(views.get(view, ViewRecord()), of_frames, str(path), numbers, whole)
    return completed


def _with_cameras(
    record: ViewRecord, path: Trajectory, file: str, numbers: Sequence[int], framing: Framing
) -> ViewRecord:
    """Return a record with the cameras of some frames of a path, K in pixels of the output."""
    places = list(numbers)
    lens = None
    if path.intrinsics is not None:
        lens = framed_intrinsics(path, framing, _NO_LENS_FOV_DEG, file)[places]
    return replace(record, cam_from_world=_batched(invert_pose(path.world_from_cam[places])), intrinsics=_batched(lens))


def _pictures(source: FrameSource, numbers: Sequence[int], framing: Framing) -> Float[Tensor, "t 3 h w"]:
    """Read frames one by one, each framed as it comes; a number may stand several times."""
    unique = sorted(set(numbers))
    video = torch.empty(len(numbers), 3, *framing.size)
    for number, frame in zip(unique, source.frames(unique), strict=True):
        if tuple(frame.shape[-2:]) != framing.source:
            height, width = frame.shape[-2:]
            want = f"{framing.source[1]}x{framing.source[0]} as the clip's other view"
            raise InputError(f"{source.place}: got {width}x{height}, want {want}")
        framed = framing.video(frame[None])[0]
        for place, wanted in enumerate(numbers):
            if wanted == number:
                video[place] = framed
    return video


def _maps(
    clip: KnownClip, file: str, view: str, numbers: Sequence[int], framing: Framing
) -> Shaped[Tensor, "t h w"] | None:
    whole = clip.maps(file, view)
    if whole is None:
        return None
    first, count = numbers[0], len(numbers)
    in_a_row = tuple(numbers) == tuple(range(first, first + count))
    # A slice is no copy: maps of 81 frames take 130 MB.
    taken = whole[first : first + count] if in_a_row else whole[list(numbers)]
    is_same = framing.source == framing.resized == framing.size
    return taken if is_same else framing.nearest(taken)


def _batched(value: Shaped[Tensor, "*shape"] | None) -> Shaped[Tensor, " 1 *shape"] | None:
    return None if value is None else value[None]


def _has_cameras(views: dict[str, ViewRecord]) -> bool:
    record = views.get(TARGET_VIEW)
    return record is not None and record.cam_from_world is not None
