"""Attention led to epipolar lines in sampling alone: the epipolar prior for a model that was trained without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from mvt4g.models.conditioning.epipolar import EpipolarConditioning
from mvt4g.ranges import Natural, NonNegative, Positive, Share, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class EpipolarGuidance:
    """How much sampling leads attention between the views to epipolar lines.

    ``strength * exp(-d^2 / 2 width^2)`` is added to the logits between tokens of the two views at the same time, d the
    Sampson distance of their centres. Nothing is trained: every head of a block has the same strength.

    Attributes:
        strength: 0 = nothing is added, and the result is that without it, bit for bit.
        noise_levels: It acts in sampling steps between these two sigmas.
        blocks: 0-based blocks in which it acts; None = all.
        width: Of the band about a line, tokens.
        form: "map": a map over all tokens, for small sequences. "lines": computed inside FlexAttention, so that no map
            is stored.
    """

    strength: NonNegative
    noise_levels: tuple[Share, Share] = (0.0, 1.0)
    blocks: Sequence[Natural] | None = None
    width: Positive = 0.5
    form: Literal["map", "lines"] = "map"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range.
        """
        where = "evaluation.guidance.epipolar"
        check_ranges(self, where)
        low, high = self.noise_levels
        if not 0 <= low < high <= 1:
            raise InputError(f"{where}.noise_levels: got {self.noise_levels}, want [least, largest] in [0, 1]")

    def acts(self, sigma: Float[Tensor, " b"]) -> bool:
        """Return whether it changes anything at a noise level, the same for all clips."""
        low, high = self.noise_levels
        # Settled without a look at sigma, which would wait for the device.
        return self.strength != 0 and ((low, high) == (0, 1) or low <= float(sigma[0]) <= high)

    def conditioning(self) -> EpipolarConditioning:
        """Return the prior that acts so."""
        return EpipolarConditioning(self.width, self.strength, blocks=self.blocks, form=self.form)
