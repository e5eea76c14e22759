"""Pickles of data come back whatever the protocol; pickles that would run something do not run it."""

import builtins
import collections
import functools
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mvt4g.formats.safe_pickle import read_npy, read_pickle
from mvt4g.types import InputError

CONTENT = {
    "floats": np.arange(12.0).reshape(3, 4),
    "big endian": np.arange(6, dtype=">f4").reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "bools": np.array([True, False]),
    "text": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "objects": np.array([b"frame\0", {"x": np.ones(2)}, None], dtype=object),
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.float32(1.5),
    "plain": [1, 2.5, "three", b"four", (True, None), {"five": 5}],
}


def _same(found, want) -> bool:
    if isinstance(want, np.ndarray | np.generic):
        same_type = found.dtype == want.dtype and found.shape == want.shape
        return same_type and all(_same(a, b) for a, b in zip(np.ravel(found), np.ravel(want), strict=True)) \
            if isinstance(want, np.ndarray) else same_type and found == want  # fmt: skip
    if isinstance(want, dict):
        return list(found) == list(want) and all(_same(found[key], want[key]) for key in want)
    return found == want


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_come_back(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(CONTENT, protocol=protocol))
    assert _same(read_pickle(tmp_path / "a.pkl"), CONTENT)


def test_npy_of_numbers_and_of_objects(tmp_path: Path) -> None:
    np.save(tmp_path / "numbers.npy", CONTENT["floats"])
    np.save(tmp_path / "dict.npy", CONTENT, allow_pickle=True)
    np.save(tmp_path / "list.npy", CONTENT["objects"], allow_pickle=True)
    assert _same(read_npy(tmp_path / "numbers.npy"), CONTENT["floats"])
    assert _same(read_npy(tmp_path / "dict.npy"), CONTENT)
    assert _same(read_npy(tmp_path / "list.npy"), CONTENT["objects"])


def test_names_of_older_and_newer_numpy_are_one(tmp_path: Path) -> None:
    data = pickle.dumps(CONTENT["floats"], protocol=3)
    assert b"numpy._core" in data
    (tmp_path / "a.pkl").write_bytes(data.replace(b"numpy._core", b"numpy.core"))
    assert _same(read_pickle(tmp_path / "a.pkl"), CONTENT["floats"])


class _Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def _attacks(mark: Path) -> dict[str, tuple[object, str]]:
    command = f"touch {mark}"
    return {
        "system": (_Calls(os.system, command), "posix.system"),
        "popen": (_Calls(subprocess.Popen, ["touch", str(mark)]), "subprocess.Popen"),
        "eval": (_Calls(eval, f"open({str(mark)!r}, 'w')"), "builtins.eval"),
        "exec": (_Calls(exec, f"open({str(mark)!r}, 'w')"), "builtins.exec"),
        "getattr": (_Calls(getattr, "", "join"), "builtins.getattr"),
        "import": (_Calls(builtins.__import__, "os"), "builtins.__import__"),
        "partial": (functools.partial(print), "functools.partial"),
        "load": (_Calls(np.load, "a.npy"), "numpy.load"),
        "another class": (collections.OrderedDict(a=1), "collections.OrderedDict"),
        "a path": (Path("/etc/passwd"), "pathlib.PosixPath"),
    }


@pytest.mark.parametrize("attack", _attacks(Path("x")))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_what_runs_something_is_refused_and_not_run(tmp_path: Path, attack: str, protocol: int) -> None:
    payload, name = _attacks(tmp_path / "ran")[attack]
    name = name if protocol == 4 else r"\S+"  # older protocols name some modules as Python 2 did
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"coords": [payload]}, protocol=protocol))
    np.save(tmp_path / "a.npy", {"coords": payload}, allow_pickle=True)
    with pytest.raises(InputError, match=rf"a.pkl: refused to load {name}, want arrays"):
        read_pickle(tmp_path / "a.pkl")
    with pytest.raises(InputError, match=r"a.npy: refused to load \S+, want arrays"):
        read_npy(tmp_path / "a.npy")
    assert not (tmp_path / "ran").exists()


def test_the_same_attack_works_on_a_plain_unpickler(tmp_path: Path) -> None:
    """Otherwise the tests above would show nothing."""
    payload, _ = _attacks(tmp_path / "ran")["system"]
    np.load(_saved(tmp_path / "a.npy", payload), allow_pickle=True)
    assert (tmp_path / "ran").exists()


def _saved(path: Path, payload: object) -> Path:
    np.save(path, {"coords": payload}, allow_pickle=True)
    return path


class _Forged:
    """An array whose state is made up."""

    def __init__(self, state, *dtype_state) -> None:
        self.state = state

    def __reduce__(self):
        return np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), self.state


class _ForgedDtype:
    def __init__(self, code, state) -> None:
        self.code, self.state = code, state

    def __reduce__(self):
        return np.dtype, (self.code, False, True), self.state


FORGED = {
    "pointers for objects": _Forged((1, (1,), np.dtype("O"), False, b"\x41" * 8)),
    "objects that claim to be none": _Forged(
        (1, (1,), _ForgedDtype("O", (3, "|", None, None, None, -1, -1, 0)), False, b"\x41" * 8)
    ),
    "more entries than bytes": _Forged((1, (1000,), np.dtype("f8"), False, b"\0" * 8)),
    "a negative shape": _Forged((1, (-1, -8), np.dtype("f8"), False, b"\0" * 8)),
    "a shape of text": _Forged((1, ("a",), np.dtype("f8"), False, b"\0" * 8)),
    "a structured dtype": _Forged((1, (1,), np.dtype([("a", "O")]), False, b"\0" * 8)),
    "a dtype of its own length": _Forged(
        (1, (1,), _ForgedDtype("V8", (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)), False, b"\0" * 8)
    ),
    "no dtype": _Forged((1, (1,), None, False, b"\0" * 8)),
    "too short a state": _Forged((1,)),
    "ndarray called": _Calls(np.ndarray, (1,), "O", b"\0" * 8),
    "a dtype as a value": np.dtype("f8"),
    "a function as a value": np._core.multiarray.scalar,
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_arrays_never_reach_numpy(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([FORGED[kind]], protocol=4))
    with pytest.raises(InputError, match=r"a.pkl: cannot be read \(.+\), want a whole pickle"):
        read_pickle(tmp_path / "a.pkl")


def test_allowed_functions_cannot_be_changed(tmp_path: Path) -> None:
    """BUILD with two states sets attributes of what is on the stack: here of what rebuilds scalars."""
    data = b"cnumpy.core.multiarray\nscalar\nN}X\x04\x00\x00\x00nameX\x01\x00\x00\x00as\x86b."
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(InputError, match="a state for a function"):
        read_pickle(tmp_path / "a.pkl")


def test_a_list_in_itself_and_lists_in_a_thousand_places(tmp_path: Path) -> None:
    endless: list = []
    endless.append(endless)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(endless))
    with pytest.raises(InputError, match=r"a.pkl: cannot be read"):
        read_pickle(tmp_path / "a.pkl")
    many: list = []
    for _ in range(100):
        many = [many] * 100  # 10^200 entries, if each were looked at
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(many))
    assert len(read_pickle(tmp_path / "a.pkl")) == 100


@pytest.mark.parametrize("keep", [0, 5, 40, 130, -1])
def test_cut_files_are_named(tmp_path: Path, keep: int) -> None:
    np.save(tmp_path / "whole.npy", CONTENT, allow_pickle=True)
    (tmp_path / "a.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:keep])
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(CONTENT)[:keep])
    for path, read in ((tmp_path / "a.npy", read_npy), (tmp_path / "a.pkl", read_pickle)):
        with pytest.raises(InputError, match=rf"{path.name}: cannot be read \(.+\), want a whole"):
            read(path)


def test_random_bytes_never_get_through_as_another_error(tmp_path: Path) -> None:
    rng = np.random.default_rng((0, 0))
    whole = bytearray(pickle.dumps(CONTENT, protocol=4))
    read = 0
    for _ in range(500):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / "a.pkl").write_bytes(damaged)
        try:
            read_pickle(tmp_path / "a.pkl")
            read += 1
        except InputError:
            continue
    assert 0 < read < 500


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_npy, read_pickle):
        with pytest.raises(InputError, match=r"a.pkl: no such file"):
            read(tmp_path / "a.pkl")


def test_a_few_bytes_cannot_ask_for_gigabytes(tmp_path: Path) -> None:
    """The unpickler's table would be as long as the largest number under which something is remembered."""
    import struct

    for name, data in {
        "remembers": b"\x80\x02]r" + struct.pack("<I", 2**31 - 1) + b".",
        "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        "deep": b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b".",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=rf"{name}: cannot be read"):
            read_pickle(tmp_path / name)


@pytest.mark.parametrize(("shape", "dtype"), [((10**12,), "<f8"), ((-1,), "<f8"), ((10**9,), "|S0")])
def test_an_npy_that_declares_more_than_it_has(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    with pytest.raises(InputError, match=r"a\.npy: cannot be read"):
        read_npy(tmp_path / "a.npy")


def test_files_over_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVT4G_FILE_MEMORY", "0.0625")
    with (tmp_path / "a.pkl").open("wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(InputError, match=r"a\.pkl: got a file of 256\.0 MiB, want at most 256\.0 MiB; --file-memory"):
        read_pickle(tmp_path / "a.pkl")
