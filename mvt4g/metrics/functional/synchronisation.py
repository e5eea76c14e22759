"""Whether two videos show the same moment at the same frame, by matching their features."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

TIE = 1e-5
"""Difference of strengths under which two frames match equally well: fp32 rounding."""


class FrameMatches(NamedTuple):
    """What each cell of a frame finds in another frame.

    Attributes:
        nearest: The most similar cell there, row by row.
        similarity: Cosine of the two, 0 for features of length 0.
        matched: The two are each other's most similar, and similar enough.
    """

    nearest: Int[Tensor, "h w"]
    similarity: Float[Tensor, "h w"]
    matched: Bool[Tensor, "h w"]

    def strength(self) -> Float[Tensor, ""]:
        """Return the cosines of all matches, added, over the number of cells: 1 where all match perfectly."""
        return torch.where(self.matched, self.similarity, 0.0).mean()


def mutual_matches(
    features: Float[Tensor, "h w d"], reference: Float[Tensor, "h2 w2 d"], min_similarity: float | int
) -> FrameMatches:
    """Match cells that are each other's nearest neighbours.

    Args:
        features: Of the frame.
        reference: Of the frame it is matched with.
        min_similarity: Least cosine of a match.
    """
    rows = functional.normalize(rearrange(features.float(), "h w d -> (h w) d"), dim=-1)
    columns = functional.normalize(rearrange(reference.float(), "h w d -> (h w) d"), dim=-1)
    with torch.autocast(rows.device.type, enabled=False):  # ties are told apart at 1e-5
        cosine = rows @ columns.mT
    similarity, nearest = cosine.max(dim=1)
    cells = torch.arange(len(rows), device=rows.device)
    mutual = cosine.argmax(dim=0)[nearest] == cells
    matched = mutual & (similarity >= min_similarity)
    maps = [rearrange(value, "(h w) -> h w", h=len(features)) for value in (nearest, similarity, matched)]
    return FrameMatches(*maps)


def best_offsets(strengths: Float[Tensor, "t o"], offsets: Sequence[int]) -> Float[Tensor, " t"]:
    """Return the offset at which each frame matches best; NaN where it is undecided.

    Args:
        strengths: How well frame t matches frame t + offset of the other video; NaN = there is none.
        offsets: In frames, one a column.

    Returns:
        Frames, positive where the frame shows what the other video shows later. Undecided is a frame with fewer than
        two candidates, or with two that match best alike: a scene in which nothing moves has no offset.
    """
    known = strengths.nan_to_num(nan=-torch.inf)
    best, index = known.max(dim=1)
    # A best that is not alone says nothing, and neither does one without a rival.
    best_alike = (known > best[:, None] - TIE).sum(dim=1)
    decided = (best_alike == 1) & (known.isfinite().sum(dim=1) > 1)
    columns = torch.tensor(list(offsets), dtype=strengths.dtype, device=strengths.device)
    return torch.where(decided, columns[index], torch.nan)
