"""Files of weights, whoever wrote them: safetensors, whole or in shards, and pickles of tensors; none is run."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Shaped
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.files import check_regular
from mvt4g.formats.parsing.json_files import read_json
from mvt4g.formats.parsing.limits import file_limits, size_text, too_large
from mvt4g.types import InputError

INDEX_SUFFIX = ".safetensors.index.json"
"""How the list of a sharded file's parts ends, as diffusers and Wan's 14B name it."""
SHOWN_NAMES = 5
"""Of each kind of fault; how many more there are is said."""
_REFUSED = re.compile(r"[Uu]nsupported (?:global: )?GLOBAL ([\w.]+)")


def read_weights(path: Path) -> Any:
    """Read a file of weights to the CPU.

    Args:
        path: ``.safetensors``, the ``.safetensors.index.json`` of a sharded one, or else a pickle by ``torch.save``,
            whose numbers stay on disk until they are looked at.

    Returns:
        Tensors by name; of a pickle whatever it holds, which is tensors and plain values alone.

    Raises:
        InputError: Naming the file: missing, cut short, of another kind, or a pickle that names code.
    """
    _check_size([path])
    if path.name.endswith(INDEX_SUFFIX):
        return _read_shards(path)
    return _read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path, mmap=True)


def read_pickle(path: Path, mmap: bool = False) -> Any:
    """Read what ``torch.save`` wrote, tensors and plain values alone.

    Args:
        path: Of the file.
        mmap: Leave the numbers on disk until they are looked at, where the file can be read so.

    Raises:
        InputError: Naming the file and why it cannot be read, the code that it names, or how large it is.
    """
    _check_size([path])
    try:
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and zipfile.is_zipfile(path))
        _check_storage(content)
        return content
    except Exception as error:  # torch raises five kinds for what is no file of tensors
        if refused := _REFUSED.search(str(error)):
            raise InputError(
                f"{path}: got a pickle that names {refused[1]} (nothing of it was run), want tensors and plain values"
            ) from error
        # The others are what unpickling stumbles over.
        told = isinstance(error, RuntimeError)
        reason = str(error).partition("\n")[0].partition(". ")[0][:200] if told else "no file of torch.save"
        want = "a file of tensors (a state dict or .safetensors)"
        raise InputError(f"{path}: got {reason}, want {want}") from error


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a ``.safetensors`` file says beside its tensors; of any other file nothing.

    Raises:
        InputError: If it is cut short.
    """
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except Exception as error:  # as _read_safetensors
        want = "a whole .safetensors file"
        raise InputError(f"{path}: got {str(error)[:200]}, want {want}") from error


def write_weights(
    path: Path, tensors: Mapping[str, Shaped[torch.Tensor, "..."]], metadata: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write tensors by name; the file appears whole or not at all.

    Args:
        path: ``.safetensors``, or else a pickle by ``torch.save``.
        tensors: Each is written alone, whatever memory it shares with others.
        metadata: What is said beside them; of ``.safetensors`` alone.

    Raises:
        InputError: If the file cannot be written.
    """
    # A slice would be written with all of the storage that it is cut from.
    alone = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with appearing(path) as temporary:
        if path.suffix != ".safetensors":
            torch.save(alone, temporary)
            return
        save_file(alone, temporary, metadata={"format": "pt", **metadata})


def tensors_of(content: Any, path: Path) -> dict[str, Shaped[torch.Tensor, "..."]]:
    """Return a state dict as what it must be: names and tensors, at least one.

    Raises:
        InputError: Naming the file and what it holds instead.
    """
    is_mapping = isinstance(content, Mapping) and len(content) > 0
    if not is_mapping or not all(isinstance(value, torch.Tensor) for value in content.values()):
        want = "a state dict: names and tensors only"
        raise InputError(f"{path}: got {type(content).__name__}, want {want}")
    return dict(content)


def name_faults(
    found: Mapping[str, Shaped[torch.Tensor, "..."]], wanted: Mapping[str, Shaped[torch.Tensor, "..."]]
) -> str:
    """Return which names are missing, unexpected or mis-shaped, as one line; empty if all fit."""
    faults: dict[str, list[str]] = {}
    for name in wanted:
        if name not in found:
            faults.setdefault("missing", []).append(name)
    for name in found:
        if name not in wanted:
            faults.setdefault("unexpected", []).append(name)
    for name, place in wanted.items():
        if name in found and found[name].shape != place.shape:
            shapes = f"{tuple(found[name].shape)} for {tuple(place.shape)}"
            faults.setdefault("mis-shaped", []).append(f"{name} {shapes}")
    return "; ".join(f"{len(names)} {kind}: {first_names(names)}" for kind, names in faults.items())


def first_names(names: list[str]) -> str:
    """Return the first of some names and how many more there are."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def _check_size(paths: Sequence[Path]) -> None:
    """Hold files that are read together to the limit of weights; a sparse file says more bytes than the disk has.

    Raises:
        InputError: If one is missing or no regular file, or all together are too large.
    """
    size = sum(check_regular(path, "a file of weights") for path in paths)
    most = file_limits().weights
    if size > most:
        raise too_large(str(paths[0]), f"weights of {size_text(size)}", size_text(most))


def _check_archive(path: Path) -> None:
    """Refuse a checkpoint whose parts are larger than the file: torch compresses none, and none lies over another.

    Raises:
        RuntimeError: Saying which part.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.compress_type != zipfile.ZIP_STORED:
                raise RuntimeError(f"the compressed part {part.filename!r:.60}")
        together = sum(part.file_size for part in archive.infolist())
        size = path.stat().st_size
        if together > size:
            raise RuntimeError(f"parts of {size_text(together)} in a file of {size_text(size)}")


def _check_storage(content: Any) -> None:
    """Refuse tensors that are larger than the numbers behind them: a few bytes could stand for any number of entries.

    Raises:
        RuntimeError: Saying how large.
    """
    waiting = [content]
    visited = set()
    while waiting:
        part = waiting.pop()
        if id(part) in visited:
            continue
        visited.add(id(part))
        if isinstance(part, torch.Tensor):
            if part.layout != torch.strided or part.device.type != "cpu":
                raise RuntimeError(f"a tensor of layout {part.layout} on {part.device.type}")
            if part.numel() * part.element_size() > part.untyped_storage().nbytes():
                stored = part.untyped_storage().nbytes() // part.element_size()
                raise RuntimeError(f"a tensor of shape {tuple(part.shape)} over {stored} numbers")
        elif isinstance(part, Mapping):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set):
            waiting += part


def _read_shards(path: Path) -> dict[str, Any]:
    try:
        shards = read_json(path, "the index of a sharded .safetensors")["weight_map"]
        names = sorted(set(shards.values()))
    except (KeyError, TypeError, AttributeError) as error:
        want = "the index of a sharded .safetensors"
        raise InputError(f"{path}: got no weight_map, want {want}") from error
    tensors: dict[str, Any] = {}
    for name in names:
        is_name = isinstance(name, str) and name not in ("", "..") and Path(name).name == name
        if not is_name or name.endswith(INDEX_SUFFIX):
            raise InputError(f"{path}: got shard {name!r:.100}, want a file beside the index")
    _check_size([path.with_name(name) for name in names])
    for name in names:
        tensors |= read_weights(path.with_name(name))
    if tensors.keys() != shards.keys():
        odd = sorted(tensors.keys() ^ shards.keys())
        raise InputError(f"{path}: index and shards differ in {len(odd)} names, the first is {odd[0]}")
    return tensors


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        return load_file(path)
    except Exception as error:  # SafetensorError of what is cut short, others of dtypes that torch has not
        want = "a whole .safetensors file"
        raise InputError(f"{path}: got {str(error)[:200]}, want {want}") from error
