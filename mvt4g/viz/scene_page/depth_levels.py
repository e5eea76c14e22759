"""Depth maps as pictures that a browser decodes exactly: 16 bits of log depth, and what the page's filters go by.

    red, green   high and low byte of a level: depth = nearest * exp(step (level - 1)); 0 = none
    blue         confidence (high half: 16ths of the view's pixels that are less confident) and edge (low half)

The largest relative error of depth is exp(step / 2) - 1. Levels are even in log depth, not in inverse depth, so that
near and far have the same relative error.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

MAX_LEVEL = 65535
CONFIDENCE_LEVELS = 16
MAX_EDGE_LEVEL = 15
EDGE_STEP = 0.45
"""Of log2 of the jump between edge levels: level 15 is a jump of 1 or more, level 0 one of 0.009 or less."""
_SLOPE_SHARE = 0.25
"""Weight of the plain spread of inverse depth in the jump."""


@dataclass(frozen=True)
class DepthScale:
    """How depths of one view become levels.

    Attributes:
        nearest: Depth of level 1, scene units.
        step: Of log depth from a level to the next.
        num_levels: Levels up to the farthest depth.
    """

    nearest: float
    step: float
    num_levels: int

    @classmethod
    def of(cls, depth: Float[Tensor, "t h w"], max_error: float) -> "DepthScale":
        """Return the scale of a view's depths (0 = none) that holds a relative error, if 16 bits allow it."""
        there = depth[depth > 0]
        nearest, farthest = float(there.min()), float(there.max())
        span = math.log(farthest / nearest)
        # Half a step is the largest error; a range of many decades needs a coarser step to fit.
        step = max(2 * math.log1p(max_error), span / (MAX_LEVEL - 2))
        return cls(nearest, step, round(span / step) + 1)

    def levels(self, depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
        """Return whole numbers, 0 where there is no depth."""
        there = depth > 0
        log_ratio = (torch.where(there, depth, self.nearest).double() / self.nearest).log()
        return torch.where(there, 1 + (log_ratio / self.step).round(), 0.0)

    def depth(self, levels: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
        """Return depths as the page computes them, 0 where there is none."""
        return torch.where(levels > 0, self.nearest * ((levels - 1) * self.step).exp(), 0.0)


def depth_picture(
    depth: Float[Tensor, "h w"], scale: DepthScale, confidence: Float[Tensor, "h w"] | None = None
) -> tuple[UInt8[ndarray, "h w 3"], float]:
    """Return the picture of a depth map and the largest relative error of its depths.

    Args:
        depth: z-depth, scene units; 0 = none.
        scale: Of the view.
        confidence: Share of the view's pixels that are less confident, see ``confidence_ranks``.
    """
    levels = scale.levels(depth)
    there = depth > 0
    error = (scale.depth(levels)[there] / depth[there].double() - 1).abs()
    filters = edge_levels(depth)
    if confidence is not None:
        filters = filters + 16 * (confidence * CONFIDENCE_LEVELS).floor().clamp(0, CONFIDENCE_LEVELS - 1)
    # Browsers decode 8 bits a channel, of 16-bit files too: a level is spread over two.
    high = (levels / 256).floor()
    low = levels % 256
    blue = torch.where(there, filters, 0.0).double()
    picture = torch.stack([high, low, blue], dim=-1).to(torch.uint8)
    return picture.numpy(), float(error.max()) if len(error) else 0.0


def edge_levels(depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Return how much inverse depth jumps about each pixel, as whole levels 0 to 15.

    The jump is the larger of two numbers, both as a share of the pixel's own inverse depth: its distance from the mean
    of two opposite neighbours, which is 0 on a plane however slanted; and a quarter of the spread over 3 x 3 pixels,
    which finds edges that a depth model has smeared over some pixels. A neighbour without a depth counts as the pixel.
    """
    there = depth > 0
    inverse = torch.where(there, 1 / depth.where(there, 1.0), 0.0)
    near, far = _spread(inverse, there)
    jump = _SLOPE_SHARE * (near - far)
    for axis in (0, 1):
        jump = torch.maximum(jump, _bend(inverse, there, axis))
    jump = jump / inverse.where(there, 1.0)
    level = MAX_EDGE_LEVEL + jump.clamp(min=1e-6).log2() / EDGE_STEP
    return torch.where(there, level.round().clamp(0, MAX_EDGE_LEVEL), 0.0)


def confidence_ranks(confidence: Float[Tensor, "t h w"], depth: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w"]:
    """Return the share of the view's pixels with a depth that are no more confident, in 16ths rounded down.

    A constant confidence ranks as the highest: no filter leaves it out.
    """
    known = confidence[depth > 0].float()
    sample = known[:: max(1, len(known) // 1_000_000)]  # quantiles of a million are near enough
    shares = torch.arange(1, CONFIDENCE_LEVELS) / CONFIDENCE_LEVELS
    borders = torch.quantile(sample, shares)
    return torch.searchsorted(borders, confidence.contiguous(), right=True) / CONFIDENCE_LEVELS


def _spread(
    inverse: Float[Tensor, "h w"], there: Bool[Tensor, "h w"]
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Return the largest and the smallest inverse depth of the 3 x 3 pixels about each that have one."""
    # 0 stands for none, which a maximum passes over; a minimum needs infinity there.
    near = F.max_pool2d(inverse[None], 3, stride=1, padding=1)[0]
    known = torch.where(there, inverse, torch.inf)
    far = -F.max_pool2d(-known[None], 3, stride=1, padding=1)[0]
    return near, torch.where(there, far, near)


def _bend(inverse: Float[Tensor, "h w"], there: Bool[Tensor, "h w"], axis: int) -> Float[Tensor, "h w"]:
    """Return the distance of each pixel from the mean of its two neighbours along an axis."""
    total = torch.zeros_like(inverse)
    for shift in (-1, 1):
        neighbour = torch.roll(inverse, shift, axis)
        is_known = torch.roll(there, shift, axis)
        # What comes in from the opposite border is no neighbour.
        edge = -1 if shift == -1 else 0
        is_known = is_known.index_fill(axis, torch.tensor([edge % inverse.shape[axis]]), False)
        total += torch.where(is_known, neighbour, inverse)
    return (0.5 * total - inverse).abs()
