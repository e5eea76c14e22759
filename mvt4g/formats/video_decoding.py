"""From a video file to the frames a player shows: which stream, which frames, in which order, turned which way."""

import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from jaxtyping import Float, UInt
from torch import Tensor
from torch.nn import functional as F

from mvt4g.formats.video_colour import ColourTags, rgb_from_planes, to_screen
from mvt4g.formats.video_times import FALLBACK_FPS
from mvt4g.formats.video_whole import check_whole
from mvt4g.types import InputError

_PREVIEW_SHARE = 0.25
"""A stream with so few pixels beside a larger one is its preview."""

_ONE_FRAME_A_PACKET = {
    "mp4": {"h264", "hevc", "av1", "mpeg4", "mjpeg", "prores", "dnxhd", "png", "ffv1"},
    "matroska": {"h264", "hevc", "av1", "mjpeg", "ffv1", "prores", "png"},
}
"""Codecs whose packets are one shown frame each in these containers, if the first one is a key frame and the earliest.

VP8 and VP9 hide frames in packets of their own, AVI packs two into one, and a transport stream cuts where it likes.
"""

_MAX_ASPECT = 8


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file at the stream a player shows, ready to decode.

    Raises:
        InputError: If the file is missing, no video, or cut short by what its container says.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, want a video file")
    try:
        # Titles in any encoding, or damaged.
        container = av.open(path, metadata_errors="replace")
    except av.FFmpegError as error:
        want = "a whole video file"
        raise InputError(f"{path}: cannot be read as a video ({error.strerror}), want {want}") from error
    try:
        with container:
            check_whole(path, container.format.name)
            stream = _choose_stream(path, container)
            stream.thread_type = "AUTO"
            yield container, stream
    except av.FFmpegError as error:
        want = "a whole video file"
        raise InputError(f"{path}: cannot be read as a video ({error.strerror}), want {want}") from error


def _choose_stream(path: Path, container: InputContainer) -> VideoStream:
    """Return the stream a player shows, and say so where there are several videos.

    Cover pictures and thumbnails are no videos, nor is a stream of one frame beside a longer one, nor one with a
    quarter or less of the largest one's pixels. Of several videos the first that the file marks as default is taken.
    """
    hidden = Disposition.attached_pic | Disposition.timed_thumbnails
    videos = [stream for stream in container.streams.video if not stream.disposition & hidden]
    if len(videos) > 1:
        videos = _without_previews(path, videos)
    if not videos:
        raise InputError(f"{path}: got no video stream, want one")
    taken = next((stream for stream in videos if stream.disposition & Disposition.default), videos[0])
    if taken.codec_context is None:
        want = "one that it can decode"
        raise InputError(f"{path}: got a video stream of no codec that FFmpeg knows, want {want}")
    if len(videos) > 1:
        listed = ", ".join(f"{stream.index} ({stream.width}x{stream.height})" for stream in videos)
        warnings.warn(f"{path}: has the video streams {listed}; stream {taken.index} is read", stacklevel=2)
    return taken


def _without_previews(path: Path, videos: list[VideoStream]) -> list[VideoStream]:
    packets: Counter[int] = Counter()
    # Opened anew: counting packets uses up those of the container.
    with av.open(path, metadata_errors="replace") as again:
        for packet in again.demux([again.streams[stream.index] for stream in videos]):
            if packet.size:
                packets[packet.stream.index] += 1
    moving = [stream for stream in videos if packets[stream.index] > 1] or videos
    largest = max(stream.width * stream.height for stream in moving)
    return [stream for stream in moving if stream.width * stream.height > _PREVIEW_SHARE * largest]


def packet_stamps(container: InputContainer, stream: VideoStream) -> list[int] | None:
    """Return the time stamps of the frames, in order, from the packets alone; None where only decoding can tell."""
    codecs: Collection[str] = ()
    for name in container.format.name.split(","):
        codecs = codecs or _ONE_FRAME_A_PACKET.get(name, ())
    if stream.codec_context.codec.canonical_name not in codecs:
        return None
    stamps: list[int] = []
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.pts is None or packet.is_discard or packet.is_corrupt:
            return None
        if not stamps and not packet.is_keyframe:
            return None
        stamps.append(packet.pts)
    # A frame that comes before the first one, or two at one time: only decoding tells what is shown.
    if not stamps or min(stamps) != stamps[0] or len(set(stamps)) != len(stamps):
        return None
    return sorted(stamps)


def slot_stamps(container: InputContainer, stream: VideoStream) -> list[int] | None:
    """Return the time stamps of the frames of an AVI, in order, from its packets alone; None for other containers.

    AVI stores no times: a packet's place in the file is when a frame is shown, and a frame left out is an empty packet.
    The stamps that FFmpeg makes up for reordered frames (H.264's B frames) put all but the first one frame too late.
    """
    if "avi" not in container.format.name.split(","):
        return None
    stamps = []
    for packet in container.demux(stream):
        if packet.size:
            if packet.dts is None:
                return None
            stamps.append(packet.dts)
    return sorted(stamps)


def decoded_frames(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames that are shown, in the order they are shown in.

    Raises:
        InputError: If a packet or frame is damaged.
    """
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                want = "a whole video file"
                raise InputError(f"{path}: got a damaged packet at {packet.pts}, want {want}")
            for frame in packet.decode():
                if frame.is_corrupt:
                    want = "a whole video file"
                    raise InputError(f"{path}: got a damaged frame at {frame.time} s, want {want}")
                yield frame
    except av.FFmpegError as error:
        want = "a whole video file"
        raise InputError(f"{path}: cannot be decoded ({error.strerror}), want {want}") from error


def stated_rate(stream: VideoStream) -> Fraction:
    """Return the frames a second that the file states, 24 where it does not."""
    return stream.average_rate or stream.guessed_rate or FALLBACK_FPS


class FramePainter:
    """Turns decoded frames into upright RGB of square pixels.

    Raises:
        InputError: If the pixels' aspect is over 8 or under 1/8.
    """

    def __init__(self, path: Path, stream: VideoStream) -> None:
        self._path = path
        self._context = stream.codec_context
        self._aspect = stream.sample_aspect_ratio or Fraction(1)
        if not 1 / _MAX_ASPECT <= self._aspect <= _MAX_ASPECT:
            want = "one between 1:8 and 8:1"
            raise InputError(f"{path}: got pixels of aspect {self._aspect}, want {want}")

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """Return (height, width) as shown."""
        height, width = self._stretched(frame)
        return (width, height) if self._turn(frame)[0] else (height, width)

    def check_colours(self, frame: VideoFrame) -> None:
        """Refuse a frame whose colours are none of a screen.

        Raises:
            InputError: Naming the tag.
        """
        self._tags(frame).check(str(self._path))

    def paint(self, frame: VideoFrame, out: Float[Tensor, "3 h w"]) -> None:
        """Write the frame as a screen shows it: in [0, 1], pixels made square, then turned.

        Pixels that are not square are made so by stretching the side that is too short.

        Args:
            frame: A decoded one.
            out: Of its ``size``.

        Raises:
            InputError: If the colours are none of a screen (HDR), or the frame is turned by other than quarters.
        """
        transposed, mirrored_x, mirrored_y = self._turn(frame)
        stored = (frame.height, frame.width)
        size = self._stretched(frame)
        if stored == size and not (transposed or mirrored_x or mirrored_y):
            self._colours(frame, out)
            return
        rgb = out.new_empty(3, *stored)
        self._colours(frame, rgb)
        if stored != size:
            rgb = F.interpolate(rgb[None], size, mode="bilinear", align_corners=False)[0]
        if transposed:
            rgb = rgb.transpose(1, 2)
        if mirrored_x:
            rgb = rgb.flip(2)
        if mirrored_y:
            rgb = rgb.flip(1)
        out.copy_(rgb)

    def _stretched(self, frame: VideoFrame) -> tuple[int, int]:
        if self._aspect >= 1:
            return frame.height, round(frame.width * self._aspect)
        return round(frame.height / self._aspect), frame.width

    def _turn(self, frame: VideoFrame) -> tuple[bool, bool, bool]:
        """Return whether rows and columns change places, and then whether x and y run backwards."""
        side_data = frame.side_data.get("DISPLAYMATRIX")
        if side_data is None:
            return False, False, False
        numbers = np.frombuffer(memoryview(side_data), np.int32).astype(float)  # type: ignore[arg-type]
        # A 3x3 matrix of fixed-point numbers, whose upper left 2x2 turns the frame.
        turn = numbers[[0, 1, 3, 4]]
        x_from_x, y_from_x, x_from_y, y_from_y = turn / max(np.abs(turn).max(), 1)
        if max(abs(y_from_x), abs(x_from_y)) < 1e-3 < min(abs(x_from_x), abs(y_from_y)):
            return False, bool(x_from_x < 0), bool(y_from_y < 0)
        if max(abs(x_from_x), abs(y_from_y)) < 1e-3 < min(abs(y_from_x), abs(x_from_y)):
            return True, bool(x_from_y < 0), bool(y_from_x < 0)
        degrees = float(np.degrees(np.arctan2(y_from_x, x_from_x)))
        raise InputError(f"{self._path}: got frames that are turned by {degrees:.1f} degrees, want quarter turns")

    def _colours(self, frame: VideoFrame, out: Float[Tensor, "3 h w"]) -> None:
        self.check_colours(frame)
        tags = self._tags(frame)
        pixels = frame.format
        deep = max(component.bits for component in pixels.components) > 8
        if pixels.is_rgb or pixels.has_palette:
            levels = frame.to_ndarray(format="rgb48le" if deep else "rgb24")
            rgb = torch.from_numpy(levels.astype(np.float32)).permute(2, 0, 1)
            out.copy_(rgb).div_(65535 if deep else 255)
            to_screen(out, tags)
            return
        frame = _planar(frame, deep)
        luma, *chroma = [_levels(plane, deep) for plane in frame.planes[:3]]
        # Grey has none, perhaps alpha.
        pair = (chroma[0], chroma[1]) if len(chroma) == 2 else None
        rgb_from_planes(luma, pair, frame.format.components[0].bits, tags, out)

    def _tags(self, frame: VideoFrame) -> ColourTags:
        full_range = {1: False, 2: True}.get(int(frame.color_range))
        if frame.format.name.startswith("yuvj"):
            full_range = True
        # PyAV before 17 tells these of the stream alone.
        transfer = getattr(frame, "color_trc", self._context.color_trc)
        primaries = getattr(frame, "color_primaries", self._context.color_primaries)
        return ColourTags(int(frame.colorspace), full_range, int(transfer), int(primaries))


def _planar(frame: VideoFrame, deep: bool) -> VideoFrame:
    """Return a frame whose luma and chroma are planes of their own, little endian."""
    components = frame.format.components
    is_planar = len({component.plane for component in components}) == len(components)
    if is_planar and not frame.format.is_big_endian:
        return frame
    if len(components) < 3:
        return frame.reformat(format="gray16le" if deep else "gray")
    across = components[1].width
    down = components[1].height
    kind = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (4, 1): "411", (1, 2): "440"}[
        (round(components[0].width / across), round(components[0].height / down))
    ]
    return frame.reformat(format=f"yuv{kind}p{components[0].bits}le" if deep else f"yuv{kind}p")


def _levels(plane: VideoPlane, deep: bool) -> UInt[np.ndarray, "h w"]:
    levels = np.frombuffer(memoryview(plane), np.uint16 if deep else np.uint8)
    return levels.reshape(plane.height, -1)[:, : plane.width]
