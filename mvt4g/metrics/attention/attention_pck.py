"""How often the attention of each layer finds the true token."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric

from mvt4g.matching.pairs import KINDS
from mvt4g.metrics.functional.attention import attention_terms
from mvt4g.types import InputError, PointTruth


class AttentionPCK(Metric):
    """Share of query points whose strongest key lies exactly in the true cell, by layer and by kind of pair.

    Kinds are ``ref`` and ``tgt`` (other frames of the query's own view) and ``cross`` (all frames of the other view,
    both directions). The headline counts only terms whose true cell is not the query's own, since "the same cell"
    answers the others for free. ``<kind>_all`` counts every term, ``same_cell/<kind>_all`` is what that answer gets.
    Micro average over terms; a share over nothing is NaN.

    Args:
        layers: 0-based layers that ``update`` is called for.
        headline_layer: The one of them whose shares are there as ``<kind>`` too; None, or another = none is.

    Raises:
        InputError: If there is no layer.

    Example:
        >>> import torch
        >>> from mvt4g.types import PointTruth
        >>> truth = PointTruth(
        ...     queries=torch.tensor([[[0.0, 0.0, 5.0, 5.0]]]), tracks=torch.tensor([[[[[5.0, 5.0]], [[41.0, 25.0]]]]]),
        ...     visible=torch.ones(1, 1, 2, 1, dtype=torch.bool), valid=torch.ones(1, 1, dtype=torch.bool),
        ...     frame_times=torch.tensor([0, 1]), image_size=(64, 64),
        ... )
        >>> metric = AttentionPCK(layers=(3,))
        >>> metric.update(
        ...     layer=3,
        ...     match_cells=torch.tensor([[[[[0, 0]], [[2, 1]]]]]),  # one view, two frames, one query
        ...     truth=truth, stride=16,
        ... )
        >>> metric.compute()["layer3/ref"]
        tensor(1., dtype=torch.float64)
    """

    key = "attention_pck"
    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    moved_hits: Tensor
    moved_total: Tensor
    all_hits: Tensor
    all_total: Tensor

    def __init__(self, layers: Sequence[int], headline_layer: int | None = None) -> None:
        super().__init__()
        if not layers:
            raise InputError("layers: got none, want at least one layer")
        self.layers = tuple(layers)
        self.headline_layer = headline_layer
        for name in ("moved_hits", "moved_total", "all_hits", "all_total"):
            zeros = torch.zeros(len(layers), len(KINDS), dtype=torch.int64)
            self.add_state(name, zeros, dist_reduce_fx="sum")

    def update(
        self,
        layer: int,
        match_cells: Int[Tensor, "b v f q 2"],
        truth: PointTruth,
        stride: int,
    ) -> None:
        """Add one layer's matches; arguments as in ``functional.attention.attention_terms``.

        Raises:
            InputError: If the layer is not one of this metric's, or shapes do not fit.
        """
        if layer not in self.layers:
            raise InputError(f"layer: got {layer}, want one of {self.layers}")
        terms = attention_terms(match_cells, truth, stride)
        row = self.layers.index(layer)
        for kind in range(len(KINDS)):
            counted = terms.valid & (terms.kind == kind)
            moved = counted & ~terms.same_cell
            self.moved_hits[row, kind] += (moved & terms.hit).sum()
            self.moved_total[row, kind] += moved.sum()
            self.all_hits[row, kind] += (counted & terms.hit).sum()
            self.all_total[row, kind] += counted.sum()

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return ``layer<i>/<kind>`` shares in [0, 1], the same over all terms, and the same-cell baseline.

        The headline layer's shares are there as ``<kind>`` too.
        """
        moved = self.moved_hits.double() / self.moved_total.double()
        every = self.all_hits.double() / self.all_total.double()
        scores: dict[str, Tensor] = {}
        for row, layer in enumerate(self.layers):
            for column, kind in enumerate(KINDS):
                scores[f"layer{layer}/{kind}"] = moved[row, column]
                scores[f"layer{layer}/{kind}_all"] = every[row, column]
        # The same cell is right for as many terms in every layer: the first row stands for all.
        same = (self.all_total - self.moved_total).double() / self.all_total.double()
        for column, kind in enumerate(KINDS):
            scores[f"same_cell/{kind}_all"] = same[0, column]
            if self.headline_layer in self.layers:
                scores[kind] = scores[f"layer{self.headline_layer}/{kind}"]
        return scores
