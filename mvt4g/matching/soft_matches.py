"""Matches between cell centres: the mean position around the best cell, weighed by attention."""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.matching.rows import MAX_LOGITS, Matches, gather_queries, rotated, row_log_softmax
from mvt4g.matching.tokens import cell_centre, unflat_cell
from mvt4g.types import AttentionTap


@torch.no_grad()
def soft_matches(
    tap: AttentionTap,
    queries: Float[Tensor, "b q 4"],
    reach: int = 1,
    max_logits: int = MAX_LOGITS,
) -> Matches:
    """Match as ``argmax_matches``, and refine each match to the mean of the cells within ``reach`` of the best one.

    A mean over the whole frame would be drawn to the frame's centre by what little is left everywhere.

    Args:
        tap: Of the layer whose attention is read.
        queries: (view, video frame, x, y), pixels.
        reach: Cells on each side of the best one, 0 = the best cell's centre.
        max_logits: Most logits held at once; at least one query is.

    Source: the local soft argmax of TAP-Net (arXiv 2211.03726), section 4.
    """
    views, frames, height, width, heads = tap.key.shape[1:6]
    rows = gather_queries(tap, queries, rotate=True)
    _, key = rotated(tap)
    cells = unflat_cell(torch.arange(height * width, device=key.device), width)
    centres = cell_centre(cells, tap.stride)
    size = max(1, max_logits // (len(queries) * heads * views * frames * height * width))
    found = [_best_and_mean(part, key, centres, reach * tap.stride) for part in rows.split(size, dim=1)]
    index, pixels, probability = (torch.cat(values, dim=3) for values in zip(*found, strict=True))
    return Matches(unflat_cell(index, width), pixels, probability)


def _best_and_mean(
    rows: Float[Tensor, "b q k d"],
    key: Float[Tensor, "b v f h w k d"],
    centres: Float[Tensor, "hw 2"],
    reach_px: int,
) -> tuple[Int[Tensor, "b v f q"], Float[Tensor, "b v f q 2"], Float[Tensor, "b v f q"]]:
    probability = row_log_softmax(rows, key).exp().mean(dim=2)
    probability = rearrange(probability, "b q v f hw -> b v f q hw")
    peak, index = probability.max(dim=-1)
    near = ((centres[index][..., None, :] - centres).abs() <= reach_px).all(dim=-1)
    weight = probability * near
    pixels = (weight @ centres) / weight.sum(dim=-1, keepdim=True)
    return index, pixels, peak
