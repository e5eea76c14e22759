"""Pickles and object ``.npy`` files that others made, read without running anything they say.

A pickle is a program: it may name any function and have it called. Here it may name only what rebuilds NumPy arrays and
scalars, and even these are rebuilt by code of ours rather than by NumPy's ``__setstate__``, which trusts its input.
"""

import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Shaped

from mvt4g.formats.parsing.array_headers import BROKEN, read_array_header
from mvt4g.formats.parsing.files import check_regular
from mvt4g.formats.parsing.limits import file_limits, size_text, too_large
from mvt4g.types import InputError

_KINDS = "biufcSUO"
_WANT = "want arrays, numbers, text, lists and dicts alone"
_BROKEN = (*BROKEN, pickle.UnpicklingError, ImportError)
_MEMO_WRITES = ("PUT", "BINPUT", "LONG_BINPUT")
_STEP_BYTES = 100
"""Memory that a step of a pickle may take beside the text or bytes that it brings."""


def read_pickle(path: Path) -> Any:
    """Read a pickle of arrays, numbers, text, lists, tuples and dicts.

    Raises:
        InputError: If the file is missing, broken or too large, or names anything else; it is named, and nothing of it
            is run.
    """
    with _open(path, "a pickle of arrays") as file:
        return _load(path, file)


def read_npy(path: Path) -> Any:
    """Read an ``.npy``: its array, or, of a single object (a dict saved by ``np.save``), that object.

    Raises:
        InputError: As ``read_pickle``.
    """
    with _open(path, "an .npy") as file:
        if not _holds_objects(path, file):
            file.seek(0)
            try:
                header = read_array_header(file)
                if (left := path.stat().st_size - file.tell()) != header.nbytes:
                    raise ValueError(f"{left} bytes for {header.dtype} of shape {header.shape}")
                file.seek(0)
                return np.lib.format.read_array(file, allow_pickle=False)
            except _BROKEN as error:
                raise _broken(path, "a whole .npy", error) from error
        array = _load(path, file)
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: got a pickled {type(array).__name__}, want an array")
    return array.item() if array.ndim == 0 else array


def _open(path: Path, want: str) -> BinaryIO:
    length = check_regular(path, want)
    most = file_limits().stored
    if length > most:
        raise too_large(str(path), f"a file of {size_text(length)}", size_text(most))
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), want {want}") from error


def _holds_objects(path: Path, file: BinaryIO) -> bool:
    """Read the header of an ``.npy`` and say whether a pickle follows."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return bool(read(file)[2].hasobject)
    except _BROKEN as error:
        raise _broken(path, "a whole .npy", error) from error


def _load(path: Path, file: BinaryIO) -> Any:
    try:
        start = file.tell()
        _check_steps(path, file)
        file.seek(start)
        return _plain(_Reader(file, path).load(), {})
    except InputError:
        raise
    except _BROKEN as error:
        raise _broken(path, "a whole pickle", error) from error


def _check_steps(path: Path, file: BinaryIO) -> None:
    """Look through a pickle's steps without carrying them out.

    The unpickler makes a table as long as the largest number under which something is to be remembered: ten bytes of a
    pickle could ask for gigabytes. Honest picklers count these numbers up from 0.
    """
    most = file_limits().stored // _STEP_BYTES
    steps = 0
    for steps, (step, argument, _) in enumerate(pickletools.genops(file)):
        if step.name in _MEMO_WRITES and int(argument or 0) > steps:
            raise ValueError(f"remembers something as number {argument} at step {steps}")
        if steps > most:
            raise too_large(str(path), "a pickle of more steps", str(most))


def _broken(path: Path, want: str, error: BaseException) -> InputError:
    reason = str(error).partition(chr(10))[0][:200] or type(error).__name__
    return InputError(f"{path}: cannot be read ({reason}), want {want}")


class _Reader(pickle.Unpickler):
    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for an allowed name here.

        Raises:
            InputError: If the name is not allowed.
        """
        stand_in = _STAND_INS.get((module.replace("numpy._core.", "numpy.core."), name))
        if stand_in is None:
            raise InputError(f"{self._path}: refused to load {module}.{name}, {_WANT}")
        return stand_in


class _Named:
    """Something a pickle may call, but not change."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a state for a function")


class _Dtype:
    """What a pickle says of a dtype: a code and a byte order; NumPy checks both."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(code, str) or np.dtype(code).kind not in _KINDS:
            raise ValueError(f"dtype {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise ValueError("a structured dtype")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array to be; ``value`` is there once the pickle has told its state."""

    value: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, data = state
        self.value = _fill_array(data, dtype, shape, "F" if is_fortran else "C")


def _no_call(*arguments: Any) -> Any:
    raise ValueError("a call of numpy.ndarray")


_NDARRAY = _Named(_no_call)


def _reconstruct(kind: Any, shape: tuple[int, ...], code: bytes) -> _Array:
    if kind is not _NDARRAY:
        raise ValueError("an array of a class of its own")
    return _Array()


def _scalar(dtype: _Dtype, data: bytes) -> np.generic:
    return _fill_array(data, dtype, (1,), "C")[0]


def _fill_array(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> Shaped[np.ndarray, "..."]:
    if not isinstance(dtype, _Dtype):
        raise ValueError("an array without a dtype")
    if dtype.dtype.kind != "O":
        return np.frombuffer(data, dtype.dtype, int(np.prod(shape))).reshape(shape, order=order)
    if not isinstance(data, list):
        raise ValueError("an array of objects that is no list of them")
    return _object_array(data).reshape(shape, order=order)


def _object_array(entries: list[Any]) -> Shaped[np.ndarray, " n"]:
    array = np.empty(len(entries), dtype=object)
    for index, entry in enumerate(entries):
        array[index] = entry
    return array


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes in encoding {encoding!r}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


_STAND_INS = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Named(_Dtype),
    ("numpy.core.multiarray", "_reconstruct"): _Named(_reconstruct),
    ("numpy.core.multiarray", "scalar"): _Named(_scalar),
    ("numpy.core.numeric", "_frombuffer"): _Named(_fill_array),
    # How protocols up to 2 write bytes.
    ("_codecs", "encode"): _Named(_latin1),
    # Protocols up to 2 write no bytes so.
    ("__builtin__", "bytes"): _Named(_empty_bytes),
}


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Return the value with every array in its place; one that holds itself runs out of recursion.

    Args:
        value: What the pickle built.
        done: Results by identity: a list that is in a thousand places is looked through once.
    """
    if id(value) not in done:
        done[id(value)] = _unwrap(value, done)
    return done[id(value)]


def _unwrap(value: Any, done: dict[int, Any]) -> Any:
    if isinstance(value, _Array):
        return _plain(value.value, done)
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return _object_array([_plain(entry, done) for entry in value.ravel()]).reshape(value.shape)
    if isinstance(value, dict):
        return {_plain(key, done): _plain(entry, done) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(entry, done) for entry in value)
    if isinstance(value, _Dtype | _Named):
        raise ValueError("a function or dtype where a value belongs")
    return value
