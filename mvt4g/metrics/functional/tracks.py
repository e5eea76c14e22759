"""Scores of predicted point tracks."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def pck_counts(
    pred: Float[Tensor, "*batch 2"],
    target: Float[Tensor, "*batch 2"],
    visible: Bool[Tensor, " *batch"],
    threshold_px: float,
) -> tuple[Int[Tensor, ""], Int[Tensor, ""]]:
    """Count visible points, and those predicted strictly within ``threshold_px`` of the truth.

    Args:
        pred: Pixels (x, y); a NaN prediction is a miss.
        target: Pixels (x, y) of the same image.
        visible: Ground truth, True = seen; other entries are not looked at.
        threshold_px: Euclidean distance in pixels.

    Returns:
        Hits and the number of visible points.
    """
    distance = torch.linalg.vector_norm(pred.float() - target.float(), dim=-1)
    return ((distance < threshold_px) & visible).sum(), visible.sum()


def pck(
    pred: Float[Tensor, "*batch 2"],
    target: Float[Tensor, "*batch 2"],
    visible: Bool[Tensor, " *batch"],
    threshold_px: float,
) -> Float[Tensor, ""]:
    """Return the share of visible points predicted strictly within ``threshold_px``, NaN when none is visible.

    Every visible point weighs the same. Arguments as in ``pck_counts``.

    Example:
        >>> import torch
        >>> target = torch.zeros(4, 2)
        >>> pred = torch.tensor([[0.0, 0.0], [7.99, 0.0], [8.0, 0.0], [20.0, 0.0]])
        >>> pck(pred, target, torch.tensor([True, True, True, False]), threshold_px=8.0)
        tensor(0.6667)

    Source: the strict inequality and the visible-only denominator of TAP-Vid (Doersch et al. 2022, section 3.2).
    """
    hits, total = pck_counts(pred, target, visible, threshold_px)
    return hits / total
