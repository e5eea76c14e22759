"""How much a loss on attention counts at each noise level."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.ranges import NonNegative, Share, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class NoiseGate:
    """Weight ``(1 - sigma)^power`` for sigma in [low, high], 0 elsewhere; by default 1 everywhere, as in the paper.

    At high noise the target's tokens carry no content: what supervision teaches there is where the cameras alone say
    a point should be.

    Attributes:
        low: Least sigma that counts.
        high: Largest sigma that counts.
        power: Above 0, cleaner levels count more.
    """

    low: Share = 0.0
    high: Share = 1.0
    power: NonNegative = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "gate")
        if not 0 <= self.low < self.high <= 1:
            raise InputError(f"gate: got low {self.low} and high {self.high}, want 0 <= low < high <= 1")

    def __call__(self, sigma: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return the weight of each clip's noise level."""
        # A sigma over 1 by rounding would be a negative base, of which a fractional power is NaN.
        weight = (1 - sigma).clamp(min=0) ** self.power
        return torch.where((sigma >= self.low) & (sigma <= self.high), weight, torch.zeros_like(weight))
