"""Headers of arrays in files, read and checked before the numbers are."""

import math
import struct
import tokenize
import zipfile
import zlib
from typing import Any, NamedTuple

import numpy as np

BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, TypeError,
    AttributeError, KeyError, IndexError, OverflowError, RecursionError, MemoryError, SyntaxError, RuntimeError,
    tokenize.TokenError,
)  # fmt: skip
"""What Python and NumPy raise on files that are damaged or made to fail; an InputError is a ValueError too."""
_KINDS = "biufcSU"
"""Numbers, bools and text: neither Python objects nor records nor dates."""


class ArrayHeader(NamedTuple):
    """An array that has not been read.

    Attributes:
        dtype: Of its entries: numbers, bools or text.
        shape: Its axes.
    """

    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """What its entries take."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_array_header(file: Any) -> ArrayHeader:
    """Read the header of an ``.npy``, up to the first byte of its numbers.

    Args:
        file: Open for reading bytes, a member of an archive too.

    Raises:
        ValueError: If it is none (NumPy may raise others of ``BROKEN``), or if its entries are of another kind than
            numbers, bools and text.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"a header of version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in _KINDS:
        raise ValueError("Python objects" if dtype.kind == "O" else f"entries of type {dtype}")
    header = ArrayHeader(dtype, tuple(int(size) for size in shape))
    is_empty = 0 in header.shape
    if any(size < 0 for size in header.shape) or (dtype.itemsize == 0 and not is_empty):
        raise ValueError(f"an array of shape {header.shape} and entries of {dtype.itemsize} bytes")
    return header
