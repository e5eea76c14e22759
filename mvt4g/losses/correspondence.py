"""L_corr: the attention map itself is taught where each query point is, as a classification of each frame's cells."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mvt4g.matching.labels import LabelKind, cell_labels, label_log_probability
from mvt4g.matching.rows import MAX_LOGITS, check_readable, gather_queries
from mvt4g.types import REFERENCE, AttentionTap, InputError

Pair = Literal["ref_ref", "tgt_tgt", "ref_tgt", "tgt_ref"]
PAIRS: tuple[Pair, ...] = get_args(Pair)
"""Query's view, then key's view; every view but the reference counts as a target."""


@dataclass(frozen=True)
class TermRule:
    """Which terms count, a term being one query in one (view, latent frame).

    Attributes:
        own_frame: The query's own (view, frame) counts too: attention there should stay where it is.
        occluded: Points that are hidden where they would be seen count too, if that is inside the image.
        pairs: Only these pairs of views.
    """

    own_frame: bool = False
    occluded: bool = False
    pairs: tuple[Pair, ...] = PAIRS

    def __post_init__(self) -> None:
        """Check that there are pairs.

        Raises:
            InputError: If there are none, or one is unknown.
        """
        if not self.pairs or not set(self.pairs) <= set(PAIRS):
            raise InputError(f"terms.pairs: got {self.pairs}, want some of {PAIRS}")


@dataclass(frozen=True)
class CorrespondenceTerms:
    """L_corr of every clip.

    Attributes:
        total: Mean negative log-likelihood (nats) over the clip's valid terms, exactly 0 where there are none.
        pairs: The same by (query view, key view), 0 where the clip has no such term; detached.
        counts: How many terms each entry of ``pairs`` is the mean of.
        empty: True where the clip has no valid term.
    """

    total: Float[Tensor, " b"]
    pairs: dict[str, Float[Tensor, " b"]]
    counts: dict[str, Float[Tensor, " b"]]
    empty: Bool[Tensor, " b"]


class CorrespondenceLoss(nn.Module):
    """Cross-entropy of the per-frame attention of query points against the cells where the points truly are.

    Rotated q and k (what attention uses); fp32 log-softmax over the h*w keys of one frame; per head, the negative
    log-likelihood averaged over heads; one hard label a term, the cell at ``floor(px / stride)``. A term is one query
    in one (view, latent frame) where the point is visible, other than the query's own.

    Source: MVTrack4Gen (arXiv 2606.26087), Eq. 20, with averages for its sums.
    """

    def __init__(
        self,
        layers: Sequence[int] | None = None,
        heads: Sequence[int] | None = None,
        head_reduction: Literal["each", "mean"] = "each",
        label: LabelKind = "hard",
        label_sigma: float = 1.0,
        terms: TermRule = TermRule(),
        max_logits: int = MAX_LOGITS,
    ) -> None:
        """Choose what is supervised, and by what labels.

        Args:
            layers: 0-based block indices, averaged; None takes every tap given (the system then gives the head's).
            heads: 0-based attention heads of every layer that are supervised; None = all.
            head_reduction: ``each``: every head is a matcher (mean of their cross-entropies). ``mean``: their mean
                attention is one (cross-entropy of the mean of their probabilities), so heads may share the work.
            label: How a point is spread over cells, see ``cell_labels``. The least cross-entropy of a soft label is
                its entropy, not 0.
            label_sigma: Of the ``gaussian`` label, in cells.
            terms: Which terms count.
            max_logits: Most logits held at once; changes memory and nothing else.

        Raises:
            InputError: If the label's sigma is not positive, or there is no layer.
        """
        super().__init__()
        if layers is not None and not layers:
            raise InputError("layers: got an empty list, want null or at least one layer")
        if not 0 < label_sigma < math.inf:
            raise InputError(f"label_sigma: got {label_sigma}, want a positive number of cells")
        self.layers = None if layers is None else tuple(layers)
        self.heads = None if heads is None else tuple(heads)
        self.head_reduction, self.label, self.label_sigma = head_reduction, label, label_sigma
        self.terms, self.max_logits = terms, max_logits

    def forward(
        self,
        taps: Mapping[int, AttentionTap],
        queries: Float[Tensor, "b q 4"],
        target_tracks: Float[Tensor, "b v f q 2"],
        target_visible: Bool[Tensor, "b v f q"],
        query_valid: Bool[Tensor, "b q"] | None = None,
    ) -> CorrespondenceTerms:
        """Return the loss of every clip.

        Args:
            taps: By layer.
            queries: (view, video frame, x, y), each at a latent frame's time, where its point is seen.
            target_tracks: Pixels at latent frames; what is not finite does not count.
            target_visible: Implies that the position lies in the image.
            query_valid: False for padding; None = all are real.

        Raises:
            InputError: If a layer has no tap, a tap lacks a head or is not finite, or a query is of no view.
        """
        layers = tuple(taps) if self.layers is None else self.layers
        missing = [layer for layer in layers if layer not in taps]
        if missing or not layers:
            raise InputError(f"layers: got {list(layers)}, want some of the tapped layers {sorted(taps)}")
        valid = self._valid_terms(taps[layers[0]], queries, target_tracks, target_visible, query_valid)
        nll = torch.stack([self._layer_nll(taps[layer], queries, target_tracks, valid) for layer in layers]).mean(dim=0)
        count = valid.sum(dim=(1, 2, 3))
        total = nll.sum(dim=(1, 2, 3)) / count.clamp(min=1)
        pairs, counts = _by_pair(nll.detach(), valid, queries[..., 0])
        return CorrespondenceTerms(total, pairs, counts, count == 0)

    def _layer_nll(self, tap: AttentionTap, queries: Tensor, tracks: Tensor, valid: Tensor) -> Tensor:
        """Cross-entropy (b v f q), reduced over heads, 0 where not valid."""
        check_readable(tap, queries)
        tap = tap if self.heads is None else _only_heads(tap, self.heads)
        finite = torch.where(valid[..., None], tracks, 0.0)
        height, width = tap.key.shape[3:5]
        cells, share = cell_labels(finite, tap.stride, height, width, self.label, self.label_sigma)
        rows = gather_queries(tap, queries, rotate=True)
        log_probability = label_log_probability(rows, tap, cells, self.max_logits)
        if self.head_reduction == "mean":
            log_probability = log_probability.logsumexp(dim=-2, keepdim=True) - math.log(tap.key.shape[-2])
        nll = -(log_probability * share[..., None, :]).sum(dim=-1).mean(dim=-1)
        return torch.where(valid, nll, torch.zeros_like(nll))

    def _valid_terms(
        self, tap: AttentionTap, queries: Tensor, tracks: Tensor, visible: Tensor, query_valid: Tensor | None
    ) -> Tensor:
        """Where (b v f q) a term counts."""
        valid = visible
        if self.terms.occluded:
            size = tracks.new_tensor([tap.key.shape[4], tap.key.shape[3]]) * tap.stride
            valid = visible | ((tracks >= 0) & (tracks < size)).all(dim=-1)
        valid = valid & torch.isfinite(tracks).all(dim=-1)
        if query_valid is not None:
            valid = valid & rearrange(query_valid, "b q -> b 1 1 q")
        if not self.terms.own_frame:
            view = torch.arange(visible.shape[1], device=visible.device)[:, None, None]
            own_view = rearrange(queries[..., 0], "b q -> b 1 1 q") == view
            own_frame = rearrange(queries[..., 1], "b q -> b 1 1 q") == tap.frame_times[:, None]
            valid = valid & ~(own_view & own_frame)
        if set(self.terms.pairs) != set(PAIRS):
            chosen = _pair_masks(queries[..., 0], visible.shape[1])
            valid = valid & torch.stack([chosen[name] for name in self.terms.pairs]).any(dim=0)
        return valid


def _only_heads(tap: AttentionTap, heads: Sequence[int]) -> AttentionTap:
    """Return the tap of some heads.

    Raises:
        InputError: If the tap lacks one.
    """
    count = tap.key.shape[-2]
    if not heads or not all(0 <= head < count for head in heads):
        raise InputError(f"heads: got {list(heads)}, want some of 0 to {count - 1}")
    index = torch.as_tensor(heads, device=tap.key.device)
    rotary = tap.rotary if tap.rotary.shape[-2] == 1 else tap.rotary.index_select(-2, index)
    return replace(tap, query=tap.query.index_select(-2, index), key=tap.key.index_select(-2, index), rotary=rotary)


def _pair_masks(query_view: Float[Tensor, "b q"], views: int) -> dict[Pair, Bool[Tensor, "b v 1 q"]]:
    from_reference = rearrange(query_view == REFERENCE, "b q -> b 1 1 q")
    in_reference = (torch.arange(views, device=query_view.device) == REFERENCE)[:, None, None]
    return {
        "ref_ref": from_reference & in_reference,
        "tgt_tgt": ~from_reference & ~in_reference,
        "ref_tgt": from_reference & ~in_reference,
        "tgt_ref": ~from_reference & in_reference,
    }


def _by_pair(nll: Tensor, valid: Tensor, query_view: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    chosen = _pair_masks(query_view, valid.shape[1])
    counts: dict[str, Tensor] = {name: (valid & mask).sum(dim=(1, 2, 3)).to(nll.dtype) for name, mask in chosen.items()}
    sums = {name: torch.where(mask, nll, 0.0).sum(dim=(1, 2, 3)) for name, mask in chosen.items()}
    return {name: sums[name] / counts[name].clamp(min=1) for name in PAIRS}, counts
