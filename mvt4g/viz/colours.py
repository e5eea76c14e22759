"""Colours of points and heat maps."""

import colorsys

import torch
from jaxtyping import Float
from torch import Tensor

_HEAT_ANCHORS = (
    (0.00, 0.00, 0.02), (0.16, 0.04, 0.33), (0.34, 0.06, 0.43), (0.53, 0.13, 0.42), (0.71, 0.21, 0.33),
    (0.87, 0.32, 0.23), (0.96, 0.49, 0.08), (0.99, 0.71, 0.09), (0.95, 0.90, 0.36), (0.99, 1.00, 0.64),
)  # fmt: skip
"""Evenly spaced samples of matplotlib's inferno (CC0)."""


def rainbow(values: Float[Tensor, " n"]) -> Float[Tensor, "n 3"]:
    """Return bright RGB colours from red (0) over yellow, green and blue to magenta (1)."""
    hues = values.detach().clamp(0, 1).mul(0.85).tolist()
    return torch.tensor([colorsys.hsv_to_rgb(hue, 0.82, 1.0) for hue in hues]).reshape(-1, 3)


def rainbow_by_row(tracks: Float[Tensor, "t n 2"]) -> Float[Tensor, "n 3"]:
    """Colour points by their row in frame 0: one colour follows a point through time and views.

    Rows are ranked, so that points on a low object still take all the colours.
    """
    rows = tracks[0, :, 1].nan_to_num() if len(tracks) else tracks.new_zeros(tracks.shape[1])
    rank = rows.argsort(stable=True).argsort().float()
    return rainbow(rank / max(rows.numel() - 1, 1))


def heat_colours(heat: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3"]:
    """Map [0, 1] to RGB from black over purple and orange to pale yellow."""
    anchors = torch.tensor(_HEAT_ANCHORS, dtype=heat.dtype, device=heat.device)
    position = heat.clamp(0, 1) * (len(anchors) - 1)
    low = position.floor().clamp(max=len(anchors) - 2).long()
    return torch.lerp(anchors[low], anchors[low + 1], (position - low)[..., None])
