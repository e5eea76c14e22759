"""OpenEXR as its library writes rows: header, table of blocks, blocks of one row or sixteen, stored or zipped."""

import struct
import zlib

import numpy as np

NUMBERS = {"NONE": 0, "ZIPS": 2, "ZIP": 3}
TYPES = {np.dtype(np.float16): 1, np.dtype(np.float32): 2}


def attribute(name, kind, content):
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(content)) + content


def zipped(rows):
    """Return bytes of even, then of odd places, as differences from the one before; as they are if that is smaller."""
    parted = np.frombuffer(rows, np.uint8)
    parted = np.concatenate([parted[::2], parted[1::2]]).astype(np.int64)
    steps = np.concatenate([parted[:1], parted[1:] - parted[:-1] + 128]) % 256
    packed = zlib.compress(steps.astype(np.uint8).tobytes())
    return packed if len(packed) < len(rows) else rows


def exr(channels, compression="ZIP", origin=(0, 0)):
    """Return a file of channels (name -> half or float of one shape)."""
    names = sorted(channels)
    height, width = next(iter(channels.values())).shape
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<iIii", TYPES[channels[name].dtype], 0, 1, 1) for name in names
    )
    left, top = origin
    window = struct.pack("<4i", left, top, left + width - 1, top + height - 1)
    content = b"\x76\x2f\x31\x01" + struct.pack("<I", 2)
    content += attribute("channels", "chlist", listed + b"\0")
    content += attribute("compression", "compression", bytes([NUMBERS[compression]]))
    content += attribute("dataWindow", "box2i", window) + attribute("displayWindow", "box2i", window)
    content += attribute("lineOrder", "lineOrder", b"\0") + b"\0"
    rows_a_block = 16 if compression == "ZIP" else 1
    blocks = []
    for start in range(0, height, rows_a_block):
        rows = b"".join(
            channels[name][row].tobytes()
            for row in range(start, min(start + rows_a_block, height))
            for name in names
        )  # fmt: skip
        packed = rows if compression == "NONE" else zipped(rows)
        blocks.append(struct.pack("<ii", top + start, len(packed)) + packed)
    place = len(content) + 8 * len(blocks)
    for block in blocks:
        content += struct.pack("<Q", place)
        place += len(block)
    return content + b"".join(blocks)
