"""Video files through PyAV, the only module that imports it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.types import InputError

_FALLBACK_FPS = 24.0

ArchiveQuality = Literal["lossless", "visually_lossless"]


@dataclass(frozen=True)
class _Encoding:
    container: str
    codec: str
    pixel_format: str
    options: dict[str, str]


_ARCHIVE: dict[ArchiveQuality, _Encoding] = {
    "lossless": _Encoding("matroska", "ffv1", "bgr0", {"level": "3", "slicecrc": "1", "slices": "1", "g": "1"}),
    "visually_lossless": _Encoding("matroska", "libx264", "yuv444p", {"crf": "10"}),
}


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of its video without decoding it.

    Attributes:
        num_frames: Frames that decoding gives.
        fps: Average frames a second; 24 where the file does not say.
    """

    num_frames: int
    fps: float


def probe_video(path: Path) -> VideoInfo:
    """Count the frames of a video file from its packets.

    Raises:
        InputError: As ``read_video``.
    """
    with _opened(path) as (container, stream):
        count = sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard)
        fps = _fps(stream)
    if count == 0:
        raise InputError(f"{path}: got a video stream without a frame, want at least one")
    return VideoInfo(count, fps)


def read_video(
    path: Path, max_frames: int | None = None, frames: Sequence[int] | None = None
) -> tuple[Float[Tensor, "t c h w"], float]:
    """Decode a video file to RGB in [0, 1], turned upright as its display matrix says.

    Args:
        path: Any container and codec FFmpeg knows.
        max_frames: Stop after so many frames.
        frames: Keep only these frame numbers (increasing); None keeps all.

    Returns:
        The frames and their rate in frames a second (24 where the file does not say).

    Raises:
        InputError: If the file is missing, no video, cut short, without a frame, or shorter than ``frames`` asks.
    """
    wanted = None if frames is None else frozenset(frames)
    last = max(wanted, default=-1) if wanted is not None else None
    stop = min(limit for limit in (max_frames, None if last is None else last + 1, math.inf) if limit is not None)
    kept: list[np.ndarray] = []
    with _opened(path) as (container, stream):
        for index, frame in enumerate(_decoded(path, container, stream)):
            if index >= stop:
                break
            if wanted is None or index in wanted:
                kept.append(_upright(frame))
        fps = _fps(stream)
    if not kept or (wanted is not None and max_frames is None and len(kept) < len(wanted)):
        want = "at least one" if wanted is None else f"frames up to {last}"
        raise InputError(f"{path}: got {len(kept)} frames, want {want}")
    if len({frame.shape for frame in kept}) > 1:
        raise InputError(f"{path}: got frames of sizes {sorted({f.shape[:2] for f in kept})}, want one size")
    return rearrange(torch.from_numpy(np.stack(kept)), "t h w c -> t c h w").float().div_(255), fps


def write_video(path: Path, video: Float[Tensor, "t 3 h w"], fps: float | int, crf: int = 18) -> None:
    """Write an H.264 4:2:0 file that plays everywhere; it appears whole or not at all.

    4:2:0 needs even sizes: an odd height or width is made even by repeating the last row or column.

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
    pixels = _levels(path, video, fps)
    height, width = pixels.shape[1:3]
    pixels = np.pad(pixels, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    _encode(path, pixels, fps, _Encoding("mp4", "libx264", "yuv420p", {"crf": str(crf)}))


def write_archive_video(
    path: Path, video: Float[Tensor, "t 3 h w"], fps: float | int, quality: ArchiveQuality = "lossless"
) -> None:
    """Write a Matroska file to train from, of any size; equal videos give equal bytes.

    Args:
        path: Ends in .mkv.
        video: RGB; values outside [0, 1] are clamped, others rounded to the nearest of 256 levels.
        fps: Frames a second, over 0.
        quality: "lossless" is FFV1 of RGB, every frame by itself: the 256 levels come back exactly.
            "visually_lossless" is H.264 at full colour resolution: about an eighth of the size, at 45 dB (levels
            are off by one in the mean, by up to 30 at edges).

    Raises:
        InputError: As ``write_video``.
    """
    if path.suffix.lower() != ".mkv":
        raise InputError(f"{path}: got suffix {path.suffix!r} for a video to write, want '.mkv'")
    _encode(path, _levels(path, video, fps), fps, _ARCHIVE[quality], threads=1)


def _levels(path: Path, video: Tensor, fps: float | int) -> np.ndarray:
    """Return RGB in 256 levels, (t h w c)."""
    if not (math.isfinite(fps) and fps > 0):
        raise InputError(f"{path}: got fps {fps} for a video to write, want a rate over 0")
    if not len(video) or not bool(torch.isfinite(video).all()):
        raise InputError(f"{path}: got {len(video)} frames to write, want one or more, all finite")
    return rearrange(video.detach().cpu().clamp(0, 1).mul(255).round().to(torch.uint8), "t c h w -> t h w c").numpy()


def _encode(path: Path, pixels: np.ndarray, fps: float | int, encoding: _Encoding, threads: int = 0) -> None:
    bitexact = {"fflags": "+bitexact"}  # neither versions nor random ids of Matroska segments
    with appearing(path) as temporary, av.open(temporary, "w", encoding.container, options=bitexact) as container:
        stream = container.add_stream(encoding.codec, rate=Fraction(fps).limit_denominator(10_000))
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = pixels.shape[1], pixels.shape[2], encoding.pixel_format
        stream.options = {**encoding.options}
        stream.thread_count = threads
        for frame in pixels:
            container.mux(stream.encode(VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file, want a video file")
    try:
        container = av.open(path, metadata_errors="replace")  # titles in any encoding, or damaged
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be read as a video ({error.strerror}), want a whole video file") from error
    with container:
        if "mp4" in container.format.name:
            _check_boxes(path)
        if not container.streams.video:
            raise InputError(f"{path}: got no video stream, want one")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield container, stream


def _check_boxes(path: Path) -> None:
    """Refuse an MP4 whose top-level boxes reach past the end of the file: FFmpeg would silently give fewer frames."""
    size = path.stat().st_size
    with path.open("rb") as file:
        position = 0
        while position + 8 <= size:
            file.seek(position)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            position = size if length == 0 else position + max(length, 8)
    if position > size:
        raise InputError(f"{path}: got {size} bytes of a video of at least {position}, want the whole file")


def _decoded(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise InputError(f"{path}: got a damaged packet at {packet.pts}, want a whole video file")
            yield from packet.decode()
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be decoded ({error.strerror}), want a whole video file") from error


def _upright(frame: VideoFrame) -> np.ndarray:
    quarter_turns = round(frame.rotation / 90) % 4
    return np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns)


def _fps(stream: VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else _FALLBACK_FPS
