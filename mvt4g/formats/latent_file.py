"""A clip whose videos are encoded, in a ``.safetensors``; the embeddings of its caption lie apart, once each.

    <cache>/<clip>/latents.safetensors     latents, cameras and tracks of all views
    <cache>/prompts/<key>.safetensors      the embedding of one prompt, whatever number of clips share it

Of a clip of many views only those asked for are read.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.formats.axes import bind_axes
from mvt4g.formats.parsing.files import check_regular
from mvt4g.formats.parsing.json_files import parse_json
from mvt4g.types import Cameras, InputError, LatentClip

FILE = "latents.safetensors"
PROMPTS = "prompts"
_HEADER = "mvt4g"
_VERSION = 1
_LAYOUT = {
    "latents": "v d f lh lw",
    "cam_from_world": "v t 4 4",
    "intrinsics": "v t 3 3",
    "tracks": "v t n 2",
    "visible": "v t n",
    "point_valid": "n",
    "image": "v i image_d",
}
_OF_CAMERAS = ("cam_from_world", "intrinsics")
_REQUIRED = ("latents", *_OF_CAMERAS)
_IN_LOW_PRECISION = ("latents", "image")
_OF_ALL_VIEWS = ("point_valid",)


def write_latents(path: Path, clip: LatentClip, dtype: torch.dtype = torch.float32) -> None:
    """Write one clip (no batch axis), its text left out; the file appears whole or not at all.

    Args:
        dtype: What latents and image tokens are kept in; everything else is as exact as it came.

    Raises:
        InputError: If latents are not finite, or the place cannot be written to.
    """
    if not bool(torch.isfinite(clip.latents).all()):
        raise InputError(f"{path}: got latents with NaN or infinity to write, want numbers")
    tensors = {}
    for name in _LAYOUT:
        value = getattr(clip.cameras if name in _OF_CAMERAS else clip, name)
        if value is not None:
            kept_in = dtype if name in _IN_LOW_PRECISION else value.dtype
            tensors[name] = value.detach().cpu().to(kept_in).contiguous()
    header = {"version": _VERSION, "name": clip.name, "codec": clip.codec, "caption": clip.caption}
    _save(path, tensors, header)


def read_latents(path: Path, views: Sequence[int] | None = None) -> LatentClip:
    """Read a clip that ``write_latents`` wrote, fp32; its text is None.

    Args:
        views: Only these, in this order; None = all.

    Raises:
        InputError: Naming the file: missing, cut short, of another kind, or without such a view.
    """
    tensors, header = _load(path, views)
    if "codec" not in header or not set(_REQUIRED) <= tensors.keys() <= _LAYOUT.keys():
        want = f"{list(_REQUIRED)} and no others than {[*_LAYOUT]}"
        raise InputError(f"{path}: got tensors {sorted(tensors)}, want {want}")
    _check_layout(path, tensors)
    cameras = Cameras(tensors.pop("cam_from_world"), tensors.pop("intrinsics"))
    caption = header.get("caption")
    optional: dict[str, Any] = dict(tensors)
    for name in _IN_LOW_PRECISION:
        if name in tensors:
            optional[name] = tensors[name].float()
    return LatentClip(
        cameras=cameras,
        codec=header["codec"],
        name=header.get("name", ""),
        caption=caption,
        **optional,
    )


def num_views(path: Path) -> int:
    """Return how many views a clip has; its tensors are not read.

    Raises:
        InputError: As ``read_latents``.
    """
    with _open(path) as file:
        if "latents" not in file.keys():  # noqa: SIM118  # it is no dict
            raise InputError(f"{path}: got no latents there, want a file from mvt4g precompute")
        views: int = file.get_slice("latents").get_shape()[0]
        return views


def prompt_path(cache: Path, prompt: str) -> Path:
    """Return where the embedding of a prompt lies in a cache."""
    return cache / PROMPTS / f"{hashlib.sha256(prompt.encode()).hexdigest()[:16]}.safetensors"


def write_prompt(path: Path, prompt: str, embedding: Float[Tensor, "l d"], dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the embedding of a prompt, a row a token, no row for padding.

    Raises:
        InputError: If the place cannot be written to.
    """
    _save(path, {"text": embedding.cpu().to(dtype).contiguous()}, {"version": _VERSION, "prompt": prompt})


def read_prompt(path: Path) -> Float[Tensor, "l d"]:
    """Read an embedding, fp32.

    Raises:
        InputError: Naming the file: missing, cut short, or of another kind.
    """
    tensors, _ = _load(path, None)
    if tensors.keys() != {"text"} or tensors["text"].ndim != 2:
        want = "the embedding of one prompt"
        raise InputError(f"{path}: got tensors {sorted(tensors)}, want {want}")
    return tensors["text"].float()


def with_text(clip: LatentClip, cache: Path) -> LatentClip:
    """Return the clip with the embedding of its caption, if the cache has embeddings.

    Raises:
        InputError: If it has some but not this one, or its file is broken.
    """
    if not (cache / PROMPTS).is_dir() or not isinstance(clip.caption, str):
        return clip
    return replace(clip, text=read_prompt(prompt_path(cache, clip.caption)))


def _save(path: Path, tensors: dict[str, Shaped[Tensor, "..."]], header: dict[str, Any]) -> None:
    with appearing(path) as temporary:
        save_file(tensors, temporary, {_HEADER: json.dumps(header)})


def _open(path: Path) -> Any:
    check_regular(path, "one from mvt4g precompute")
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        want = "a whole .safetensors"
        raise InputError(f"{path}: cannot be read ({error}), want {want}") from error


def _load(path: Path, views: Sequence[int] | None) -> tuple[dict[str, Shaped[Tensor, "..."]], dict[str, Any]]:
    with _open(path) as file:
        told = (file.metadata() or {}).get(_HEADER)
        want = "what mvt4g precompute or encode-prompts wrote"
        if told is None:
            raise InputError(f"{path}: got no header of ours, want {want}")
        header = parse_json(told, f"{path}: header", want)
        if not isinstance(header, dict) or header.get("version") != _VERSION:
            raise InputError(f"{path}: got version {header!r:.60}, want {_VERSION}")
        tensors = {}
        for name in file.keys():  # noqa: SIM118  # it is no dict
            if views is None or name in _OF_ALL_VIEWS:
                tensors[name] = file.get_tensor(name)
                continue
            part = file.get_slice(name)
            num_views = part.get_shape()[0]
            for view in views:
                if not 0 <= view < num_views:
                    raise InputError(f"{path}: views: got {view}, want 0 to {num_views - 1}")
            # A slice reads its own bytes alone.
            tensors[name] = torch.cat([part[view : view + 1] for view in views])
        return tensors, header


def _check_layout(path: Path, tensors: dict[str, Shaped[Tensor, "..."]]) -> None:
    sizes: dict[str, int] = {}
    for name, axes in _LAYOUT.items():
        if name not in tensors:
            continue
        tensor = tensors[name]
        if not bind_axes(axes, tensor.shape, sizes) or tensor.is_floating_point() == (
            name in ("visible", "point_valid")
        ):
            want = f"({axes}) with {sizes}"
            raise InputError(f"{path}: {name}: got {tensor.dtype} {tuple(tensor.shape)}, want {want}")
