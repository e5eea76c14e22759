"""One query point, its attention over another view, and where both say it went."""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mvt4g.viz.canvas import Colour, Pen, draw_over, magnification
from mvt4g.viz.colours import heat_colours
from mvt4g.viz.tiles import tile_images

_QUERY: Colour = (255, 214, 10, 255)
_PEAK: Colour = (255, 255, 255, 255)
_TRUTH: Colour = (64, 255, 140, 255)
_HEAT_OPACITY = 0.85
_LUMA = (0.299, 0.587, 0.114)


def draw_matches(
    reference: Float[Tensor, "3 h w"],
    target: Float[Tensor, "3 h w"],
    query_xy: Float[Tensor, "2"],
    match_xy: Float[Tensor, "2"],
    true_xy: Float[Tensor, "2"] | None,
    heat: Float[Tensor, "rows columns"],
) -> Float[Tensor, "3 H W"]:
    """Show a query point (yellow disc) beside the other view, greyed under its attention.

    A white cross marks the attention's peak, a green ring the true place where it is known, a line the error between.

    Args:
        reference: View of the query, in [0, 1].
        target: The view looked in, in [0, 1].
        query_xy: Pixels of the reference.
        match_xy: Pixels of the target.
        true_xy: Pixels of the target, or None.
        heat: At least 0, of any resolution: its cells cover the target evenly. Shown relative to its largest value.
    """
    factor = magnification(reference.shape[-2], reference.shape[-1])
    query, match = _point(query_xy), _point(match_xy)
    truth = None if true_xy is None else _point(true_xy)
    left = draw_over(reference, factor, lambda pen: pen.dot(query, _QUERY, size=1.3))
    lit = _lit(target.detach().float().cpu(), heat.detach().float().cpu())

    def marks(pen: Pen) -> None:
        if truth is not None:
            pen.line(match, truth, (*_TRUTH[:3], 200))
            pen.dot(truth, _TRUTH, size=1.6, filled=False)
        pen.cross(match, _PEAK, size=1.2)

    error = "" if truth is None else f", {math.dist(match, truth):.1f} px off"
    return tile_images([[left, draw_over(lit, factor, marks)]], [["query", f"attention peak{error}"]])


def _lit(frame: Tensor, heat: Tensor) -> Tensor:
    """Grey a frame and lay the heat's colours over it, the more opaque the hotter."""
    share = heat.nan_to_num().clamp(min=0)
    share = share / share.max().clamp(min=1e-12)
    share = F.interpolate(rearrange(share, "r c -> 1 1 r c"), size=frame.shape[-2:], mode="nearest-exact")[0]
    grey = 0.8 * torch.einsum("c,chw->hw", torch.tensor(_LUMA), frame).expand_as(frame)
    return torch.lerp(grey, rearrange(heat_colours(share[0]), "h w c -> c h w"), _HEAT_OPACITY * share)


def _point(xy: Tensor) -> tuple[float, float]:
    x, y = xy.detach().float().tolist()
    return x, y
