"""Which public checkpoint a state dict is, told by the names and shapes of its tensors."""

import hashlib
import re
from collections.abc import Mapping

from jaxtyping import Shaped
from torch import Tensor

KNOWN = {
    "9269f8db9040a9d860eaca435be61814": "Wan2.1 T2V 1.3B",
    "b0a133b5687c7d054175e5bfa66ef5fd": "Wan2.1 T2V 1.3B in diffusers' names",
    "aafcfd9672c3a2456dc46e1cb6e52c70": "Wan2.1 T2V 14B",
    "6bfcfb3b342cb286ce886889d519a77e": "Wan2.1 I2V 14B",
    "6d6ccde6845b95ad9114ab993d917893": "Wan2.1-Fun 1.3B InP",
    "349723183fc063b2bfc10bb2835cf677": "Wan2.1-Fun 1.3B Control",
    "efa44cddf936c70abd0ea28b6cbe946c": "Wan2.1-Fun 14B Control",
    "ac6a5aa74f4a0aab6f64eb9a72f19901": "Wan2.1-Fun-V1.1 1.3B Control-Camera",
    "b61c605c2adbd23124d152ed28e049ae": "Wan2.1-Fun-V1.1 14B Control-Camera",
    "eba39c71759fed170880aaf589b469ba": "ReCamMaster on Wan2.1 T2V 1.3B",
    "9c8818c2cbea55eca56c7b447df170da": "Wan2.1's text encoder UMT5-xxl, no DiT",
    "ccc42284ea13e1ad04693284c7a09be6": "Wan2.1's VAE, no DiT",
    "ed4ea5824d55ec3107b09815e318123a": "Wan2.1's VAE in diffusers' names, no DiT",
    "5941c53e207d62f20f9025686193c40b": "Wan2.1's CLIP image encoder, no DiT",
}
"""By fingerprint, files as they are published."""
_PARTS = {
    "img_emb": "image tokens",
    "control_adapter": "a control adapter",
    "cam_encoder": "ReCamMaster's camera inputs",
    "rope_phase_qk": "ReDirector's phases",
    "plucker": "Plücker inputs",
    "condition_embedder": "diffusers' names",
}


def fingerprint(state: Mapping[str, Shaped[Tensor, "..."]]) -> str:
    """Return md5 of the sorted ``key:shape`` and bare keys, by which DiffSynth knows files."""
    entries = list(state)
    for name, value in state.items():
        entries.append(f"{name}:{'_'.join(map(str, value.shape))}")
    return hashlib.md5(",".join(sorted(entries)).encode()).hexdigest()


def looks_like(state: Mapping[str, Shaped[Tensor, "..."]]) -> str:
    """Say which model's weights these are, or else what can be seen of them."""
    if known := KNOWN.get(fingerprint(state)):
        return known
    layers = set()
    width = None
    words: set[str] = set()
    for name, value in state.items():
        words.update(name.split("."))
        if match := re.search(r"(?:^|\.)blocks\.(\d+)\.", name):
            layers.add(int(match[1]))
        if width is None and name.endswith("patch_embedding.weight"):
            width = value.shape
    if width is None or not layers:
        what = f"{len(state)} tensors, the first {next(iter(state))!r}"
    else:
        what = f"a DiT of {len(layers)} blocks x {width[0]}, {width[1]} channels in"
    parts = [told for part, told in _PARTS.items() if part in words]
    return f"{what} with {', '.join(parts)}" if parts else what
