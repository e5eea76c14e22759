"""Percentage of correct keypoints of predicted tracks."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric

from mvt4g.metrics.compute_groups import keep_apart
from mvt4g.metrics.functional.tracks import pck_counts
from mvt4g.types import InputError


class PCK(Metric):
    """Share of visible points predicted strictly within ``threshold_px`` of the truth.

    Micro average: every visible point of every clip weighs the same (TAP-Vid averages per video first).
    ``compute`` is NaN when no visible point was seen: an empty set has no score.

    Args:
        threshold_px: Euclidean distance in pixels of the video that the tracks belong to.

    Raises:
        InputError: If the threshold is not positive.

    Example:
        >>> import torch
        >>> metric = PCK(threshold_px=2.0)
        >>> metric.update(torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.zeros(2, 2), torch.tensor([True, True]))
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    hits: Tensor
    total: Tensor

    def __init__(self, threshold_px: float) -> None:
        super().__init__()
        if not threshold_px > 0:
            raise InputError(f"threshold_px: got {threshold_px}, want a positive number of pixels")
        self.threshold_px = threshold_px
        self.key = f"pck_{threshold_px:g}px"
        self.add_state("hits", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")
        keep_apart(self)

    def update(
        self,
        pred: Float[Tensor, "*batch 2"],
        target: Float[Tensor, "*batch 2"],
        visible: Bool[Tensor, " *batch"],
    ) -> None:
        """Add tracks (x, y) in pixels and the ground-truth visibility."""
        hits, total = pck_counts(pred, target, visible, self.threshold_px)
        self.hits += hits
        self.total += total

    def compute(self) -> Float[Tensor, ""]:
        """Return the share in [0, 1], or NaN."""
        return self.hits.double() / self.total.double()
