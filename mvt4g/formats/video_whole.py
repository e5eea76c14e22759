"""Whether a video file is whole, by what its container says of its own length.

FFmpeg plays what is there of a file that was cut short, and says nothing. These checks read the containers' own
structure: MP4's boxes (and the index at the end of a fragmented one), Matroska's segment, the RIFF size of AVI and
WebP, FLV's tags and stated length, the trailer of GIF and PNG, Ogg's last page, IVF's frame count, ASF's file size,
MXF's footer, the packets of MPEG-TS and the frames of YUV4MPEG2. Raw streams, NUT, MPEG-PS, live Matroska and the
packets that are missing after a whole one of MPEG-TS cannot be told.
"""

import re
import struct
from collections.abc import Callable, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from mvt4g.types import InputError

_REMUX = "ffmpeg -i IN -c copy OUT writes one"


LONGEST_INDEX = 40 + 12 * 65535
"""Bytes of an MP4's segment index of the most entries."""


def check_whole(path: Path, format_names: str) -> None:
    """Refuse a file that ends before its container says it does.

    Args:
        path: The file.
        format_names: FFmpeg's names of the container, with commas between them.

    Raises:
        InputError: If the file is cut short.
    """
    names = set(format_names.split(","))
    for known, fault in _FAULTS.items():
        if known in names:
            size = path.stat().st_size
            with path.open("rb") as file:
                try:
                    found = fault(file, size)
                except (IndexError, KeyError, ValueError, struct.error):  # a head that ends before what it must say
                    found = f"a broken head of a file of {size} bytes"
            if found is not None:
                raise InputError(f"{path}: cut short: got {found}, want the whole file")


def _mp4_fault(file: BinaryIO, size: int) -> str | None:
    end = 0
    fragmented = False
    indexed_to = 0
    kinds = set()
    for position, length, kind in _boxes(file, size):
        end = position + length
        kinds.add(kind)
        if end > size:
            break
        if kind == b"moov":
            # A box may be as large as its file.
            with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                fragmented = content.find(b"mvex", position, end) >= 0
        elif kind == b"sidx":
            file.seek(position)
            indexed_to = max(indexed_to, end + _indexed_bytes(file.read(min(length, LONGEST_INDEX))))
    if end > size:
        return f"{size} bytes of a video of at least {end}"
    if indexed_to > size:
        return f"{size} bytes of fragments that reach to {indexed_to}"
    if (fragmented or b"moof" in kinds) and b"mfra" not in kinds and indexed_to != size:
        return f"a fragmented MP4 without its index (mfra or sidx), which may end anywhere ({_REMUX} of a whole one)"
    return None


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield position, length and kind of the boxes of the top level; the last may reach past the end."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        length = size - position if length == 0 else max(length, 8)
        yield position, length, head[4:8]
        position += length
    if position < size:
        yield position, 8, b""


def _indexed_bytes(sidx: bytes) -> int:
    """Return how many bytes after itself a segment index lists.

    Raises:
        ValueError: If it is shorter than its own count of entries says.
    """
    # Version 0 keeps the earliest time and the offset in 32 bits each, later ones in 64.
    width = 4 if sidx[8] == 0 else 8
    at = 20
    offset = int.from_bytes(sidx[at + width : at + 2 * width], "big")
    at += 2 * width
    count = int.from_bytes(sidx[at + 2 : at + 4], "big")
    if len(sidx) < at + 4 + 12 * count:
        raise ValueError(f"{len(sidx)} bytes of an index of {count} entries")
    total = offset
    for place in range(at + 4, at + 4 + 12 * count, 12):
        # The highest bit says what the entry is about, the others how many bytes it has.
        total += int.from_bytes(sidx[place : place + 4], "big") & 0x7FFFFFFF
    return total


def _matroska_fault(file: BinaryIO, size: int) -> str | None:
    """Look at the segment, or if it states no size (a live stream) at its clusters."""
    position = 0
    end = size
    while position < end:
        file.seek(position)
        head = file.read(12)
        _, kind_length = _ebml_number(head)
        length, length_length = _ebml_number(head[kind_length:])
        if not kind_length or not length_length:
            return f"an element that begins at byte {position} of {size}"
        body = position + kind_length + length_length
        # The length is unknown: its children follow.
        if length == 2 ** (7 * length_length) - 1:
            position = body
            continue
        if body + length > size:
            return f"{size} bytes of a video of at least {body + length}"
        position = body + length
    return None


def _ebml_number(data: bytes) -> tuple[int, int]:
    """Return a number of variable length and how many bytes it has, 0 if it is not all there."""
    if not data or data[0] == 0:
        return 0, 0
    # As many zero bits stand before the first 1 as bytes follow the first one.
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return 0, 0
    return int.from_bytes(data[:length], "big") & (2 ** (7 * length) - 1), length


def _riff_fault(file: BinaryIO, size: int) -> str | None:
    """Look at the RIFF chunks; an AVI over 1 GB has several."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF":
            break  # what a program appended
        if length in (0, 0xFFFFFFFF):
            return f"a RIFF file that was never finished ({_REMUX})"
        end = position + 8 + length
        if end > size:
            return f"{size} bytes of a video of {end}"
        # A chunk of an odd length is padded by a byte.
        position = end + length % 2
    return None


def _flv_fault(file: BinaryIO, size: int) -> str | None:
    file.seek(0)
    head = file.read(9)
    if len(head) < 9:
        return f"{size} bytes of a head of 9"
    position = int.from_bytes(head[5:9], "big") + 4
    last_ms = 0
    script = b""
    while position < size:
        file.seek(position)
        tag = file.read(11)
        end = position + 11 + int.from_bytes(tag[1:4], "big") + 4
        if len(tag) < 11 or end > size:
            return f"{size} bytes of a video of at least {max(end, position + 15)}"
        if tag[0] & 0x1F == 18 and not script:
            script = file.read(end - position - 15)
        # The fourth, highest byte of a time stands behind the three others.
        last_ms = max(last_ms, int.from_bytes(tag[7:8] + tag[4:7], "big"))
        position = end
    stated_size = _flv_number(script, b"filesize")
    stated_s = _flv_number(script, b"duration")
    if stated_size > size:
        return f"{size} bytes of a video of {stated_size:.0f}"
    if stated_s - last_ms / 1000 > 1:
        return f"{last_ms / 1000:g} s of a video of {stated_s:g} s"
    return None


def _flv_number(script: bytes, name: bytes) -> float:
    """Return a number of the metadata, 0 if it is not there."""
    at = script.find(struct.pack(">H", len(name)) + name + b"\0")
    value = script[at + len(name) + 3 : at + len(name) + 11]
    return float(struct.unpack(">d", value)[0]) if at >= 0 and len(value) == 8 else 0.0


def _gif_fault(file: BinaryIO, size: int) -> str | None:
    """Walk the blocks to the trailer 0x3B."""
    file.seek(0)
    head = file.read(13)
    # A table of 2 ** (n + 1) colours, 3 bytes each, where the flag says that there is one.
    if head[10] & 0x80:
        file.seek(3 * 2 ** ((head[10] & 7) + 1), 1)
    while (kind := file.read(1)) != b"\x3b":
        if kind == b"\x2c":
            fields = file.read(9)
            if len(fields) == 9 and fields[8] & 0x80:
                file.seek(3 * 2 ** ((fields[8] & 7) + 1), 1)
            file.read(1)  # bits of a code
        elif kind == b"\x21":
            file.read(1)  # kind of an extension
        elif kind != b"\0":
            return f"{size} bytes that end before the trailer of a GIF"
        while length := file.read(1):
            if length == b"\0":
                break
            file.seek(length[0], 1)
    return None


def _png_fault(file: BinaryIO, size: int) -> str | None:
    position = 8
    while position + 8 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        position += 12 + length
        if kind == b"IEND" and position <= size:
            return None
    return f"{size} bytes that end before the last chunk of a PNG"


def _ogg_fault(file: BinaryIO, size: int) -> str | None:
    """Every stream of an Ogg file ends in a page that says so."""
    position = 0
    unfinished = set()
    while position < size:
        file.seek(position)
        head = file.read(27)
        sizes = file.read(head[26]) if len(head) == 27 else b""
        end = position + 27 + len(sizes) + sum(sizes)
        if len(head) < 27 or len(sizes) < head[26] or end > size:
            return f"{size} bytes of a video of at least {end}"
        if head[:4] != b"OggS":
            return f"no page at byte {position} of an Ogg file"
        serial = head[14:18]
        unfinished.add(serial)
        if head[5] & 4:
            unfinished.discard(serial)
        position = end
    return "an Ogg file without the last page of a stream" if unfinished else None


def _ivf_fault(file: BinaryIO, size: int) -> str | None:
    file.seek(0)
    head = file.read(32)
    stated = int.from_bytes(head[24:28], "little")
    count = 0
    position = 32
    while position + 12 <= size:
        file.seek(position)
        position += 12 + int.from_bytes(file.read(4), "little")
        count += 1
    if position != size:
        return f"{size} bytes of a video of at least {max(position, size + 1)}"
    return f"{count} frames of {stated}" if count < stated else None


def _asf_fault(file: BinaryIO, size: int) -> str | None:
    file.seek(0)
    head = file.read(65536)
    # The id of the File Properties Object.
    at = head.find(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    stated = int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else 0
    return f"{size} bytes of a video of {stated}" if stated > size else None


def _ts_fault(file: BinaryIO, size: int) -> str | None:
    """Packets are of 188 bytes, 192 on discs, 204 in broadcasts; each begins with 0x47."""
    file.seek(0)
    head = file.read(4096)
    for length, sync in ((188, 0), (192, 4), (204, 0)):
        starts = head[sync::length]
        if len(starts) > 1 and re.fullmatch(b"G+", starts):
            return f"{size % length} bytes of the last packet of {length}" if size % length else None
    return None


def _y4m_fault(file: BinaryIO, size: int) -> str | None:
    """All frames of a YUV4MPEG2 file have the same length: a line, then the planes."""
    file.seek(0)
    words = file.readline(1000).split()
    start = file.tell()
    stated = {word[:1]: word[1:].decode("latin1") for word in words[1:]}
    line = file.readline(1000)
    kind = stated.get(b"C", "420")
    width = int(stated[b"W"])
    height = int(stated[b"H"])
    half_width = -(-width // 2)
    half_height = -(-height // 2)
    chroma = {"420": half_width * half_height, "422": half_width * height, "411": -(-width // 4) * height}
    samples = width * height + 2 * chroma.get(kind[:3], 0 if kind.startswith("mono") else width * height)
    samples += width * height if "alpha" in kind else 0
    deep = re.search(r"(?:p|mono)(9|1[0-6])", kind)
    length = len(line) + samples * (2 if deep else 1)
    rest = (size - start) % length
    return f"{rest} bytes of the last frame of {length}" if rest else None


def _mxf_fault(file: BinaryIO, size: int) -> str | None:
    """The header of a finished MXF file says where its footer begins."""
    file.seek(0)
    head = file.read(65536 + 64)
    at = head.find(bytes.fromhex("060e2b34020501010d010201"))
    long_form = head[at + 16] & 0x80
    fields = at + 17 + (head[at + 16] & 0x7F if long_form else 0)
    footer = int.from_bytes(head[fields + 24 : fields + 32], "big")
    return f"{size} bytes of a video of more than {footer}" if at >= 0 and footer >= size else None


_FAULTS: dict[str, Callable[[BinaryIO, int], str | None]] = {
    "mp4": _mp4_fault,
    "matroska": _matroska_fault,
    "avi": _riff_fault,
    "webp_anim": _riff_fault,
    "flv": _flv_fault,
    "gif": _gif_fault,
    "apng": _png_fault,
    "ogg": _ogg_fault,
    "ivf": _ivf_fault,
    "asf": _asf_fault,
    "mpegts": _ts_fault,
    "yuv4mpegpipe": _y4m_fault,
    "mxf": _mxf_fault,
}
