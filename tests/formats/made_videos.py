"""Small videos of the kinds that people have, made by PyAV's encoders."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

SIDE = 64


def level(number: int) -> int:
    """Return the grey level of a frame, by which it is known again."""
    return 20 + 8 * number % 220


def pictures(count: int, size: tuple[int, int] = (SIDE, SIDE)) -> list[np.ndarray]:
    return [np.full((*size, 3), level(number), np.uint8) for number in range(count)]


def encode(
    path: Path,
    codec: str,
    frames: Sequence[np.ndarray],
    *,
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    ticks: int = 12,
    prepare: Callable[[VideoStream], None] = lambda stream: None,
) -> None:
    """Encode RGB pictures at 12 a second, or at ``times`` in 1 / ``ticks`` s."""
    with av.open(str(path), "w", options=container_options or {}) as out:
        stream = add_video(out, codec, frames[0].shape[:2], pixel_format, options or {}, ticks)
        prepare(stream)
        write_frames(out, stream, frames, times, ticks)


def add_video(
    out: OutputContainer,
    codec: str,
    size: tuple[int, int] = (SIDE, SIDE),
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    ticks: int = 12,
) -> VideoStream:
    """Add a stream, before any frame of another one is written."""
    stream = out.add_stream(codec, rate=12)
    stream.height, stream.width, stream.pix_fmt = *size, pixel_format
    stream.options = options or {}
    stream.codec_context.time_base = Fraction(1, ticks)
    return stream


def write_frames(
    out: OutputContainer,
    stream: VideoStream,
    frames: Sequence[np.ndarray],
    times: Sequence[int] | None = None,
    ticks: int = 12,
) -> None:
    for number, picture in enumerate(frames):
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number if times is None else times[number], Fraction(1, ticks)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def remux(source: Path, target: Path, change: Callable[[list[Packet]], Iterator[Packet] | list[Packet]]) -> None:
    """Copy the packets of a file's video, changed."""
    with av.open(str(source)) as read, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for packet in change([packet for packet in read.demux(video=0) if packet.size]):
            packet.stream = stream
            out.mux(packet)


def set_display_matrix(path: Path, x_from_xy: tuple[float, float], y_from_xy: tuple[float, float]) -> None:
    """Write what an MP4's player makes of a picture: x' = x_from_xy . (x, y), y' = y_from_xy . (x, y)."""

    def number(value: float) -> bytes:
        return (round(value * (1 << 16)) & 0xFFFFFFFF).to_bytes(4, "big")

    def matrix(x_row: tuple[float, float], y_row: tuple[float, float]) -> bytes:
        rows = number(x_row[0]) + number(y_row[0]) + bytes(4) + number(x_row[1]) + number(y_row[1])
        return rows + bytes(12) + (1 << 30).to_bytes(4, "big")

    content, upright = path.read_bytes(), matrix((1, 0), (0, 1))
    at = content.index(upright, content.index(b"tkhd"))
    path.write_bytes(content[:at] + matrix(x_from_xy, y_from_xy) + content[at + len(upright) :])
