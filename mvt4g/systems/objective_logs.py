"""What is logged of an objective in a training step: total, parts, noise levels and sources, alike for every one."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.losses.objective import LossTerms
from mvt4g.systems.source_means import source_masks

NOISE_BINS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Edges of the noise levels by which losses are logged."""


class Logged(NamedTuple):
    """A mean, and over how many clips of the batch it is: what adds up over ranks and steps."""

    value: Float[Tensor, ""]
    clips: int


def objective_logs(
    name: str, terms: LossTerms, sigma: Float[Tensor, " b"], clip_names: Sequence[str]
) -> dict[str, Logged]:
    """Return an objective's log entries, without gates and weights; a mean that no clip has is left out.

    Args:
        name: Of the objective.
        terms: What it says.
        sigma: Noise level of each clip.
        clip_names: ``<source>/<clip>``, or names without a source.
    """
    total = terms.total.detach()
    values = dict(terms.parts)
    counted = {}
    for part, count in terms.counts.items():
        counted[part] = count > 0
    for low, high in pairwise(NOISE_BINS):
        of_bin = f"sigma_{low:.2f}_{high:.2f}"
        values[of_bin] = total
        counted[of_bin] = (sigma > low) & (sigma <= high) & ~terms.empty
    logs = {
        f"train/loss_{name}": Logged(total.mean(), len(sigma)),
        f"train/empty_{name}": Logged(terms.empty.float().mean(), len(sigma)),
    }
    for part, mean in _means(values, counted).items():
        logs[f"train/loss_{name}/{part}"] = mean
    return logs | source_logs(name, total, clip_names, ~terms.empty)


def source_logs(
    name: str,
    per_clip: Float[Tensor, " b"],
    clip_names: Sequence[str],
    counted: Bool[Tensor, " b"] | None = None,
) -> dict[str, Logged]:
    """Return a loss's means by source, over the clips that have it, under their log keys."""
    values = per_clip.detach()
    logs = {}
    for source, mask in source_masks(clip_names, counted, per_clip.device).items():
        logs[f"train/loss_{name}/{source}"] = Logged(values[mask].mean(), int(mask.sum()))
    return logs


def _means(
    per_clip: Mapping[str, Float[Tensor, " b"]],
    counted: Mapping[str, Bool[Tensor, " b"]],
) -> dict[str, Logged]:
    """Return the mean of each entry over the clips that have it, for the entries that any clip has."""
    clips = torch.stack([counted[name].sum() for name in per_clip]).tolist()  # one wait for the device
    means = {}
    for (name, value), count in zip(per_clip.items(), clips, strict=True):
        if count:
            # By where, not by a product: what does not count may be NaN.
            total = torch.where(counted[name], value, 0).sum()
            means[name] = Logged(total / counted[name].sum(), count)
    return means
