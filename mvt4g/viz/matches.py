"""One query point, its attention over another view, and where both say it went."""

import math
from collections.abc import Mapping

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mvt4g.formats.probe_files import ProbeMatches
from mvt4g.viz.canvas import Colour, Pen, draw_over, magnification
from mvt4g.viz.colours import heat_colours
from mvt4g.viz.tiles import tile_images

_QUERY: Colour = (255, 214, 10, 255)
_PEAK: Colour = (255, 255, 255, 255)
_TRUTH: Colour = (64, 255, 140, 255)
_CELLS_ACROSS = 7
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
    caption = "attention peak"
    if true_xy is not None:
        caption += _words_of_error(match_xy, true_xy, ", ")
    pair = [draw_query(reference, query_xy), draw_attention(target, match_xy, true_xy, heat)]
    return tile_images([pair], [["query", caption]])


def match_sheet(matches: ProbeMatches, heats: Mapping[str, Float[Tensor, "n rows columns"]]) -> Float[Tensor, "3 H W"]:
    """Show query points of the reference, each beside the target's same frame under one or more attentions.

    Args:
        matches: The points.
        heats: Attention over the target's frame, by what it is called.
    """
    cells = []
    captions = []
    for point, name in enumerate(matches.names):
        query = matches.queries[point]
        truth = matches.true_xy[point]
        reference = matches.reference[point].float() / 255
        target = matches.target[point].float() / 255
        cells.append(draw_query(reference, query[2:]))
        captions.append(f"{name}, frame {int(query[1])}")
        for title, heat in heats.items():
            peak = attention_peak(heat[point], target)
            cells.append(draw_attention(target, peak, truth, heat[point]))
            captions.append(title + _words_of_error(peak, truth, ": "))
    rows = _rows_of_cells(len(cells), group=1 + len(heats))
    images = [cells[row] for row in rows]
    return tile_images(images, [captions[row] for row in rows])


def _words_of_error(
    match_xy: Float[Tensor, " 2"],
    true_xy: Float[Tensor, " 2"],
    before: str,
) -> str:
    distance_px = math.dist(_point(match_xy), _point(true_xy))
    return f"{before}{distance_px:.1f} px off"


def _rows_of_cells(count: int, group: int) -> list[slice]:
    """Return which cells stand in each row, so that the cells of one point stay together.

    Args:
        count: Number of cells.
        group: Cells of one point.
    """
    if group <= _CELLS_ACROSS:
        across = _CELLS_ACROSS // group * group
        return [slice(start, start + across) for start in range(0, count, across)]
    rows = []
    for first in range(0, count, group):  # a point that is wider than a row wraps, and the next begins a row
        for start in range(first, first + group, _CELLS_ACROSS):
            rows.append(slice(start, min(start + _CELLS_ACROSS, first + group)))
    return rows


def draw_query(frame: Float[Tensor, "3 h w"], query_xy: Float[Tensor, "2"]) -> Float[Tensor, "3 H W"]:
    """Show a query point, the left of ``draw_matches``."""
    query = _point(query_xy)
    return draw_over(frame, magnification(*frame.shape[-2:]), lambda pen: pen.dot(query, _QUERY, size=1.3))


def draw_attention(
    frame: Float[Tensor, "3 h w"],
    match_xy: Float[Tensor, "2"],
    true_xy: Float[Tensor, "2"] | None,
    heat: Float[Tensor, "rows columns"],
) -> Float[Tensor, "3 H W"]:
    """Show a frame under the attention of a query, the right of ``draw_matches``."""
    match = _point(match_xy)
    truth = None if true_xy is None else _point(true_xy)
    lit = _lit(frame.detach().float().cpu(), heat.detach().float().cpu())

    def marks(pen: Pen) -> None:
        if truth is not None:
            pen.line(match, truth, (*_TRUTH[:3], 200))
            pen.dot(truth, _TRUTH, size=1.6, filled=False)
        pen.cross(match, _PEAK, size=1.2)

    return draw_over(lit, magnification(*frame.shape[-2:]), marks)


def attention_peak(heat: Float[Tensor, "r c"], frame: Float[Tensor, "3 h w"]) -> Float[Tensor, " 2"]:
    """Return the centre of the hottest cell, in pixels of the frame."""
    rows, columns = heat.shape
    best = int(heat.argmax())
    x = (best % columns + 0.5) * frame.shape[-1] / columns
    y = (best // columns + 0.5) * frame.shape[-2] / rows
    return torch.tensor([x, y])


def _lit(frame: Float[Tensor, "3 h w"], heat: Float[Tensor, "r c"]) -> Float[Tensor, "3 h w"]:
    """Grey a frame and lay the heat's colours over it, the more opaque the hotter."""
    share = heat.nan_to_num().clamp(min=0)
    share = share / share.max().clamp(min=1e-12)
    # Cells stay squares with hard edges, as the attention has no values between them.
    cells = rearrange(share, "r c -> 1 1 r c")
    share = F.interpolate(cells, size=frame.shape[-2:], mode="nearest-exact")[0]
    grey = 0.8 * torch.einsum("c,chw->hw", torch.tensor(_LUMA), frame).expand_as(frame)
    colours = rearrange(heat_colours(share[0]), "h w c -> c h w")
    return torch.lerp(grey, colours, _HEAT_OPACITY * share)


def _point(xy: Float[Tensor, " 2"]) -> tuple[float, float]:
    x, y = xy.detach().float().tolist()
    return x, y
