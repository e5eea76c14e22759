"""Scores of the correspondences that attention maps find."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mvt4g.matching.pairs import KINDS, CountRule, entries_of, of_pairs, view_pairs
from mvt4g.metrics.functional.checks import check_shape, check_truth
from mvt4g.types import PointTruth


class AttentionTerms(NamedTuple):
    """One entry per query, view and latent frame.

    Attributes:
        hit: The match lies in the true cell.
        same_cell: The true cell is the query's own.
        kind: Place in ``KINDS``.
        valid: The entry counts: the true point is visible there and it is not the query's own view and frame.
    """

    hit: Bool[Tensor, "b v f q"]
    same_cell: Bool[Tensor, "b v f q"]
    kind: Int[Tensor, "b v f q"]
    valid: Bool[Tensor, "b v f q"]


def attention_terms(
    match_cells: Int[Tensor, "b v f q 2"],
    truth: PointTruth,
    stride: int,
) -> AttentionTerms:
    """Compare matched cells with true ones.

    Args:
        match_cells: (column, row) of the best key of every view and latent frame.
        truth: Of the queries matched; where a point is seen, its cell is floor(pixel / stride).
        stride: Pixels a token covers on each side.

    Returns:
        Terms to be counted; entries that are not ``valid`` mean nothing.

    Raises:
        InputError: If shapes do not fit.
    """
    sizes = check_shape("match_cells", match_cells, "b v f q 2")
    check_truth(truth, **sizes)
    true_cells = (truth.latent_tracks() / stride).floor().long()
    own_cells = (truth.queries[:, None, None, :, 2:] / stride).floor().long()
    pair = view_pairs(truth.queries[..., 0], sizes["v"])
    counted = entries_of(truth.queries, truth.frame_times, sizes["v"]).counted(CountRule())
    valid = truth.latent_visible() & counted & truth.valid[:, None, None]
    kind = torch.zeros_like(pair)
    for number, pairs in enumerate(KINDS.values()):
        kind = torch.where(of_pairs(pair, pairs), number, kind)
    return AttentionTerms(
        hit=(match_cells == true_cells).all(dim=-1),
        same_cell=(own_cells == true_cells).all(dim=-1),
        kind=kind.expand_as(valid),
        valid=valid,
    )
