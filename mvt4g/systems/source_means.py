"""Means of a term by the source its clips come from."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.data.mixture import source_of


def source_means(
    per_clip: Float[Tensor, " b"], names: Sequence[str], counted: Bool[Tensor, " b"] | None = None
) -> dict[str, Tensor]:
    """Return the mean over the clips of each source that have the term; no source, or none that has it, no entry.

    Args:
        per_clip: The term.
        names: Of the clips, ``<source>/<clip>``; a name without a source counts nowhere.
        counted: True where a clip has the term; None = all have.
    """
    sources = [source_of(name) for name in names]
    means = {}
    for source in sorted({*sources} - {""}):
        chosen = torch.tensor([other == source for other in sources], device=per_clip.device)
        chosen = chosen if counted is None else chosen & counted
        if chosen.any():
            means[source] = per_clip[chosen].mean()
    return means
