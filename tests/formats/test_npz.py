"""Archives of arrays that are damaged, dressed up or blown up are refused by name before anything is allocated."""

import io
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from mvt4g.formats.npz import read_array_headers, read_arrays, write_arrays
from mvt4g.formats.parsing.limits import VARIABLE
from mvt4g.types import InputError

ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "b": np.array(["x", "yz"]),
    "none": np.zeros((0, 4), np.float32),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "sum": np.array(3, np.uint8),
}


def _npy(array, version=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version, allow_pickle=True)
    return buffer.getvalue()


def _header(descr, shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _zip(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote_is_read(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    found = read_arrays(tmp_path / "a.npz")
    assert list(found) == list(ARRAYS)
    for name, want in ARRAYS.items():
        np.testing.assert_array_equal(found[name], want)
        assert found[name].dtype == want.dtype
    headers = read_array_headers(tmp_path / "a.npz")
    assert {name: header.shape for name, header in headers.items()} == {n: a.shape for n, a in ARRAYS.items()}
    assert list(read_arrays(tmp_path / "a.npz", ("b", "other"))) == ["b"]
    assert list(read_arrays(tmp_path / "a.npz", lambda name: name < "c")) == ["a", "b"]


def test_versions_of_numpys_header(tmp_path):
    _zip(tmp_path / "a.npz", {"a.npy": _npy(ARRAYS["a"], (2, 0))})
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz")["a"], ARRAYS["a"])


@pytest.mark.parametrize(
    ("members", "got"),
    [
        ({"a.npy": _npy(np.array([{}], object))}, r"a: cannot be read \(Python objects\)"),
        ({"a.npy": _npy(np.zeros(2, "f4,i4"))}, r"a: cannot be read \(entries of type"),
        ({"a.npy": _npy(np.zeros(2, "M8[s]"))}, r"a: cannot be read \(entries of type datetime64"),
        ({"a.npy": _npy(np.zeros(2, "V2"))}, r"a: cannot be read \(entries of type"),
        ({"a.npy": b"no array"}, "a: cannot be read"),
        ({"a.npy": b""}, "a: cannot be read"),
        ({"notes.txt": b"no array"}, r"cannot be read \(member 'notes.txt' is no array"),
        ({"a.npy": _header("<f8", (10**12,))}, r"a: cannot be read \(\d+ bytes for float64 of shape"),
        ({"a.npy": _header("<f8", (2,)) + b"0" * 15}, r"a: cannot be read \(\d+ bytes for float64"),
        ({"a.npy": _header("<f8", (2,)) + b"0" * 17}, r"a: cannot be read \(\d+ bytes for float64"),
        ({"a.npy": _header("<f8", (-1,))}, "a: cannot be read"),
        ({"a.npy": _header("|S0", (10**12,))}, "a: cannot be read"),
        ({"a.npy": _header("<f8", (2**62, 4))}, "a: cannot be read"),
        ({"a.npy": _npy(ARRAYS["a"])[:6] + bytes([2, 0]) + struct.pack("<I", 2**31)}, "a: cannot be read"),
        ({"a.npy": _npy(ARRAYS["a"])[:6] + bytes([1, 0]) + struct.pack("<H", 9000) + b"(" * 9000}, "a: cannot"),
    ],
)
def test_members_that_are_no_arrays_are_named(tmp_path, members, got):
    with pytest.raises(InputError, match=rf"a\.npz: {got}"):
        read_arrays(_zip(tmp_path / "a.npz", members))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_named(tmp_path, method):
    path = _zip(tmp_path / "a.npz", {"a.npy": _npy(ARRAYS["a"])}, method)
    with pytest.raises(InputError, match=rf"member 'a' is packed by method {method}, not deflated"):
        read_arrays(path)


def _patched(path, record, offset, size, value):
    """Change a field of the local header (PK34) and of the central one (PK12)."""
    content = bytearray(path.read_bytes())
    place = content.index(record) + offset
    content[place : place + size] = value.to_bytes(size, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("offset", "size", "value", "got"),
    [
        (8, 2, 1, "encrypted"),
        (10, 2, 99, "packed by method 99"),
        (6, 2, 99, "cannot be read"),  # a version that Python's zipfile does not know
        (16, 4, 12345, "CRC"),
        (42, 4, 2**31, "cannot be read"),
    ],
)
def test_odd_directories_are_refused(tmp_path, offset, size, value, got):
    path = _zip(tmp_path / "a.npz", {"a.npy": _npy(ARRAYS["a"])})
    _patched(path, b"PK\x01\x02", offset, size, value)
    with pytest.raises(InputError, match=got):
        read_arrays(path)


def test_a_name_twice_and_a_damaged_stream_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", _npy(ARRAYS["a"]))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.npy", _npy(ARRAYS["a"] + 1))
    with pytest.raises(InputError, match="member 'a' twice"):
        read_arrays(tmp_path / "a.npz")
    path = _zip(tmp_path / "b.npz", {"a.npy": _npy(np.arange(1000))}, zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    content[60:80] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(zlib.error), np.load(path) as archive:
        archive["a"]
    with pytest.raises(InputError, match=r"b\.npz: a: cannot be read \(.*Error -3|b\.npz: a: cannot be read"):
        read_arrays(path)


def test_any_byte_changed_is_refused_or_harmless(tmp_path):
    write_arrays(tmp_path / "a.npz", {"a": np.arange(40.0)})
    whole = (tmp_path / "a.npz").read_bytes()
    draw = np.random.default_rng(0)
    for place in draw.choice(len(whole), 120, replace=False):
        changed = bytearray(whole)
        changed[place] ^= int(draw.integers(1, 256))
        (tmp_path / "b.npz").write_bytes(changed)
        try:
            found = read_arrays(tmp_path / "b.npz")
        except InputError:
            continue
        for array in found.values():  # a date or a name may have changed, numbers may not
            np.testing.assert_array_equal(array, np.arange(40.0))


def _refused_without_memory(path):
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"got arrays of 3\.0 GiB in all, want at most 2\.0 GiB; --file-memory"):
            read_arrays(path)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_what_declares_gigabytes_is_refused_before_it_is_unpacked(tmp_path):
    head = _header("<f4", (3 * 2**28,))
    path = _zip(tmp_path / "a.npz", {"a.npy": head}, zipfile.ZIP_DEFLATED)
    _patched(path, b"PK\x01\x02", 24, 4, len(head) + 3 * 2**30)
    _refused_without_memory(path)


@pytest.mark.slow
def test_what_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in "abc":
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(_header("<f4", (2**28,)))
                for _ in range(64):
                    file.write(bytes(2**24))
    assert path.stat().st_size < 20e6
    _refused_without_memory(path)


def test_the_option_raises_it_and_what_lies_unpacked_may_be_larger(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "0.0625")
    large = np.zeros(2**24 + 1, np.float32)
    np.savez(tmp_path / "stored.npz", a=large)
    assert read_arrays(tmp_path / "stored.npz")["a"].shape == large.shape
    np.savez_compressed(tmp_path / "packed.npz", a=large, small=np.zeros(3))
    with pytest.raises(InputError, match=r"got arrays of 64\.0 MiB in all, want at most 64\.0 MiB"):
        read_arrays(tmp_path / "packed.npz")
    assert list(read_arrays(tmp_path / "packed.npz", ("small",))) == ["small"]
    monkeypatch.setenv(VARIABLE, "0.125")
    assert read_arrays(tmp_path / "packed.npz")["a"].shape == large.shape
