"""Reading ``.npz`` files that may be broken."""

import zipfile
from pathlib import Path

import numpy as np

from mvt4g.types import InputError


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz`` with their checksums verified and without pickle.

    Raises:
        InputError: If the file is missing, cut short, damaged, no ``.npz``, or holds Python objects.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, want an .npz")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read ({reason}), want a whole .npz without Python objects") from error
