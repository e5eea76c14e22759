"""Checkpoints that a backbone starts from: what a file's names say it is, checked name by name and shape by shape.

A file is one of: the checkpoint of a fit; a base, which is a whole DiT as Wan2.1, Wan2.1-Fun or ReCamMaster publish it,
or as diffusers does; an overlay, the self-attention alone, as ReDirector publishes it, to be laid over a base.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from mvt4g.formats.weights import first_names, name_faults, read_metadata, read_weights, tensors_of
from mvt4g.models.fingerprints import looks_like
from mvt4g.models.layers.lora import merge_lora
from mvt4g.models.shipped import place_of
from mvt4g.models.weight_names import from_diffusers
from mvt4g.types import InputError

OWN_PREFIX = "model.backbone."
"""Where a system's checkpoint keeps its backbone."""
DIT_PREFIX = "dit."
"""Where a backbone keeps its DiT."""
PATCH_EMBEDDING = f"{DIT_PREFIX}patch_embedding.weight"
NULL_TEXT = "null_text"
"""The one parameter of a backbone that no base can have."""
_FOREIGN_PREFIX = "model.diffusion_model."
_OVERLAID = re.compile(r"dit\.blocks\.\d+\.self_attn\.")


@dataclass(frozen=True)
class WeightFile:
    """The weights of one file.

    Attributes:
        path: Of the file.
        kind: What its names say it is.
        weights: Under the names that a backbone gives them.
        told: Which model they look like.
        made_with: What the file says of the model they were trained in (``shipped.check_made_with``); mostly nothing.
    """

    path: Path
    kind: Literal["fit", "base", "overlay"]
    weights: dict[str, Tensor]
    told: str
    made_with: Mapping[str, str] = field(default_factory=dict)


def load_weights(
    backbone: nn.Module,
    weights: Path | Sequence[Path],
    may_lack: Collection[str] = (),
    base_may_lack: Collection[str] = (),
    more_channels: int = 0,
) -> Mapping[str, str]:
    """Copy files' weights into a backbone, every one of them, or none when something does not fit.

    Args:
        backbone: Keeps its own dtype and device.
        weights: The checkpoint of a fit (its exponential average, where it has one) or a base; then overlays.
        may_lack: Parts, by the name they go under (such as "plucker"), that the files may lack as a whole; they stay as
            they are.
        base_may_lack: As ``may_lack``, where the first file is a base.
        more_channels: Last channels of the latents that the files may know nothing of; their weights are zero then.

    Returns:
        What the first file says of the model that its weights were trained in.

    Raises:
        InputError: Naming the files and what is missing, unexpected, of another shape, or not finite.
    """
    files = read_weight_files(weights)
    found = laid_over(files)
    lacking = set(may_lack)
    if files[0].kind == "base":
        lacking |= {NULL_TEXT, *base_may_lack}
    for name in found:
        lacking.difference_update(name.split("."))
    places = backbone.state_dict()
    if PATCH_EMBEDDING in found and more_channels:
        found[PATCH_EMBEDDING] = _widened(found[PATCH_EMBEDDING], places[PATCH_EMBEDDING], more_channels)
    wanted = {name: place for name, place in places.items() if lacking.isdisjoint(name.split("."))}
    if faults := name_faults(found, wanted):
        told = ", ".join(f"{file.path}: got {file.told}" for file in files)
        raise InputError(f"{told}; want weights of this {type(backbone).__name__}: {faults}")
    overlaid = list(filter(overlays, places))
    for file in files[1:]:
        # The base has these weights too: a name left out would keep the base's value unnoticed.
        left = [name for name in overlaid if name not in file.weights]
        if left:
            raise InputError(f"{file.path}: got an overlay without {first_names(left)}, want all of the self-attention")
    with torch.no_grad():
        for name, place in wanted.items():
            place.copy_(found[name])
    return files[0].made_with


def _widened(
    weight: Shaped[Tensor, "..."],
    place: Shaped[Tensor, "d c *patch"],
    more_channels: int,
) -> Shaped[Tensor, "..."]:
    """Give a patch embedding that lacks the last ``more_channels`` channels zeros for them, else leave it alone."""
    if weight.ndim != place.ndim or weight.shape[1] != place.shape[1] - more_channels:
        return weight
    zeros = weight.new_zeros(len(weight), more_channels, *weight.shape[2:])
    return torch.cat([weight, zeros], dim=1)


def laid_over(files: Sequence[WeightFile]) -> dict[str, Shaped[Tensor, "..."]]:
    """Return the weights of the first file under those of the overlays that follow it.

    Raises:
        InputError: If there is no file, the first is an overlay or another is none.
    """
    if not files:
        raise InputError("weights: got an empty list, want a file or several")
    if files[0].kind == "overlay":
        want = "it after its base: [base, overlay]"
        raise InputError(f"{files[0].path}: got an overlay (self-attention alone), want {want}")
    weights = dict(files[0].weights)
    for file in files[1:]:
        if file.kind != "overlay":
            want = "an overlay (self-attention alone) after the first file"
            raise InputError(f"{file.path}: got {file.told}, want {want}")
        weights |= file.weights
    return weights


def read_weight_files(weights: Path | Sequence[Path]) -> list[WeightFile]:
    """Read one file or several, as ``read_weight_file`` does."""
    paths = [weights] if isinstance(weights, Path) else weights
    return [read_weight_file(path) for path in paths]


def read_weight_file(path: Path) -> WeightFile:
    """Read a file's weights, adapters merged, and tell what it is; ``builtin:NAME`` is one that the package ships.

    Raises:
        InputError: If it cannot be read, holds no DiT, or a value that is not finite.
    """
    path = place_of(path)
    content = read_weights(path)
    average = _average(content)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    state = tensors_of(content, path) | average
    own = {}
    for name, value in state.items():
        if name.startswith(OWN_PREFIX):
            own[name.removeprefix(OWN_PREFIX)] = value
    own = merge_lora(own)
    kind: Literal["fit", "base"] = "fit" if NULL_TEXT in own else "base"  # a base exported under our names
    if own:
        file = WeightFile(path, kind, own, f"a {kind} of {looks_like(own)}", read_metadata(path))
    else:
        file = _foreign(state, path)
    broken = [name for name, value in file.weights.items() if not value.isfinite().all()]
    if broken:
        raise InputError(f"{path}: got values that are not finite in {first_names(broken)}, want numbers")
    return file


def overlays(name: str) -> bool:
    """Return whether an overlay may hold a backbone's weight of this name."""
    return _OVERLAID.match(name) is not None


def _foreign(state: dict[str, Shaped[Tensor, "..."]], path: Path) -> WeightFile:
    state = {name.removeprefix(_FOREIGN_PREFIX): value for name, value in state.items()}
    told = looks_like(state)
    from_diffusers_file = any(name.startswith("condition_embedder.") for name in state)
    weights = {}
    for name, value in state.items():
        own = from_diffusers(name) if from_diffusers_file else None
        weights[f"{DIT_PREFIX}{own or name}"] = value
    if all(map(overlays, weights)):
        return WeightFile(path, "overlay", weights, f"an overlay of {len(weights)} tensors of self-attention")
    if PATCH_EMBEDDING not in weights:
        raise InputError(f"{path}: got {told}; want a Wan2.1 DiT, ReCamMaster, ReDirector or the checkpoint of a fit")
    return WeightFile(path, "base", weights, told)


def _average(content: Any) -> dict[str, Shaped[Tensor, "..."]]:
    """Return what the EMA callback of a fit left in its checkpoint: trainable parameters alone, fp32."""
    # A file that is no checkpoint of ours may hold anything under these names.
    callbacks = content.get("callbacks", {}) if isinstance(content, Mapping) else {}
    if not isinstance(callbacks, Mapping):
        return {}
    return dict(callbacks.get("EMA", {}).get("average", {}))
