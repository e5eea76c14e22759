"""Means of a term by the source its clips come from."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.data.mixture import source_of


def source_means(
    per_clip: Float[Tensor, " b"],
    names: Sequence[str],
    counted: Bool[Tensor, " b"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Return the mean over the clips of each source that have the term; no source, or none that has it, no entry.

    Args:
        per_clip: The term.
        names: Of the clips, ``<source>/<clip>``; a name without a source counts nowhere.
        counted: True where a clip has the term; None = all have.
    """
    means = {}
    for source, mask in source_masks(names, counted, per_clip.device).items():
        means[source] = per_clip[mask].mean()
    return means


def source_masks(
    names: Sequence[str], counted: Bool[Tensor, " b"] | None, device: torch.device
) -> dict[str, Bool[Tensor, " b"]]:
    """Return which clips of each source have a term, for the sources of which any has; arguments as above."""
    sources = [source_of(name) for name in names]
    masks = {}
    for source in sorted({*sources} - {""}):
        mask = torch.tensor([other == source for other in sources], device=device)
        mask = mask if counted is None else mask & counted
        if mask.any():
            masks[source] = mask
    return masks
