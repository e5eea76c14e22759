"""A file that was cut short is refused in every container that tells; never fewer frames without a word."""

import struct
from pathlib import Path

import av
import pytest

from mvt4g.formats.video import probe_video, read_video
from mvt4g.formats.video_whole import check_whole
from mvt4g.types import InputError
from tests.formats.made_videos import encode, pictures

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
KINDS = [  # name, codec, pixel format, options of the codec, options of the container
    ("a.mp4", "libx264", "yuv420p", {}, {}),
    ("front.mp4", "libx264", "yuv420p", {}, {"movflags": "faststart"}),
    ("pieces.mp4", "libx264", "yuv420p", {"g": "4"}, FRAGMENTS),
    ("segments.mp4", "libx264", "yuv420p", {"g": "4"}, {"movflags": "dash+global_sidx+frag_keyframe"}),
    ("a.mov", "mjpeg", "yuvj420p", {}, {}),
    ("a.mkv", "ffv1", "bgr0", {}, {}),
    ("a.webm", "libvpx-vp9", "yuv420p", {}, {}),
    ("live.webm", "libvpx", "yuv420p", {}, {"live": "1"}),
    ("a.avi", "mpeg4", "yuv420p", {}, {}),
    ("a.flv", "libx264", "yuv420p", {"g": "4"}, {}),
    ("a.gif", "gif", "rgb8", {}, {}),
    ("a.apng", "apng", "rgb24", {}, {}),
    ("a.ivf", "libvpx-vp9", "yuv420p", {}, {}),
    ("a.wmv", "wmv2", "yuv420p", {}, {}),
    ("a.y4m", "wrapped_avframe", "yuv420p", {}, {}),
    ("a.ts", "mpeg2video", "yuv420p", {}, {}),
]
CUT_AT_A_PACKET = [kind for kind in KINDS if kind[0] not in ("live.webm", "a.y4m", "a.ts")]
"""Live Matroska, YUV4MPEG2 and transport streams state no length: cut between two packets, nothing is missing."""


def encode_kind(folder: Path, kind: tuple[str, str, str, dict[str, str], dict[str, str]]) -> Path:
    name, codec, pixel_format, options, container_options = kind
    ticks = 25 if codec == "mpeg2video" else 12
    frames = pictures(24)
    for number, picture in enumerate(frames):  # some detail, so that the file is longer than its index
        picture[number : number + 30, 5:50] = 255
    encode(
        folder / name,
        codec,
        frames,
        pixel_format=pixel_format,
        options=options,
        container_options=container_options,
        ticks=ticks,
    )
    return folder / name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, kind: tuple) -> None:
    path = encode_kind(tmp_path, kind)
    assert probe_video(path).num_frames == 24
    content = path.read_bytes()
    for share in (0.3, 0.6, 0.9):
        end = int(share * len(content))
        end += end % 188 == 0  # a transport stream cut between two packets
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match=r"a whole|the whole file"):
            read_video(path)
        with pytest.raises(InputError, match=r"a whole|the whole file"):
            probe_video(path)


@pytest.mark.parametrize("kind", CUT_AT_A_PACKET, ids=lambda kind: kind[0])
def test_a_file_cut_between_two_packets_is_refused(tmp_path: Path, kind: tuple) -> None:
    path = encode_kind(tmp_path, kind)
    with av.open(str(path)) as whole:
        places = sorted(packet.pos for packet in whole.demux(video=0) if packet.size and packet.pos)
    content = path.read_bytes()
    path.write_bytes(content[: places[len(places) // 2]])
    with pytest.raises(InputError, match=r"a whole|the whole file"):
        read_video(path)


def test_a_fragmented_mp4_cut_between_two_fragments_is_refused(tmp_path: Path) -> None:
    path = encode_kind(tmp_path, KINDS[2])
    content = path.read_bytes()
    starts = [at - 4 for at in range(4, len(content)) if content[at : at + 4] == b"moof"]
    path.write_bytes(content[: starts[len(starts) // 2]])
    with pytest.raises(InputError, match=r"pieces.mp4: cut short: got a fragmented MP4 without its index"):
        probe_video(path)


def test_an_avi_whose_writer_died_is_refused(tmp_path: Path) -> None:
    path = encode_kind(tmp_path, KINDS[8])
    content = path.read_bytes()
    path.write_bytes(content[:4] + struct.pack("<I", 0) + content[8:])
    with pytest.raises(InputError, match=r"a.avi: cut short: got a RIFF file that was never finished"):
        probe_video(path)


def test_an_flv_without_its_size_is_held_to_its_duration(tmp_path: Path) -> None:
    path = encode_kind(tmp_path, KINDS[9])
    with av.open(str(path)) as whole:
        places = [packet.pos for packet in whole.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes().replace(b"filesize", b"f_l_size")[: places[6]])
    with pytest.raises(InputError, match=r"a.flv: cut short: got 0\.[345]\d* s of a video of [12]\.\d+ s"):
        probe_video(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.gif", "a.flv"])
def test_a_file_with_something_appended_is_read(tmp_path: Path, name: str) -> None:
    path = encode_kind(tmp_path, next(kind for kind in KINDS if kind[0] == name))
    if name in ("a.gif", "a.avi"):  # what follows has no place in the other containers' structure
        path.write_bytes(path.read_bytes() + b"appended by another program")
    assert len(read_video(path)[0]) == 24


def broken_index(length: int, entries: int = 0) -> bytes:
    """Return an MP4's segment index of so many bytes that says it has so many entries."""
    box = bytearray(struct.pack(">I4s", length, b"sidx") + bytes(40))
    box[30:32] = entries.to_bytes(2, "big")
    return bytes(box[:length])


HEADS = [
    ("mov,mp4", broken_index(8)),
    ("mov,mp4", broken_index(30)),
    ("mov,mp4", broken_index(40, entries=100)),
    ("gif", b"GIF89a"),
    ("mxf", bytes.fromhex("060e2b34020501010d010201")),
    ("yuv4mpegpipe", b"YUV4MPEG2 W16\nFRAME\n"),
    ("yuv4mpegpipe", b"YUV4MPEG2 Wx H2\nFRAME\n"),
    ("flv", b"FLV"),
    ("apng", b"\x89PNG"),
    ("ogg", b"OggS"),
    ("ivf", b"DKIF"),
]


@pytest.mark.parametrize(("container", "content"), HEADS)
def test_a_head_that_ends_before_what_it_must_say_is_refused(tmp_path: Path, container: str, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a: cut short: got "):
        check_whole(path, container)


def test_an_index_within_its_length_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(broken_index(40, entries=0))
    check_whole(tmp_path / "a.mp4", "mov,mp4")
