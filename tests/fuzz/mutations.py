"""One thing wrong with a file: bytes of any, entries of JSON, YAML, CSV, ``.npz``, pickles and checkpoints."""

import csv
import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from tests.fuzz.harness import MARK

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e300, 10**400, 2**63, 0.5, "", "x", "nan", "\u2028", "x" * 100_000, [], {}, [[]], {"a": 1},
    [1, [2, 3]], [None], "../../etc/passwd", float("nan"), float("inf"), -0.0, [0] * 1000, "1,5",
    {"class_path": "os.system"},
)  # fmt: skip
_DEPTH = 3000


def mutate_tree(draw: random.Random, root: Path, patterns: tuple[str, ...] = ("*",)) -> str:
    """Break one file at or below a path; return what was done."""
    files = (
        [root] if root.is_file() else sorted({p for pattern in patterns for p in root.rglob(pattern) if p.is_file()})
    )
    path = draw.choice(files)
    name = path.name if path == root else path.relative_to(root).as_posix()
    own = _BY_SUFFIX.get(path.suffix.lower())
    change = own if own is not None and draw.random() < 0.7 else mutate_bytes
    return f"{name}: {change(draw, path)}"


def mutate_bytes(draw: random.Random, path: Path) -> str:
    """Break a file of any kind."""
    name, change = draw.choice(_BYTES)
    change(draw, path)
    return name


def mutate_json(draw: random.Random, path: Path) -> str:
    """Change an entry of a JSON file, or its form."""
    if draw.random() < 0.3:
        name, change = draw.choice(_JSON_TEXT)
        path.write_bytes(change(path.read_bytes()))
        return name
    content = json.loads(path.read_text())
    told = change_entry(draw, content)
    path.write_text(json.dumps(content))
    return told


def mutate_yaml(draw: random.Random, path: Path) -> str:
    """Change an entry of a YAML file, or its form."""
    if draw.random() < 0.3:
        name, change = draw.choice(_YAML_TEXT)
        path.write_bytes(change(path.read_bytes()))
        return name
    content = yaml.safe_load(path.read_text())
    told = change_entry(draw, content)
    path.write_text(yaml.safe_dump(content))
    return told


def change_entry(draw: random.Random, content: Any) -> str:
    """Change, drop or add one entry somewhere in nested mappings and lists."""
    places = [place for place in _places(content) if place[1] is not None]
    if not places:
        return "nothing to change"
    parent, key, where = draw.choice(places)
    action = draw.random()
    if action < 0.15:
        del parent[key]
        return f"{where} dropped"
    if action < 0.25 and isinstance(parent, dict):
        parent[f"{key}_odd"] = parent[key]
        return f"{where}_odd added"
    value = draw.choice(ODD_VALUES)
    parent[key] = value
    return f"{where} = {value!r:.40}"


def _places(content: Any, where: str = "") -> list[tuple[Any, Any, str]]:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    found: list[tuple[Any, Any, str]] = []
    for key, value in list(items)[:40]:
        place = f"{where}.{key}"
        found += [(content, key, place), *_places(value, place)]
    return found


def mutate_csv(draw: random.Random, path: Path) -> str:
    """Change a row."""
    rows = list(csv.reader(io.StringIO(path.read_text())))
    row = draw.randrange(len(rows))
    name, change = draw.choice(_ROWS)
    rows[row] = change(list(rows[row]))
    path.write_text("\n".join(",".join(fields) for fields in rows) + "\n")
    return f"row {row}: {name}"


def mutate_text(draw: random.Random, path: Path) -> str:
    """Change a line, or the form of all."""
    lines = path.read_text().split("\n")
    place = draw.randrange(len(lines))
    actions: dict[str, Callable[[], Any]] = {
        "line dropped": lambda: lines.pop(place),
        "line twice": lambda: lines.insert(place, lines[place]),
        "empty line": lambda: lines.insert(place, ""),
        "empty lines out": lambda: lines.__setitem__(slice(None), [line for line in lines if line.strip()]),
        "word more": lambda: lines.__setitem__(place, f"{lines[place]} 7"),
        "words fewer": lambda: lines.__setitem__(place, " ".join(lines[place].split()[:-1])),
        "decimal commas": lambda: lines.__setitem__(place, lines[place].replace(".", ",")),
        "tabs": lambda: lines.__setitem__(place, lines[place].replace(" ", "\t")),
        "nan": lambda: lines.__setitem__(place, " ".join(["nan"] * len(lines[place].split()))),
    }
    name = draw.choice(sorted(actions))
    actions[name]()
    path.write_text("\n".join(lines))
    return f"line {place}: {name}"


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


def mutate_tensors(draw: random.Random, path: Path) -> str:
    """Change a tensor or an entry of a checkpoint or safetensors file, or put a program there."""
    if path.suffix == ".safetensors":
        return _mutate_safetensors(draw, path)
    if draw.random() < 0.3:
        kind, data = draw.choice(evil_pickles(path.parent))
        if draw.random() < 0.5:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", data)
                archive.writestr("archive/version", "3\n")
            return f"{kind} in torch's archive"
        path.write_bytes(data)
        return kind
    if draw.random() < 0.15:
        content = zipfile.ZipFile(path)
        parts = {info.filename: content.read(info) for info in content.infolist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        return "compressed"
    content = torch.load(path, weights_only=True)
    told = _change_state(draw, content)
    torch.save(content, path)
    return told


def _change_state(draw: random.Random, content: Any) -> str:
    key = draw.choice(sorted(content, key=str))
    value = content[key]
    if isinstance(value, dict) and value and draw.random() < 0.85:
        return f"{key}.{_change_state(draw, value)}"
    if isinstance(value, torch.Tensor):
        kind, change = draw.choice(_TENSORS)
        changed = change(value)
        if changed is None:
            del content[key]
        else:
            content[key] = changed
        return f"{key}: {kind}"
    if draw.random() < 0.3:
        del content[key]
        return f"{key} dropped"
    content[key] = draw.choice(ODD_VALUES)
    return f"{key} = {content[key]!r:.40}"


def _mutate_safetensors(draw: random.Random, path: Path) -> str:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    action = draw.random()
    if action < 0.15:
        size = draw.choice([0, 2**40, 2**63, length - 1, length + 7])
        path.write_bytes(struct.pack("<Q", size) + data[8:])
        return f"header of {size} bytes"
    if action < 0.35 and isinstance(told := header.get("__metadata__"), dict):
        key = draw.choice(sorted(told))
        told[key] = draw.choice(["", "x", "[" * _DEPTH, "{}", '{"version": 1}', '{"version": 1, "codec": 3}', "[1]"])
        changed = f"metadata {key} = {told[key]!r:.30}"
    else:
        changed = change_entry(draw, header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return changed


class _Call:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def evil_pickles(folder: Path) -> list[tuple[str, bytes]]:
    """Return pickles that would leave the mark, or take memory, if they were carried out."""
    mark = str(_mark_of(folder))
    return [
        ("pickle of os.system", pickle.dumps(_Call(os.system, f"touch {mark}"))),
        ("pickle of eval", pickle.dumps(_Call(eval, f"open({mark!r}, 'w')"))),
        ("pickle of open", pickle.dumps({"a": _Call(open, mark, "w")})),
        ("pickle that remembers number 2**31", b"\x80\x02" + b"]r" + struct.pack("<I", 2**31 - 1) + b"."),
        ("pickle of 2**40 bytes", b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x."),
        ("pickle of deep lists", b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b"."),
        ("pickle of a number", pickle.dumps(3)),
        ("pickle of nothing", b""),
    ]


def _mark_of(folder: Path) -> Path:
    """Return where the mark of a case lies, from any folder of it."""
    case = next((place for place in (folder, *folder.parents) if (place / "stranger_module.py").exists()), folder)
    return case / MARK


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


def _truncated(draw: random.Random, path: Path) -> None:
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size + 1)])


def _flipped(draw: random.Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice([1, 1, 2, 8])):
        if content:
            content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
    path.write_bytes(content)


def _zeroed(draw: random.Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    start = draw.randrange(len(content) + 1)
    end = min(len(content), start + draw.choice([4, 64, 1024]))
    content[start:end] = bytes(end - start)
    path.write_bytes(content)


def _in_the_place(make: Callable[[Path], Any]) -> Callable[[random.Random, Path], None]:
    def change(draw: random.Random, path: Path) -> None:
        path.unlink()
        make(path)

    return change


_BYTES: list[tuple[str, Callable[[random.Random, Path], Any]]] = [
    ("cut short", _truncated),
    ("cut short", _truncated),
    ("bytes flipped", _flipped),
    ("bytes flipped", _flipped),
    ("bytes zeroed", _zeroed),
    ("bytes after the end", lambda draw, path: path.write_bytes(path.read_bytes() + draw.randbytes(40))),
    ("empty", lambda draw, path: path.write_bytes(b"")),
    ("noise", lambda draw, path: path.write_bytes(draw.randbytes(2000))),
    ("a text", lambda draw, path: path.write_text("What is this?\n" * 20)),
    ("brackets", lambda draw, path: path.write_text("[" * 200_000)),
    ("gone", lambda draw, path: path.unlink()),
    ("a folder", _in_the_place(lambda path: path.mkdir())),
    ("a pipe", _in_the_place(os.mkfifo)),
    ("a loop of links", _in_the_place(lambda path: path.symlink_to(path))),
    ("a link to /dev/zero", _in_the_place(lambda path: path.symlink_to("/dev/zero"))),
]
_JSON_TEXT: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("a byte order mark", lambda content: b"\xef\xbb\xbf" + content),
    ("UTF-16", lambda content: content.decode().encode("utf-16")),
    ("Latin-1", lambda content: content.replace(b'"', b'"\xe9', 1)),
    ("deep", lambda content: b'{"a":' * _DEPTH + b"1" + b"}" * _DEPTH),
    ("a key twice", lambda content: content.replace(b"{", b'{"odd": 1, "odd": 2, ', 1)),
    ("NaN", lambda content: content.replace(b": ", b": NaN, ", 1)),
    ("a list", lambda content: b"[" + content + b"]"),
    ("a comma more", lambda content: content.replace(b"}", b",}", 1)),
    ("50 MB of lists", lambda content: b'{"a": [' + b"[]," * 5_000_000 + b"0]}"),
]
_YAML_TEXT: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("a byte order mark", lambda content: b"\xef\xbb\xbf" + content),
    ("UTF-16", lambda content: content.decode().encode("utf-16")),
    ("Latin-1", lambda content: content + b"# \xe9\n"),
    ("deep", lambda content: b"{a: " * _DEPTH + b"1" + b"}" * _DEPTH),
    ("a key twice", lambda content: content + content),
    ("laughs", lambda content: content + b"".join(
        b"l%d: &l%d [%s]\n" % (n, n, b", ".join([b"*l%d" % (n - 1)] * 10) if n else b"x") for n in range(9))),
    ("a tag of Python's", lambda content: content + b"odd: !!python/object/apply:os.system ['touch ran.mark']\n"),
    ("two documents", lambda content: content + b"---\n" + content),
    ("a tab", lambda content: content.replace(b"  ", b"\t", 1)),
    ("a list", lambda content: b"- 1\n- 2\n"),
    ("an alias of nothing", lambda content: content + b"odd: *nothing\n"),
    ("an alias of itself", lambda content: content + b"odd: &odd [*odd]\n"),
]  # fmt: skip
_ROWS: list[tuple[str, Callable[[list[str]], list[str]]]] = [
    ("field more", lambda row: [*row, "7"]),
    ("field fewer", lambda row: row[:-1]),
    ("quote left open", lambda row: [f'"{row[0]}', *row[1:]]),
    ("text after a quote", lambda row: [f'"{row[0]}"x', *row[1:]]),
    ("decimal comma", lambda row: [*row[:-1], row[-1].replace(".", ",") + ",5"]),
    ("no number", lambda row: [*row[:-1], "one"]),
    ("nan", lambda row: [*row[:-1], "nan"]),
    ("empty", lambda row: [*row[:-1], ""]),
    ("empty line", lambda row: []),
    ("other order", lambda row: row[::-1]),
    ("huge", lambda row: [*row[:-1], "9" * 400]),
    ("long", lambda row: [*row[:-1], "x" * 200_000]),
    ("negative", lambda row: [*row[:-1], "-1"]),
]


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
_TENSORS: list[tuple[str, Callable[[torch.Tensor], Any]]] = [
    ("dropped", lambda tensor: None),
    ("an axis more", lambda tensor: tensor[None]),
    ("empty", lambda tensor: tensor.reshape(-1)[:0]),
    ("NaN", lambda tensor: torch.full_like(tensor, float("nan"), dtype=torch.float32)),
    ("whole numbers", lambda tensor: torch.zeros(tensor.shape, dtype=torch.int64)),
    ("complex", lambda tensor: torch.zeros(tensor.shape, dtype=torch.complex64)),
    ("float64", lambda tensor: tensor.double()),
    ("a number", lambda tensor: 3),
    ("text", lambda tensor: "x"),
    ("10**12 entries of one", lambda tensor: torch.zeros(1).expand(10**12)),
    ("sparse", lambda tensor: torch.zeros(4, 4).to_sparse()),
    ("meta", lambda tensor: torch.zeros(tensor.shape, device="meta")),
]
_BY_SUFFIX: dict[str, Callable[[random.Random, Path], str]] = {
    ".json": mutate_json,
    ".yaml": mutate_yaml,
    ".csv": mutate_csv,
    ".txt": mutate_text,
    ".npz": mutate_npz,
    ".npy": mutate_npy,
    ".pkl": mutate_pickle,
    ".ckpt": mutate_tensors,
    ".pth": mutate_tensors,
    ".safetensors": mutate_tensors,
}
