"""Reading ``.npz`` files that may be broken, writing compressed ones whose bytes depend on the arrays alone."""

import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.array_headers import BROKEN, ArrayHeader, read_array_header
from mvt4g.formats.parsing.files import check_regular
from mvt4g.formats.parsing.limits import file_limits, size_text, too_large
from mvt4g.types import InputError

_DEFLATE_LEVEL = 4
"""Within 1 % of the size of zlib's default on rendered depth, and faster."""
_SUFFIX = ".npy"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


def read_arrays(
    path: Path,
    names: Collection[str] | Callable[[str], bool] | None = None,
    check: Callable[[Mapping[str, ArrayHeader]], None] | None = None,
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Read the arrays of an ``.npz``, all or those of ``names`` that it has.

    Headers are read first: what all arrays together take is known, and refused if it is over the limit, before the
    first of them is. Checksums are verified; pickle is never used.

    Args:
        path: Of the file.
        names: Which, or what says of a name whether it is wanted; None = all.
        check: Called with the headers of the arrays wanted, before these are read; may raise.

    Raises:
        InputError: If the file is missing, cut short, damaged, no ``.npz``, encrypted or packed in an unusual way,
            holds Python objects or something else than arrays of numbers and text, or takes more memory than one file
            may.
    """
    with _Archive(path) as archive:
        headers = archive.headers(names)
        if check is not None:
            check(headers)
        archive.check_size(headers)
        return {name: archive.read(name) for name in headers}


def read_array_headers(path: Path) -> dict[str, ArrayHeader]:
    """Read what the arrays of an ``.npz`` say of themselves, and none of their numbers.

    Raises:
        InputError: As ``read_arrays``, but for the numbers' own faults.
    """
    with _Archive(path) as archive:
        return archive.headers(None)


def write_arrays(path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> None:
    """Write arrays compressed; the file appears whole or not at all, and equal arrays give equal bytes.

    Raises:
        InputError: If the place cannot be written to.
    """
    with (
        appearing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=_DEFLATE_LEVEL) as archive,
    ):
        for name, array in arrays.items():
            # A name alone carries no time of day.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)


class _Archive:
    """An open ``.npz`` whose every fault is an InputError that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        check_regular(path, "an .npz")

    def __enter__(self) -> "_Archive":
        try:
            self._zip = zipfile.ZipFile(self.path)
            self._members = self._listed()
        except BROKEN as error:
            raise self._error(error) from error
        return self

    def __exit__(self, *raised: object) -> None:
        self._zip.close()

    def headers(self, names: Collection[str] | Callable[[str], bool] | None) -> dict[str, ArrayHeader]:
        """Return the headers of all arrays, or of the wanted ones."""
        # What is not wanted is not opened: a foreign file may hold objects there.
        headers = {}
        for name, info in self._members.items():
            if names is None or (names(name) if callable(names) else name in names):
                headers[name] = self._header(name, info)
        return headers

    def check_size(self, headers: Mapping[str, ArrayHeader]) -> None:
        """Refuse arrays that take too much: together over ``memory``, or over ``stored`` if none is compressed."""
        # What is not compressed takes as many bytes on the disk: a small file cannot hold much.
        most = file_limits().stored
        total = 0
        for name, header in headers.items():
            total += header.nbytes
            if self._members[name].compress_type != zipfile.ZIP_STORED:
                most = file_limits().memory
        if total > most:
            raise too_large(str(self.path), f"arrays of {size_text(total)} in all", size_text(most))

    def read(self, name: str) -> Shaped[np.ndarray, "..."]:
        try:
            with self._zip.open(self._members[name]) as file:
                array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
                return array
        except BROKEN as error:
            raise self._error(error, name) from error

    def _listed(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        if len(infos) > file_limits().members:
            raise ValueError(f"{len(infos)} members, at most {file_limits().members}")
        members: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            name = info.filename.removesuffix(_SUFFIX)
            if name == info.filename:
                raise ValueError(f"member {name!r:.60} is no array")
            if name in members:
                raise ValueError(f"member {name!r:.60} twice")
            if info.flag_bits & _ENCRYPTED:
                raise ValueError(f"member {name!r:.60} is encrypted")
            if info.compress_type not in _METHODS:
                raise ValueError(f"member {name!r:.60} is packed by method {info.compress_type}, not deflated")
            members[name] = info
        return members

    def _header(self, name: str, info: zipfile.ZipInfo) -> ArrayHeader:
        try:
            with self._zip.open(info) as file:
                header = read_array_header(file)
                declared = file.tell() + header.nbytes
            if declared != info.file_size:
                raise ValueError(f"{info.file_size} bytes for {header.dtype} of shape {header.shape}")
            return header
        except BROKEN as error:
            raise self._error(error, name) from error

    def _error(self, error: BaseException, name: str | None = None) -> InputError:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        where = "" if name is None else f"{name:.60}: "
        return InputError(
            f"{self.path}: {where}cannot be read ({reason}), want a whole .npz of arrays without Python objects"
        )
