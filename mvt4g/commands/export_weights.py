"""``mvt4g export-weights``: a backbone's weights under the names of a public checkpoint, for other programs to load."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Shaped
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.formats.weights import first_names, write_weights
from mvt4g.models.checkpoints import (
    DIT_PREFIX,
    NULL_TEXT,
    OWN_PREFIX,
    laid_over,
    overlays,
    read_weight_files,
)
from mvt4g.models.weight_names import is_original, to_diffusers
from mvt4g.types import InputError

Format = Literal["wan", "diffusers", "recammaster", "redirector", "own"]
_MUST_HAVE = {"recammaster": ("cam_encoder", "projector"), "redirector": ("rope_phase_qk", "rope_phase_vo")}
"""Parts without which weights are no checkpoint of a format."""


def export_weights(
    weights: Path | list[Path],
    out: Path,
    format: Format,
    drop: tuple[str, ...] = (),
    dtype: Literal["float32", "bfloat16"] | None = None,
    head_dim: int = 128,
) -> int:
    """Write weights under the names that another program knows.

    Args:
        weights: A file that a backbone could start from, or a list, overlays last; of a fit, its average is taken.
        out: ``.safetensors``, or ``.ckpt``, ``.pth`` or ``.pt`` for a pickle of tensors.
        format: wan: as Wan2.1 and Wan2.1-Fun-Control-Camera are published. diffusers: its names, and its config.json
            beside the file. recammaster: the whole DiT with its camera inputs and projectors. redirector: the
            self-attention alone, an overlay. own: as the checkpoint of a fit names them.
        drop: Parts to leave out, such as plucker, that the format has no place for.
        dtype: Of the numbers; null = as they are.
        head_dim: Features of an attention head, which shapes do not tell and diffusers' config.json must.

    Returns:
        The exit code, 0.

    Raises:
        InputError: If the weights cannot be read, do not make a checkpoint of the format, or have parts that it has no
            place for and that are not to be dropped.
    """
    found = laid_over(read_weight_files(weights))
    parts = set()
    for name in found:
        parts.update(name.split("."))
    for part in drop:
        if part not in parts:
            raise InputError(f"drop: got {part!r}, want a part that the weights have")
    for part in _MUST_HAVE.get(format, ()):
        if part not in parts:
            raise InputError(f"format: got {format}, want weights with {part}, which these have not")
    for name in list(found):
        if not set(drop).isdisjoint(name.split(".")):
            del found[name]
    named = rename(found, format)
    if dtype is not None:
        named = {name: value.to(getattr(torch, dtype)) for name, value in named.items()}
    # Whatever can be wrong is wrong before anything is written.
    config = diffusers_config(named, head_dim) if format == "diffusers" else None
    write_weights(out, named)
    if config is not None:
        with appearing(out.with_name("config.json")) as temporary:
            temporary.write_text(json.dumps(config, indent=2) + "\n")
    numbers = sum(value.numel() for value in named.values())
    sys.stdout.write(f"{out}: {len(named)} tensors, {numbers:,} parameters, as {format}\n")
    return 0


def rename(weights: Mapping[str, Shaped[Tensor, "..."]], format: Format) -> dict[str, Shaped[Tensor, "..."]]:
    """Return a backbone's weights under the names of a format.

    Raises:
        InputError: If the format has no place for some of them.
    """
    named = {}
    homeless = []
    for name, value in weights.items():
        if format == "own":
            named[f"{OWN_PREFIX}{name}"] = value
            continue
        # The embedding of no text is ours alone, and a redirector holds the self-attention alone.
        if name == NULL_TEXT or (format == "redirector" and not overlays(name)):
            continue
        place = _place(name, format)
        if place is None:
            homeless.append(name)
        else:
            named[place] = value
    if homeless:
        raise InputError(
            f"format: got {format}, which has no place for {first_names(homeless)}; want their part among --drop"
        )
    return named


def diffusers_config(named: dict[str, Shaped[Tensor, "..."]], head_dim: int) -> dict[str, Any]:
    """Return what diffusers' ``WanTransformer3DModel`` is built from, read off the shapes.

    Raises:
        InputError: If ``head_dim`` does not divide the width.
    """
    patches = named["patch_embedding.weight"]
    dim, in_channels, *patch_size = patches.shape
    if dim % head_dim:
        raise InputError(f"head_dim: got {head_dim}, want a divisor of the width {dim}")
    blocks = {name.split(".")[1] for name in named if name.startswith("blocks.")}
    image = named.get("condition_embedder.image_embedder.norm1.weight")
    return {
        "_class_name": "WanTransformer3DModel",
        "patch_size": patch_size,
        "num_attention_heads": dim // head_dim,
        "attention_head_dim": head_dim,
        "in_channels": in_channels,
        "out_channels": len(named["proj_out.weight"]) // patches[0, 0].numel(),
        "text_dim": named["condition_embedder.text_embedder.linear_1.weight"].shape[1],
        "freq_dim": named["condition_embedder.time_embedder.linear_1.weight"].shape[1],
        "ffn_dim": len(named["blocks.0.ffn.net.0.proj.weight"]),
        "num_layers": len(blocks),
        "image_dim": None if image is None else len(image),
        "added_kv_proj_dim": None if image is None else dim,
    }


def _place(name: str, format: Format) -> str | None:
    """Return what a format calls a tensor, or None if it has no place for it."""
    inside = name.removeprefix(DIT_PREFIX)
    if inside == name:  # a part that stands beside the DiT
        return None
    if format == "diffusers":
        return to_diffusers(inside)
    if is_original(inside) or set(_MUST_HAVE.get(format, ())) & set(inside.split(".")):
        return inside
    return None
