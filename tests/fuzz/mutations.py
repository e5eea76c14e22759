"""One thing wrong with a file: bytes of any, entries of JSON, YAML, CSV, ``.npz``, pickles and checkpoints."""

import csv
import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz.array_mutations import mutate_npy, mutate_npz, mutate_pickle
from tests.fuzz.odd_values import change_entry
from tests.fuzz.tensor_mutations import mutate_tensors

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
