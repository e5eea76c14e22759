"""One thing wrong with checkpoints and safetensors files."""

import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.fuzz.odd_values import ODD_VALUES, change_entry, evil_pickles

_DEPTH = 3000


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
