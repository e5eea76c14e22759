"""L_corr: the attention map itself is taught where each query point is, as a classification of each frame's cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mvt4g.matching.rows import MAX_LOGITS, gather_queries, label_log_probability
from mvt4g.matching.tokens import cell_of_pixels, flat_cell
from mvt4g.types import REFERENCE, AttentionTap, InputError

PAIRS = ("ref_ref", "tgt_tgt", "ref_tgt", "tgt_ref")
"""Query's view, then key's view; every view but the reference counts as a target."""


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

    def __init__(self, layers: Sequence[int] | None = None, max_logits: int = MAX_LOGITS) -> None:
        """Choose the layers.

        Args:
            layers: 0-based block indices, averaged; None takes every tap given (the system then gives the head's).
            max_logits: Most logits held at once; changes memory and nothing else.
        """
        super().__init__()
        self.layers = None if layers is None else tuple(layers)
        self.max_logits = max_logits

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
            target_tracks: Pixels at latent frames.
            target_visible: Implies that the position lies in the image.
            query_valid: False for padding; None = all are real.

        Raises:
            InputError: If a layer has no tap.
        """
        layers = tuple(taps) if self.layers is None else self.layers
        missing = [layer for layer in layers if layer not in taps]
        if missing or not layers:
            raise InputError(f"layers: got {list(layers)}, want some of the tapped layers {sorted(taps)}")
        valid = _valid_terms(taps[layers[0]], queries, target_visible, query_valid)
        nll = torch.stack([self._layer_nll(taps[layer], queries, target_tracks, valid) for layer in layers]).mean(dim=0)
        count = valid.sum(dim=(1, 2, 3))
        total = nll.sum(dim=(1, 2, 3)) / count.clamp(min=1)
        pairs, counts = _by_pair(nll.detach(), valid, queries[..., 0])
        return CorrespondenceTerms(total, pairs, counts, count == 0)

    def _layer_nll(self, tap: AttentionTap, queries: Tensor, tracks: Tensor, valid: Tensor) -> Tensor:
        """Negative log-likelihood (b v f q), mean over heads, 0 where not valid."""
        height, width = tap.key.shape[3:5]
        labels = flat_cell(cell_of_pixels(torch.where(valid[..., None], tracks, 0.0), tap.stride), height, width)
        rows = gather_queries(tap, queries, rotate=True)
        log_probability = label_log_probability(rows, tap, labels, self.max_logits).mean(dim=-1)
        return torch.where(valid, -log_probability, torch.zeros_like(log_probability))


def _valid_terms(tap: AttentionTap, queries: Tensor, visible: Tensor, query_valid: Tensor | None) -> Tensor:
    """Where (b v f q) a term counts: target visible, query real, and not the query's own (view, frame)."""
    view = torch.arange(visible.shape[1], device=visible.device)[:, None, None]
    own_view = rearrange(queries[..., 0], "b q -> b 1 1 q") == view
    own_frame = rearrange(queries[..., 1], "b q -> b 1 1 q") == tap.frame_times[:, None]
    valid = visible & ~(own_view & own_frame)
    return valid if query_valid is None else valid & rearrange(query_valid, "b q -> b 1 1 q")


def _by_pair(nll: Tensor, valid: Tensor, query_view: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    from_reference = rearrange(query_view == REFERENCE, "b q -> b 1 1 q")
    in_reference = (torch.arange(valid.shape[1], device=valid.device) == REFERENCE)[:, None, None]
    chosen = {
        "ref_ref": from_reference & in_reference,
        "tgt_tgt": ~from_reference & ~in_reference,
        "ref_tgt": from_reference & ~in_reference,
        "tgt_ref": ~from_reference & in_reference,
    }
    counts = {name: (valid & chosen[name]).sum(dim=(1, 2, 3)).to(nll.dtype) for name in PAIRS}
    sums = {name: torch.where(chosen[name], nll, 0.0).sum(dim=(1, 2, 3)) for name in PAIRS}
    return {name: sums[name] / counts[name].clamp(min=1) for name in PAIRS}, counts
