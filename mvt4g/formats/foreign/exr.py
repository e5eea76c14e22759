"""OpenEXR images, as ViPE and Vista4D keep depth: files of rows, as the library writes them by default.

OpenEXR's own library is no dependency: it parses untrusted files in C++, and from memory alone by its old interface.
This reader takes half and float channels of a single part, stored or deflated (NONE, ZIPS and ZIP), and refuses all
else by name. Every size is checked before anything is allocated.

Source: "OpenEXR File Layout", https://openexr.com/en/latest/OpenEXRFileLayout.html.
"""

import struct
import zlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mvt4g.formats.parsing.limits import file_limits, size_text, too_large
from mvt4g.types import InputError

MAGIC = b"\x76\x2f\x31\x01"
_LONG_NAMES = 0x400
_VERSION = 2
_COMPRESSIONS = ("NONE", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB")
_ROWS_A_BLOCK = {"NONE": 1, "ZIPS": 1, "ZIP": 16}
_TYPES = (("uint", "<u4"), ("half", "<f2"), ("float", "<f4"))
_MOST_ATTRIBUTES = 256
_MOST_CHANNELS = 64


class _Channel(NamedTuple):
    name: str
    dtype: np.dtype


class _Header(NamedTuple):
    """What a file says of itself, and where its table of blocks begins."""

    channels: tuple[_Channel, ...]
    compression: str
    first_row: int
    height: int
    width: int
    end: int

    @property
    def row_bytes(self) -> int:
        """What a row of all channels takes."""
        return self.width * sum(channel.dtype.itemsize for channel in self.channels)


def read_exr_channel(content: bytes, channel: str, where: str) -> Float[ndarray, "h w"]:
    """Read one channel as float32.

    Args:
        content: Of the file.
        channel: Its name, "Z" for depth.
        where: The file, for messages.

    Raises:
        InputError: If the file is no OpenEXR, damaged or of another kind than above, if it lacks the channel, or has
            more pixels than one image may.
    """
    try:
        header = _read_header(content)
        if header.height * header.width > file_limits().image_pixels:
            most = f"{file_limits().image_pixels:,} pixels"
            raise too_large(where, f"an image of {header.width}x{header.height}", most)
        if (total := header.height * header.row_bytes) > file_limits().memory:
            raise too_large(where, f"channels of {size_text(total)} in all", size_text(file_limits().memory))
        return _read_channel(content, header, channel)
    except InputError:
        raise
    except (struct.error, zlib.error, ValueError, IndexError, OverflowError) as error:
        reason = str(error).partition("\n")[0][:200]
        want = "one part of stored or zipped rows"
        raise InputError(f"{where}: cannot be read as OpenEXR ({reason}), want {want}") from error


def _read_header(content: bytes) -> _Header:
    if content[:4] != MAGIC:
        raise ValueError("its first bytes are another format's")
    (version,) = struct.unpack_from("<I", content, 4)
    if version & 0xFF != _VERSION or version & ~0xFF & ~_LONG_NAMES:
        raise ValueError(f"version and flags {version:#x}: tiles, several parts or deep data")
    attributes: dict[str, bytes] = {}
    place = 8
    while content[place] != 0:
        name, place = _read_name(content, place)
        _, place = _read_name(content, place)
        (size,) = struct.unpack_from("<i", content, place)
        place += 4
        if not 0 <= size <= len(content) - place or len(attributes) >= _MOST_ATTRIBUTES:
            raise ValueError(f"attribute {name!r:.60} of {size} bytes")
        attributes[name] = content[place : place + size]
        place += size
    for name in ("channels", "compression", "dataWindow"):
        if name not in attributes:
            raise ValueError(f"no attribute {name}")
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    if right < left or bottom < top:
        raise ValueError(f"a window from {left}, {top} to {right}, {bottom}")
    number = attributes["compression"][0]
    compression = _COMPRESSIONS[number] if number < len(_COMPRESSIONS) else f"number {number}"
    if compression not in _ROWS_A_BLOCK:
        raise ValueError(f"compression {compression}")
    channels = _read_channels(attributes["channels"])
    return _Header(channels, compression, top, bottom - top + 1, right - left + 1, place + 1)


def _read_name(content: bytes, place: int) -> tuple[str, int]:
    end = content.index(b"\0", place, place + 256)
    return content[place:end].decode("latin-1"), end + 1


def _read_channels(content: bytes) -> tuple[_Channel, ...]:
    channels: list[_Channel] = []
    place = 0
    while content[place] != 0:
        name, place = _read_name(content, place)
        kind, _, across, down = struct.unpack_from("<iIii", content, place)
        place += 16
        if not 0 <= kind < len(_TYPES) or (across, down) != (1, 1) or len(channels) >= _MOST_CHANNELS:
            raise ValueError(f"channel {name!r:.60} of type {kind}, every {across} by {down} pixels")
        channels.append(_Channel(name, np.dtype(_TYPES[kind][1])))
    return tuple(channels)


def _read_channel(content: bytes, header: _Header, wanted: str) -> Float[ndarray, "h w"]:
    names = [channel.name for channel in header.channels]
    if wanted not in names:
        raise ValueError(f"channels {names}, want {wanted!r}")
    number = names.index(wanted)
    dtype = header.channels[number].dtype
    if dtype.kind != "f":
        raise ValueError(f"channel {wanted!r} of whole numbers")
    # A row holds all pixels of one channel, then those of the next.
    before = header.width * sum(channel.dtype.itemsize for channel in header.channels[:number])
    row_bytes = header.row_bytes
    rows_a_block = _ROWS_A_BLOCK[header.compression]
    num_blocks = -(-header.height // rows_a_block)
    offsets = struct.unpack_from(f"<{num_blocks}Q", content, header.end)
    image = np.empty((header.height, header.width), np.float32)
    for block, offset in enumerate(offsets):
        start = block * rows_a_block
        count = min(rows_a_block, header.height - start)
        row, size = struct.unpack_from("<ii", content, offset)
        if row != header.first_row + start or not 0 <= size <= len(content) - offset - 8:
            raise ValueError(f"block {block} of row {row} and {size} bytes")
        rows = _unpacked(content[offset + 8 : offset + 8 + size], count * row_bytes, header.compression)
        for line in range(count):
            values = np.frombuffer(rows, dtype, header.width, line * row_bytes + before)
            image[start + line] = values
    return image


def _unpacked(block: bytes, size: int, compression: str) -> bytes:
    """Return the rows of a block; one that zipping does not make smaller is stored as it is."""
    if compression == "NONE" or len(block) == size:
        if len(block) != size:
            raise ValueError(f"a block of {len(block)} bytes, want {size}")
        return block
    inflater = zlib.decompressobj()
    # A byte more than wanted tells a block that is too long, whatever it would unpack to.
    packed = inflater.decompress(block, size + 1)
    if len(packed) != size:
        raise ValueError(f"a block that unpacks to {len(packed)} bytes or more, want {size}")
    # Bytes are differences from the one before, plus 128; those of even places come first, then those of odd ones.
    steps = np.frombuffer(packed, np.uint8) - np.uint8(128)
    steps[0] = packed[0]  # which is no difference
    # Differences are added modulo 256, as they were made.
    values = steps.cumsum(dtype=np.uint8)
    half = (size + 1) // 2
    rows = np.empty(size, np.uint8)
    rows[::2] = values[:half]
    rows[1::2] = values[half:]
    return rows.tobytes()
