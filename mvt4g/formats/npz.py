"""Reading ``.npz`` files that may be broken, writing compressed ones whose bytes depend on the arrays alone."""

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from mvt4g.formats.atomic import appearing
from mvt4g.types import InputError

_DEFLATE_LEVEL = 4
"""Within 1 % of the size of zlib's default on rendered depth, and faster."""


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of an ``.npz``, all or those of ``names`` that it has.

    Their checksums are verified; pickle is never used.

    Raises:
        InputError: If the file is missing, cut short, damaged, no ``.npz``, or holds Python objects.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, want an .npz")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if names is None or name in names}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read ({reason}), want a whole .npz without Python objects") from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays compressed; the file appears whole or not at all, and equal arrays give equal bytes.

    Raises:
        InputError: If the place cannot be written to.
    """
    with (
        appearing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=_DEFLATE_LEVEL) as archive,
    ):
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:  # a name alone carries no time of day
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
