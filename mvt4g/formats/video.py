"""Video files through PyAV: what they show, read frame by frame, and files that players show as they went in.

docs/video.md states the rules: which stream and frames count, when they are shown, their shape and their colours.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import av
import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.formats.video_colour import BT601, BT709, RGB, SRGB, planes_from_rgb
from mvt4g.formats.video_decoding import (
    FramePainter,
    decoded_frames,
    opened_video,
    packet_stamps,
    slot_stamps,
    stated_rate,
)
from mvt4g.formats.video_times import rate_of, shown_times
from mvt4g.types import InputError

ArchiveQuality = Literal["lossless", "visually_lossless"]

FrameChange = Callable[[Float[Tensor, "1 3 h w"]], Float[Tensor, "1 3 H W"]]
"""What is done to every frame as it comes: (1 3 h w) to (1 3 H W), such as ``Framing.video``."""


@dataclass(frozen=True)
class _Encoding:
    container: str
    codec: str
    pixel_format: str
    options: dict[str, str]


# The fast approximations of x264's rate control (mbtree) gave other bytes from one call to the next, in one process.
_REPRODUCIBLE = {"x264-params": "cpu-independent=1"}
_ARCHIVE: dict[ArchiveQuality, _Encoding] = {
    "lossless": _Encoding("matroska", "ffv1", "bgr0", {"level": "3", "slicecrc": "1", "g": "1"}),
    "visually_lossless": _Encoding("matroska", "libx264", "yuv444p", {"crf": "10", **_REPRODUCIBLE}),
}


@dataclass(frozen=True)
class VideoInfo:
    """What a player shows of a video file.

    Attributes:
        times_s: When each frame is shown, in seconds from the first, increasing; one a frame.
        image_size: (height, width) of the frames as shown: pixels square, upright.
        stated_fps: Frames a second that the file states; 24 where it does not.
        tick_s: What the file rounds times to.
    """

    times_s: tuple[float, ...]
    image_size: tuple[int, int]
    stated_fps: float
    tick_s: float

    @property
    def num_frames(self) -> int:
        """Frames that are shown."""
        return len(self.times_s)

    @property
    def fps(self) -> float:
        """Rate of all frames, by their times."""
        return self.rate(range(self.num_frames))

    def rate(self, frames: Sequence[int]) -> float:
        """Return the rate of some frames (increasing numbers): intervals over the time from the first to the last.

        A single frame has the stated rate. A stated rate that the times allow is given exactly.
        """
        return rate_of(self.times_s, frames, self.tick_s, self.stated_fps)


class ShownFrame(NamedTuple):
    """One frame of a video: its number, when it is shown (seconds from the first), and RGB in [0, 1]."""

    number: int
    time_s: float
    rgb: Float[Tensor, "3 h w"]


@dataclass(frozen=True)
class _Timeline:
    info: VideoInfo
    stamps: tuple[int | None, ...]  # of every frame, in ticks


def probe_video(path: Path) -> VideoInfo:
    """Say which frames a video file shows, and when.

    The packets of most MP4 and Matroska files tell it; of others every frame is decoded once. The answer is kept for
    as long as the file's size and date stay as they are.

    Raises:
        InputError: As ``read_video``.
    """
    return _timeline(path).info


def iterate_video(path: Path, frames: Sequence[int] | None = None) -> Iterator[ShownFrame]:
    """Decode a video frame by frame; nothing is kept.

    Args:
        path: Any container and codec FFmpeg knows.
        frames: Give only these frame numbers (increasing); None gives all.

    Yields:
        The frames in the order they are shown in, of one size.

    Raises:
        InputError: As ``read_video``.
    """
    timeline = _timeline(path)
    wanted = range(timeline.info.num_frames) if frames is None else frames
    for number, paint in _painters(path, timeline, wanted):
        rgb = torch.empty(3, *timeline.info.image_size)
        paint(rgb)
        yield ShownFrame(number, timeline.info.times_s[number], rgb)


def read_video(
    path: Path,
    max_frames: int | None = None,
    frames: Sequence[int] | None = None,
    change: FrameChange | None = None,
) -> tuple[Float[Tensor, "t c h w"], float]:
    """Decode a video file to RGB in [0, 1] as a player shows it.

    Frames that a player does not show are left out, pixels that are not square are made so, the display matrix turns
    the frames upright, and the tagged colours become those of a screen (docs/video.md).

    Args:
        path: Any container and codec FFmpeg knows.
        max_frames: Stop after so many frames.
        frames: Keep only these frame numbers (increasing); None keeps all.
        change: Resizes or cuts every frame as it comes, so that no clip is held at the size of the source.

    Returns:
        The frames, and their rate in frames a second: that of the frames kept, by their times.

    Raises:
        InputError: If the file is missing, no video, cut short, damaged, without a frame, of changing size, HDR, turned
            by other than quarter turns, or shorter than ``frames`` asks.
    """
    timeline = _timeline(path)
    info = timeline.info
    kept = list(range(info.num_frames) if frames is None else frames)[:max_frames]
    if not kept:
        raise InputError(f"{path}: got no frame to read, want at least one")
    # Reused: what a change gives is copied at once.
    source = torch.empty(3, *info.image_size)
    video = torch.empty(0)
    for index, (_, paint) in enumerate(_painters(path, timeline, kept)):
        paint(source)
        rgb = source if change is None else change(source[None])[0]
        if index == 0:
            video = rgb.new_empty(len(kept), *rgb.shape)
        video[index] = rgb
    return video, info.rate(kept)


def _painters(
    path: Path, timeline: _Timeline, frames: Sequence[int]
) -> Iterator[tuple[int, Callable[[Float[Tensor, "3 h w"]], None]]]:
    """Yield the number of each frame wanted (increasing ones), and what writes it to a tensor (3 h w)."""
    info = timeline.info
    # Frames between those that are wanted are decoded all the same: others are told from them.
    wanted = frozenset(frames)
    last = max(frames, default=-1)
    if sorted({*frames, -1}) != [-1, *frames]:
        want = "increasing ones from 0"
        raise InputError(f"{path}: got frame numbers {list(frames)}, want {want}")
    if last >= info.num_frames:
        raise InputError(f"{path}: got {info.num_frames} frames, want frames up to {last}")
    # The number of the next frame is the count of those that came.
    number = 0
    with opened_video(path) as (container, stream):
        painter = FramePainter(path, stream)
        for frame in decoded_frames(path, container, stream):
            if number > last:
                return
            if frame.pts != timeline.stamps[number]:
                break
            if number in wanted:
                size = painter.size(frame)
                if size != info.image_size:
                    raise InputError(f"{path}: got frames of sizes {sorted({size, info.image_size})}, want one size")
                yield number, functools.partial(painter.paint, frame)
                if number == last:
                    return
            number += 1
    raise InputError(
        f"{path}: got {number} frames shown at the times of their packets, want {info.num_frames} "
        "(ffmpeg -i IN -c:v libx264 -crf 10 OUT.mp4 writes a file that can be read)"
    )


def _timeline(path: Path) -> _Timeline:
    if not path.is_file():
        raise InputError(f"{path}: no such file, want a video file")
    status = path.stat()
    return _read_timeline(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@functools.lru_cache(maxsize=256)
def _read_timeline(path: Path, state: tuple[int, int, int]) -> _Timeline:
    """Find out which frames are shown; ``state`` differs once the file has changed."""
    with opened_video(path) as (container, stream):
        stamps: list[int | None] | None = packet_stamps(container, stream)  # type: ignore[assignment]
        slots = slot_stamps(container, stream)
    with opened_video(path) as (container, stream):
        painter = FramePainter(path, stream)
        decoded = decoded_frames(path, container, stream)
        first = next(decoded, None)
        if first is None:
            raise InputError(f"{path}: got a video stream without a frame, want at least one")
        painter.check_colours(first)
        image_size = painter.size(first)
        if stamps is None:
            stamps = [first.pts, *(frame.pts for frame in decoded)]
        rate = stated_rate(stream)
        tick = stream.time_base or Fraction(1, 1000)
    # An AVI's slots hold if there is one for every frame.
    times = slots if slots is not None and len(slots) == len(stamps) else stamps
    info = VideoInfo(shown_times(times, tick, rate), image_size, float(rate), float(tick))
    return _Timeline(info, tuple(stamps))


def write_video(path: Path, video: Float[Tensor, "t 3 h w"], fps: float | int, crf: int = 18) -> None:
    """Write an H.264 4:2:0 file that plays everywhere; it appears whole or not at all.

    4:2:0 needs even sizes: an odd height or width is made even by repeating the last row or column. Colours are stored
    by BT.601 in video range at any size, and the file says so, with BT.709's primaries and sRGB's transfer. Equal
    videos give equal bytes: x264 works on one thread and by the same algorithms on all processors, since its files were
    seen to differ from one writing to the next.

    Args:
        path: Ends in .mp4.
        video: RGB; values outside [0, 1] are clamped.
        fps: Frames a second, over 0.
        crf: Quality of x264: 0 lossless, 18 hard to tell from the source, 51 worst.

    Raises:
        InputError: If there is no frame, a value is not finite, ``fps`` is not over 0, or the place cannot be written.
    """
    if path.suffix.lower() != ".mp4":
        raise InputError(f"{path}: got suffix {path.suffix!r} for a video to write, want '.mp4'")
    _check_writable(path, video, fps)
    write_video_pieces(path, [video], fps, crf)


def write_video_pieces(path: Path, pieces: Iterable[Float[Tensor, "n 3 h w"]], fps: float | int, crf: int = 18) -> None:
    """Write what ``write_video`` writes of all pieces together, of which one at a time is held.

    Args:
        path: Ends in .mp4.
        pieces: Some frames each, at least one in all; finite RGB.
        fps: Frames a second, over 0.
        crf: As for ``write_video``.

    Raises:
        InputError: If the place cannot be written.
    """
    pixels = (_even(rgb) for rgb in _levels(pieces))
    _encode(path, pixels, fps, _Encoding("mp4", "libx264", "yuv420p", {"crf": str(crf), **_REPRODUCIBLE}), threads=1)


def write_archive_video(
    path: Path, video: Float[Tensor, "t 3 h w"], fps: float | int, quality: ArchiveQuality = "lossless"
) -> None:
    """Write a Matroska file to train from, of any size; equal videos give equal bytes.

    Args:
        path: Ends in .mkv.
        video: RGB; values outside [0, 1] are clamped, others rounded to the nearest of 256 levels.
        fps: Frames a second, over 0.
        quality: "lossless" is FFV1 of RGB, every frame by itself: the 256 levels come back exactly.
            "visually_lossless" is H.264 at full colour resolution, its colours stored as ``write_video`` does: about an
            eighth of the size, at 45 dB (levels are off by one in the mean, by up to 30 at edges).

    Raises:
        InputError: As ``write_video``.
    """
    if path.suffix.lower() != ".mkv":
        raise InputError(f"{path}: got suffix {path.suffix!r} for a video to write, want '.mkv'")
    _check_writable(path, video, fps)
    _encode(path, _levels([video]), fps, _ARCHIVE[quality], threads=1)


def _check_writable(path: Path, video: Float[Tensor, "t 3 h w"], fps: float | int) -> None:
    if not (math.isfinite(fps) and fps > 0):
        raise InputError(f"{path}: got fps {fps} for a video to write, want a rate over 0")
    # Frame by frame: nothing of the size of the video is made beside it.
    if not len(video) or not all(bool(torch.isfinite(frame).all()) for frame in video):
        want = "one or more, all finite"
        raise InputError(f"{path}: got {len(video)} frames to write, want {want}")


def _levels(pieces: Iterable[Float[Tensor, "n 3 h w"]]) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yield every frame in RGB of 256 levels."""
    for piece in pieces:
        for frame in piece:
            levels = frame.detach().cpu().clamp(0, 1).mul(255).round().to(torch.uint8)
            yield rearrange(levels, "c h w -> h w c").numpy()


def _even(rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Return a frame of even height and width, its last row and column repeated where they were odd."""
    height, width = rgb.shape[:2]
    return np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _encode(
    path: Path,
    pixels: Iterable[UInt8[np.ndarray, "h w 3"]],
    fps: float | int,
    encoding: _Encoding,
    threads: int = 0,
) -> None:
    frames = iter(pixels)
    first = next(frames)
    # Neither versions nor random ids of Matroska segments.
    bitexact = {"fflags": "+bitexact"}
    with appearing(path) as temporary, av.open(temporary, "w", encoding.container, options=bitexact) as container:
        stream = container.add_stream(encoding.codec, rate=Fraction(fps).limit_denominator(10_000))
        assert isinstance(stream, VideoStream)
        height, width = first.shape[:2]
        stream.height = height
        stream.width = width
        stream.pix_fmt = encoding.pixel_format
        stream.options = {**encoding.options}
        # Its encoder wants at least 4 slices of what is larger.
        if encoding.codec == "ffv1":
            stream.options["slices"] = "1" if height <= 288 and width <= 352 else "4"
        stream.thread_count = threads
        is_rgb = encoding.pixel_format == "bgr0"
        # What programs that read no tags take, at any size.
        matrix = RGB if is_rgb else BT601
        context = stream.codec_context
        context.colorspace = matrix
        context.color_range = 2 if is_rgb else 1
        context.color_primaries = BT709
        context.color_trc = SRGB
        for rgb in itertools.chain([first], frames):
            frame = _frame(rgb, encoding.pixel_format, matrix)
            frame.colorspace = context.colorspace
            frame.color_range = context.color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frame(rgb: UInt8[np.ndarray, "h w 3"], pixel_format: str, matrix: int) -> VideoFrame:
    """Return a frame as it is stored: RGB, or luma and chroma of video range."""
    if matrix == RGB:
        return VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format=pixel_format)
    height, width = rgb.shape[:2]
    luma, chroma = planes_from_rgb(rgb, matrix, subsampled=pixel_format == "yuv420p")
    planes = np.concatenate([luma.ravel(), chroma.ravel()])
    shape = (3, height, width) if pixel_format == "yuv444p" else (-1, width)
    return VideoFrame.from_ndarray(planes.reshape(shape), format=pixel_format)
