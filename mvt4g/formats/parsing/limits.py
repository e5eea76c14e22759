"""Limits of what one input file may ask for, those of every reader, and the one option that raises them.

A file is checked by what it declares, before anything is allocated: a compressed file of 13 MB may unpack to 3 GB.
Videos are read frame by frame and have no limit here.
"""

import math
import os
from dataclasses import dataclass

from mvt4g.types import InputError

OPTION = "--file-memory"
"""Of every command: GiB that the content of one file may take."""
VARIABLE = "MVT4G_FILE_MEMORY"
"""The same as an environment variable, which worker processes, ranks and the runs of a sweep inherit."""
DEFAULT_GIB = 2.0
_GIB = 2**30


@dataclass(frozen=True)
class FileLimits:
    """Limits of one input file.

    Attributes:
        memory: Bytes that its content may take: arrays out of a compressed file, a parsed JSON, a folder of images.
    """

    memory: int = int(DEFAULT_GIB * _GIB)

    @property
    def stored(self) -> int:
        """Bytes of arrays that lie in their file uncompressed, as in a pickle: its size on disk is no surprise."""
        return 4 * self.memory

    @property
    def weights(self) -> int:
        """Bytes of a file of weights or a checkpoint, of all its shards together."""
        return 16 * self.memory

    @property
    def image_pixels(self) -> int:
        """Pixels of one image: 16 bytes each while it is decoded and turned to float32."""
        return self.memory // 16

    @property
    def json_bytes(self) -> int:
        """Length of a JSON file; what it takes when parsed is estimated besides, and held against ``memory``."""
        return self.memory // 8

    @property
    def row_bytes(self) -> int:
        """Length of a file of rows or lines, each of which takes about 30 times its length as Python objects."""
        return self.memory // 32

    @property
    def yaml_bytes(self) -> int:
        """Length of a YAML file; its parser takes about 1 KB a word."""
        return self.memory // 2048

    @property
    def yaml_nodes(self) -> int:
        """Values of a YAML file, each alias counted as all that it stands for."""
        return self.memory // 16384

    @property
    def depth(self) -> int:
        """Lists and mappings within one another, in JSON and YAML; no option raises it."""
        return 64

    @property
    def members(self) -> int:
        """Arrays in an ``.npz``; no option raises it."""
        return 4096


def file_limits() -> FileLimits:
    """Return the limits in force: those of ``MVT4G_FILE_MEMORY``, else of 2 GiB.

    Raises:
        InputError: If the variable holds no number of GiB.
    """
    given = os.environ.get(VARIABLE)
    return FileLimits() if given is None else FileLimits(int(gib(given, VARIABLE) * _GIB))


def gib(text: str, where: str) -> float:
    """Return a number of GiB from its text.

    Raises:
        InputError: Naming where it was given, if it is not a number from 1/16 to 65536.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 1 / 16 <= number <= 65536:
        want = "the GiB that one file may take, 0.0625 to 65536"
        raise InputError(f"{where}: got {text!r}, want {want}")
    return number


def too_large(where: str, got: str, limit: str) -> InputError:
    """Return the error for a file over a limit; it says which option raises it."""
    return InputError(f"{where}: got {got}, want at most {limit}; {OPTION} (or {VARIABLE}) in GiB raises it")


def size_text(number_of_bytes: int) -> str:
    """Return a size as people read it."""
    for unit, size in (("GiB", _GIB), ("MiB", 2**20), ("KiB", 2**10)):
        if number_of_bytes >= size:
            return f"{number_of_bytes / size:.1f} {unit}"
    return f"{number_of_bytes:.0f} bytes"
