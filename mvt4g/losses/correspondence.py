"""L_corr: the attention map itself is taught where each query point is, as a classification of each frame's cells."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mvt4g.losses.noise_gate import NoiseGate
from mvt4g.losses.objective import LossTerms, TapContext, TapObjective, Taps
from mvt4g.losses.shrinking_label import ShrinkingLabel
from mvt4g.losses.step_gate import StepGate
from mvt4g.matching.labels import LabelKind, cell_labels, label_log_probability
from mvt4g.matching.pairs import VIEW_PAIRS, AcrossFrames, CountRule, ViewPair, entries_of, of_pairs, view_pairs
from mvt4g.matching.rows import MAX_LOGITS, check_readable, gather_queries
from mvt4g.matching.tokens import cell_of_pixels
from mvt4g.ranges import Count, Natural, NonNegative, Positive
from mvt4g.types import AttentionTap, Cameras, InputError, PointTruth


@dataclass(frozen=True)
class TermRule:
    """Which terms count, a term being one query in one (view, latent frame).

    Attributes:
        own_frame: The query's own (view, frame) counts too: attention there should stay where it is.
        occluded: Also supervise occluded points whose true position is inside the image.
        pairs: Only these pairs of views.
        across: Frames of the other view that count: all, or that of the query's own moment. With ``pairs`` across
            views alone, that is pairs of one time and nothing else.
        left_cell: Only points that lie in another cell than the query does: where copying is wrong.
    """

    own_frame: bool = False
    occluded: bool = False
    pairs: tuple[ViewPair, ...] = VIEW_PAIRS
    across: AcrossFrames = "all"
    left_cell: bool = False

    def __post_init__(self) -> None:
        """Check that there are pairs.

        Raises:
            InputError: If there are none, or one is unknown.
        """
        if not self.pairs or not set(self.pairs) <= set(VIEW_PAIRS):
            raise InputError(f"terms.pairs: got {self.pairs}, want some of {VIEW_PAIRS}")


class CorrespondenceLoss(nn.Module):
    """Cross-entropy of the per-frame attention of query points against the cells where the points truly are.

    Rotated q and k (what attention uses); fp32 log-softmax over the h*w keys of one frame; per head, the negative
    log-likelihood averaged over heads; one hard label a term, the cell at ``floor(px / stride)``. A term is one query
    in one (view, latent frame) where the point is visible, other than the query's own.

    Source: MVTrack4Gen (arXiv 2606.26087), Eq. 20, with averages for its sums.
    """

    def __init__(
        self,
        layers: Sequence[Natural] | None = None,
        heads: Sequence[Natural] | None = None,
        head_reduction: Literal["each", "mean", "best"] = "each",
        label: LabelKind = "hard",
        label_sigma: Positive = 1.0,
        terms: TermRule = TermRule(),
        max_logits: Count = MAX_LOGITS,
    ) -> None:
        """Choose what is supervised, and by what labels.

        Args:
            layers: 0-based block indices, averaged; None takes every tap given (the system then gives the head's).
            heads: 0-based attention heads of every layer that are supervised; None = all.
            head_reduction: ``each``: every head is a matcher (mean of their cross-entropies). ``mean``: their mean
                attention is one (cross-entropy of the mean of their probabilities), so heads may share the work.
                ``best``: in each term the head of the least cross-entropy alone is taught, the others stay free.
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
        self.head_reduction = head_reduction
        self.label = label
        self.label_sigma = label_sigma
        self.terms = terms
        self.max_logits = max_logits

    def forward(self, taps: Taps, truth: PointTruth) -> LossTerms:
        """Return the loss of every clip: its mean negative log-likelihood (nats), and that of each pair of views.

        Args:
            taps: By layer.
            truth: Each query is at a latent frame's time, where its point is seen. A position that is not finite does
                not count.

        Raises:
            InputError: If a layer has no tap, a tap lacks a head or is not finite, or a query is of no view.
        """
        layers = tuple(taps) if self.layers is None else self.layers
        missing = [layer for layer in layers if layer not in taps]
        if missing or not layers:
            raise InputError(f"layers: got {list(layers)}, want some of the tapped layers {sorted(taps)}")
        valid = self._valid_terms(taps[layers[0]], truth)
        by_layer = [self._layer_nll(taps[layer], truth, valid) for layer in layers]
        nll = torch.stack(by_layer).mean(dim=0)
        count = valid.sum(dim=(1, 2, 3))
        total = nll.sum(dim=(1, 2, 3)) / count.clamp(min=1)
        pairs, counts = _by_pair(nll.detach(), valid, truth.queries[..., 0])
        return LossTerms(total, pairs, counts, count == 0)

    def _layer_nll(
        self, tap: AttentionTap, truth: PointTruth, valid: Bool[Tensor, "b v f q"]
    ) -> Float[Tensor, "b v f q"]:
        """Cross-entropy, reduced over heads, 0 where not valid."""
        check_readable(tap, truth.queries)
        tap = tap if self.heads is None else _only_heads(tap, self.heads)
        finite = torch.where(valid[..., None], truth.latent_tracks(), 0.0)
        height, width = tap.key.shape[3:5]
        cells, share = cell_labels(finite, tap.stride, height, width, self.label, self.label_sigma)
        rows = gather_queries(tap, truth.queries, rotate=True)
        log_probability = label_log_probability(rows, tap, cells, self.max_logits)
        # The log of a mean of probabilities is the logsumexp of their logs, less log k.
        if self.head_reduction == "mean":
            log_probability = log_probability.logsumexp(dim=-2, keepdim=True) - math.log(tap.key.shape[-2])
        by_head = -(log_probability * share[..., None, :]).sum(dim=-1)
        nll = by_head.amin(dim=-1) if self.head_reduction == "best" else by_head.mean(dim=-1)
        return torch.where(valid, nll, torch.zeros_like(nll))

    def _valid_terms(
        self,
        tap: AttentionTap,
        truth: PointTruth,
    ) -> Bool[Tensor, "b v f q"]:
        """Where a term counts."""
        tracks = truth.latent_tracks()
        valid = truth.latent_visible()
        if self.terms.occluded:
            size = tracks.new_tensor([tap.key.shape[4], tap.key.shape[3]]) * tap.stride
            valid = valid | ((tracks >= 0) & (tracks < size)).all(dim=-1)
        valid = valid & torch.isfinite(tracks).all(dim=-1) & truth.valid[:, None, None]
        entries = entries_of(truth.queries, tap.frame_times, tracks.shape[1])
        rule = CountRule(own_entry=self.terms.own_frame, across=self.terms.across)
        valid = valid & entries.counted(rule)
        if self.terms.left_cell:
            own_cell = cell_of_pixels(truth.queries[:, None, None, :, 2:], tap.stride)
            valid = valid & (cell_of_pixels(tracks, tap.stride) != own_cell).any(dim=-1)
        if set(self.terms.pairs) != set(VIEW_PAIRS):
            pair = view_pairs(truth.queries[..., 0], tracks.shape[1])
            valid = valid & of_pairs(pair, self.terms.pairs)
        return valid


class CorrespondenceObjective(TapObjective):
    """L_corr as a trained system's objective; its parts are the pairs of views.

    Args:
        context: The system's.
        weight: Of the loss.
        layers: 0-based; None = the head's, or without a head that which the system reads.
        gate: By noise level.
        steps: By optimizer step.
        loss: What is supervised, and by what labels; None = ``CorrespondenceLoss()``.
        shrink: Over the steps, in place of the loss's ``label_sigma``; its label must be ``gaussian``.

    Raises:
        InputError: If no layer is named and there is none to default to, or a label shrinks that is not Gaussian.
    """

    name = "corr"

    def __init__(
        self,
        context: TapContext,
        weight: NonNegative = 0.01,
        layers: Sequence[Natural] | None = None,
        gate: NoiseGate = NoiseGate(),
        steps: StepGate = StepGate(),
        loss: CorrespondenceLoss | None = None,
        shrink: ShrinkingLabel | None = None,
    ) -> None:
        loss = CorrespondenceLoss() if loss is None else loss
        layers = loss.layers if layers is None else layers
        if layers is None:
            if context.layer is None:
                raise InputError("objectives.corr.layers: got null without a tracking head, want a list of layers")
            layers = (context.layer,)
        if shrink is not None and loss.label != "gaussian":
            raise InputError(f"objectives.corr.shrink: got one for a {loss.label} label, want loss.label: gaussian")
        super().__init__(layers, weight, gate, steps)
        self.loss = loss
        self.shrink = shrink

    def at(self, step: int) -> "CorrespondenceObjective":
        """Return the objective as it is at an optimizer step: with a label as wide as it is then."""
        if self.shrink is None:
            return self
        # Copies that share all else: the objective itself must serve every step.
        now = copy.copy(self)
        now.loss = copy.copy(self.loss)
        now.loss.label_sigma = self.shrink.sigma_at(step)
        return now

    def __call__(self, taps: Taps, truth: PointTruth, cameras: Cameras) -> LossTerms:
        """Return the loss of every clip; cameras play no part."""
        terms: LossTerms = self.loss({layer: taps[layer] for layer in self.layers}, truth)
        return terms


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
    query = tap.query.index_select(-2, index)
    key = tap.key.index_select(-2, index)
    # A softmax by frame sees no tokens that are no video.
    return replace(tap, query=query, key=key, rotary=rotary, other_key=None)


def _by_pair(
    nll: Float[Tensor, "b v f q"],
    valid: Bool[Tensor, "b v f q"],
    query_view: Float[Tensor, "b q"],
) -> tuple[dict[str, Float[Tensor, " b"]], dict[str, Float[Tensor, " b"]]]:
    """Return the mean over each pair's terms, 0 where there are none, and how many those are."""
    pair = view_pairs(query_view, valid.shape[1])
    means: dict[str, Tensor] = {}
    counts: dict[str, Tensor] = {}
    for name in VIEW_PAIRS:
        chosen = of_pairs(pair, (name,))
        counts[name] = (valid & chosen).sum(dim=(1, 2, 3)).to(nll.dtype)
        total = torch.where(chosen, nll, 0.0).sum(dim=(1, 2, 3))
        means[name] = total / counts[name].clamp(min=1)
    return means, counts
