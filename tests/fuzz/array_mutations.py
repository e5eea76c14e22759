"""One thing wrong with ``.npz``, ``.npy`` and pickles of arrays."""

import io
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.odd_values import ODD_VALUES, evil_pickles


def mutate_npz(draw: random.Random, path: Path) -> str:
    """Change an array of an archive, or how it is packed."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = draw.choice(sorted(arrays))
    if draw.random() < 0.4:
        kind, member = draw.choice(sorted(_MEMBERS.items()))
        _write_members(path, {**{n: _npy(a) for n, a in arrays.items()}}, name, *member)
        return f"{name}: {kind}"
    kind, change = draw.choice(_ARRAYS)
    changed = change(draw, arrays[name])
    if changed is None:
        del arrays[name]
    else:
        arrays[name] = changed
    np.savez_compressed(path, **arrays)
    return f"{name}: {kind}"


def mutate_npy(draw: random.Random, path: Path) -> str:
    """Change an array, or an entry of the dict in an object array."""
    content = np.load(path, allow_pickle=True)
    if content.dtype == object:
        inner = content.item()
        if draw.random() < 0.3:
            path.write_bytes(_evil_npy(draw, path.parent))
            return "evil pickle"
        told = change_arrays(draw, inner)
        np.save(path, inner, allow_pickle=True)
        return told
    kind, change = draw.choice(_ARRAYS)
    changed = change(draw, content)
    if changed is None:
        path.unlink()
    else:
        np.save(path, changed, allow_pickle=True)
    return kind


def mutate_pickle(draw: random.Random, path: Path) -> str:
    """Change an array of a pickle of dicts, or put a program there."""
    if draw.random() < 0.4:
        kind, data = draw.choice(evil_pickles(path.parent))
        path.write_bytes(data)
        return kind
    content = pickle.loads(path.read_bytes())  # our own
    told = change_arrays(draw, content)
    path.write_bytes(pickle.dumps(content))
    return told


def change_arrays(draw: random.Random, content: Any) -> str:
    """Change an array or entry of nested dicts."""
    key = draw.choice(sorted(content))
    if isinstance(content[key], dict) and draw.random() < 0.8:
        return f"{key}.{change_arrays(draw, content[key])}"
    if isinstance(content[key], np.ndarray):
        kind, change = draw.choice(_ARRAYS)
        changed = change(draw, content[key])
        if changed is None:
            del content[key]
        else:
            content[key] = changed
        return f"{key}: {kind}"
    content[key] = draw.choice(ODD_VALUES)
    return f"{key} = {content[key]!r:.40}"


def _evil_npy(draw: random.Random, folder: Path) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": ()})
    return buffer.getvalue() + draw.choice(evil_pickles(folder))[1]


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array)
    return buffer.getvalue()


def _declared(dtype: str, shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


_MEMBERS: dict[str, tuple[bytes | None, dict[str, Any]]] = {
    "declares 40 GB": (_declared("<f4", (10**10,)), {}),
    "unpacks to 160 MB": (b"", {"zeros": 40 * 2**20, "method": zipfile.ZIP_DEFLATED}),
    "no array": (b"hello", {}),
    "header of brackets": (b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000, {}),
    "header of 2 GB": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{", {}),
    "entries of no size": (_declared("|S0", (10**12,)), {}),
    "bzip2": (None, {"method": zipfile.ZIP_BZIP2}),
    "lzma": (None, {"method": zipfile.ZIP_LZMA}),
    "encrypted": (None, {"flag": 1}),
    "method 99": (None, {"method_told": 99}),
    "another suffix": (None, {"suffix": ".txt"}),
    "stream broken": (None, {"method": zipfile.ZIP_DEFLATED, "damage": True}),
}


def _write_members(
    path: Path, members: dict[str, bytes], chosen: str, content: bytes | None, how: dict[str, Any]
) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if name != chosen:
                archive.writestr(f"{name}.npy", data)
        name = f"{chosen}{how.get('suffix', '.npy')}"
        data = members[chosen] if content is None else content
        if "zeros" in how:
            data = _declared("<f4", (how["zeros"],)) + bytes(4 * how["zeros"])
        archive.writestr(name, data, how.get("method", zipfile.ZIP_STORED), 1)
    content_now = bytearray(path.read_bytes())
    central = content_now.rindex(b"PK\x01\x02")
    if "flag" in how:
        content_now[central + 8 : central + 10] = struct.pack("<H", how["flag"])
    if "method_told" in how:
        content_now[central + 10 : central + 12] = struct.pack("<H", how["method_told"])
    if "damage" in how:
        local = content_now.rindex(b"PK\x03\x04")
        start = local + 30 + len(name)
        content_now[start : start + 8] = b"\xff" * 8
    path.write_bytes(content_now)


def _with(index: Any, value: float) -> Callable[[random.Random, np.ndarray], Any]:
    def change(draw: random.Random, array: np.ndarray) -> Any:
        if array.dtype.kind not in "fiu" or not array.size:
            return array.astype(object)
        changed = array.astype(np.float32) if array.dtype.kind != "f" and not np.isfinite(value) else array.copy()
        changed.reshape(-1)[draw.randrange(array.size)] = np.float64(value).astype(changed.dtype)
        return changed

    return change


_ARRAYS: list[tuple[str, Callable[[random.Random, np.ndarray], Any]]] = [
    ("dropped", lambda draw, array: None),
    ("an axis more", lambda draw, array: array[None]),
    ("turned round", lambda draw, array: array.T if array.ndim > 1 else array[::-1]),
    ("an entry fewer", lambda draw, array: array[1:] if array.ndim else np.zeros(3)),
    ("empty", lambda draw, array: array[:0] if array.ndim else np.zeros(0)),
    ("text", lambda draw, array: np.array(["x"] * 3)),
    ("objects", lambda draw, array: np.array([{"a": 1}], object)),
    ("complex", lambda draw, array: np.zeros(array.shape, np.complex64)),
    ("float64", lambda draw, array: array.astype(np.float64) if array.dtype.kind in "fiub" else np.zeros(1)),
    ("bools", lambda draw, array: np.ones(array.shape, bool)),
    ("dates", lambda draw, array: np.zeros(array.shape, "M8[s]")),
    ("records", lambda draw, array: np.zeros(array.shape, "f4,i4")),
    ("a number", lambda draw, array: np.array(3.0)),
    ("NaN", _with(0, float("nan"))),
    ("infinity", _with(0, float("inf"))),
    ("negative", _with(0, -5.0)),
    ("large", _with(0, 1e30)),
]
