"""Scores of the correspondences that attention maps find."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.types import REFERENCE

KINDS = ("ref", "tgt", "cross")
"""Temporal within the reference, temporal within the target, across views (both directions)."""


class AttentionTerms(NamedTuple):
    """One entry per query, view and latent frame.

    Attributes:
        hit: The match lies in the true cell.
        same_cell: The true cell is the query's own.
        kind: Index into ``KINDS``.
        valid: The entry counts: the true point is visible there and it is not the query's own view and frame.
    """

    hit: Bool[Tensor, "b v f q"]
    same_cell: Bool[Tensor, "b v f q"]
    kind: Int[Tensor, "b v f q"]
    valid: Bool[Tensor, "b v f q"]


def attention_terms(
    match_cells: Int[Tensor, "b v f q 2"],
    queries: Float[Tensor, "b q 4"],
    target_tracks: Float[Tensor, "b v f q 2"],
    target_visible: Bool[Tensor, "b v f q"],
    query_valid: Bool[Tensor, "b q"],
    frame_times: Int[Tensor, " f"],
    stride: int,
) -> AttentionTerms:
    """Compare matched cells with true ones.

    Args:
        match_cells: (column, row) of the best key of every view and latent frame.
        queries: (view, frame, x, y), pixels.
        target_tracks: True pixels of every query's point at latent frames.
        target_visible: True where that point is seen; its cell is then floor(pixel / stride).
        query_valid: False for padding.
        frame_times: Video frame of each latent frame.
        stride: Pixels a token covers on each side.

    Returns:
        Terms to be counted; entries that are not ``valid`` mean nothing.

    Raises:
        InputError: If shapes do not fit.
    """
    sizes = check_shape("match_cells", match_cells, "b v f q 2")
    check_shape("queries", queries, "b q 4", **sizes)
    check_shape("target_tracks", target_tracks, "b v f q 2", **sizes)
    check_shape("target_visible", target_visible, "b v f q", **sizes)
    check_shape("query_valid", query_valid, "b q", **sizes)
    check_shape("frame_times", frame_times, "f", **sizes)
    true_cells = (target_tracks / stride).floor().long()
    own_cells = (queries[:, None, None, :, 2:] / stride).floor().long()
    view = torch.arange(match_cells.shape[1], device=queries.device)[None, :, None, None]
    query_view = queries[:, None, None, :, 0].long()
    same_frame = frame_times[None, None, :, None] == queries[:, None, None, :, 1]
    itself = (view == query_view) & same_frame
    kind = torch.where(view != query_view, KINDS.index("cross"), torch.where(query_view == REFERENCE, 0, 1))
    valid = target_visible & ~itself & query_valid[:, None, None]
    return AttentionTerms(
        hit=(match_cells == true_cells).all(dim=-1),
        same_cell=(own_cells == true_cells).all(dim=-1),
        kind=kind.expand_as(valid),
        valid=valid,
    )
