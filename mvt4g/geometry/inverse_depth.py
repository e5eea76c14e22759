"""Scale and shift of inverse depth: what a network for single images leaves open, found from points of known depth."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LEAST_FOR_SCALE = 4
"""Points from which on a scale is looked for."""
LEAST_FOR_SHIFT = 12
"""Points from which on a shift is looked for beside it."""
LEAST_SPREAD = 0.05
"""Spread of the given inverse depths (5th to 95th percentile), as a share of their median, under which no shift can be
told from a scale."""
_TRIALS = 256
_ROUNDS = 10
_OUTLIER = 2.5
"""Robust standard deviations beyond which a point does not count in the final fit."""
_SIGMA_OF_MEDIAN = 1.4826
"""Standard deviation of a normal law whose median absolute value is 1."""
_ROUNDING = 1e-6
"""Relative error that counts as none: exact points would otherwise be called outliers of one another."""


@dataclass(frozen=True)
class InverseDepthFit:
    """``1 / depth = scale / given + shift``.

    Attributes:
        scale: Over 0.
        shift: Per scene unit.
        residual: Median relative error of inverse depth over all points; NaN = nothing was fitted.
        inliers: Share of points that the final fit counts.
        num_points: That it was fitted to.
    """

    scale: float = 1.0
    shift: float = 0.0
    residual: float = float("nan")
    inliers: float = 0.0
    num_points: int = 0

    @property
    def is_known(self) -> bool:
        """Whether anything was fitted."""
        return self.num_points > 0

    def apply(self, depth: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return aligned depth; where it is not positive and finite (a shift may put it behind infinity) 0, none."""
        known = depth.isfinite() & (depth > 0)
        inverse = self.scale / torch.where(known, depth, 1.0).double() + self.shift
        known = known & (inverse > 0)
        aligned = torch.where(inverse > 0, inverse, 1.0).reciprocal().to(depth.dtype)
        return torch.where(known & aligned.isfinite(), aligned, 0.0)


def fit_inverse_depth(given: Float[Tensor, " n"], true: Float[Tensor, " n"], seed: int = 0) -> InverseDepthFit:
    """Fit scale and shift of inverse depth robustly: up to almost half of the points may be wrong.

    Lines through two random points are tried, and the one of least median relative error is taken (least median of
    squares); then weighted least squares on the points that fit it. Errors are relative to the true inverse depth, so
    that near points do not outweigh far ones. Where the given depths are all alike, or the points few, only the scale
    is fitted: the median of the ratios.

    Args:
        given: Depths to be aligned; points without a positive finite depth in either are left out.
        true: What they should be, scene units.
        seed: Of the random pairs.

    Returns:
        The fit; scale 1, shift 0 and ``num_points`` 0 for fewer than ``LEAST_FOR_SCALE`` points.

    Source: Rousseeuw, Least median of squares regression, JASA 1984; Ranftl et al., MiDaS, PAMI 2022, section 5
        (scale and shift of inverse depth).
    """
    there = given.isfinite() & true.isfinite() & (given > 0) & (true > 0)
    source = given[there].double().reciprocal()
    target = true[there].double().reciprocal()
    if len(source) < LEAST_FOR_SCALE:
        return InverseDepthFit()
    scale = float((target / source).median())
    shift = 0.0
    low, middle, high = source.quantile(source.new_tensor([0.05, 0.5, 0.95])).tolist()
    if len(source) >= LEAST_FOR_SHIFT and high - low > LEAST_SPREAD * middle:
        scale, shift = _best_line(source, target, (scale, shift), seed)
        scale, shift = _refined(source, target, scale, shift)
    error = _relative_error(source, target, scale, shift)
    inlier = error <= _limit(error)
    return InverseDepthFit(scale, shift, float(error.median()), float(inlier.double().mean()), len(source))


def _best_line(
    source: Float[Tensor, " n"], target: Float[Tensor, " n"], start: tuple[float, float], seed: int
) -> tuple[float, float]:
    """Return the line of least median relative error among ``start`` and lines through two of the points."""
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randint(len(source), (2, _TRIALS), generator=generator)
    first = source[pairs[0]]
    apart = first - source[pairs[1]]
    usable = apart.abs() > 1e-12
    slopes = (target[pairs[0]] - target[pairs[1]]) / torch.where(usable, apart, 1.0)
    shifts = target[pairs[0]] - slopes * first
    best = start
    least = float(_relative_error(source, target, *start).median())
    for slope, shift in zip(slopes[usable].tolist(), shifts[usable].tolist(), strict=True):
        if slope <= 0:  # farther would become nearer
            continue
        error = float(_relative_error(source, target, slope, shift).median())
        if error < least:
            best = (slope, shift)
            least = error
    return best


def _refined(
    source: Float[Tensor, " n"], target: Float[Tensor, " n"], scale: float, shift: float
) -> tuple[float, float]:
    """Return the least-squares line of relative errors over the points that fit, found anew a few times."""
    for _ in range(_ROUNDS):
        error = _relative_error(source, target, scale, shift)
        inlier: Bool[Tensor, " n"] = error <= _limit(error)
        rows = torch.stack([source, torch.ones_like(source)], dim=-1)[inlier] / target[inlier, None]
        # Divided by the target, every equation reads a / (given * true) + b / true = 1.
        found = torch.linalg.lstsq(rows, torch.ones_like(rows[:, :1])).solution[:, 0].tolist()
        if not found[0] > 0:
            break
        scale, shift = found
    return scale, shift


def _relative_error(
    source: Float[Tensor, " n"], target: Float[Tensor, " n"], scale: float, shift: float
) -> Float[Tensor, " n"]:
    return (scale * source + shift - target).abs() / target


def _limit(error: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Return the largest error of a point that counts."""
    return _OUTLIER * _SIGMA_OF_MEDIAN * error.median() + _ROUNDING
