"""What a training step hides of the conditions, so that the network also works with less: for guidance, and for drift.

ReCamMaster's users ask for it; its paper has it, its released code does not.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.ranges import Share, check_ranges


class HiddenConditions(NamedTuple):
    """What is hidden from each clip of a batch.

    ``drop_text`` goes to the backbone; the reference's latents are to be noised to ``reference_sigma`` (0 = clean, 1 =
    none of it is left), as the target's are to theirs.
    """

    drop_text: Bool[Tensor, " b"]
    reference_sigma: Float[Tensor, " b"]


@dataclass(frozen=True)
class ConditionDropout:
    """How much is hidden; nothing by default.

    Attributes:
        text: Probability that a clip gets the null text instead of its own.
        reference: Probability that pure noise stands in for a clip's reference.
        reference_noise: Any other clip's reference is noised to a sigma drawn evenly from 0 to this.
    """

    text: Share = 0.0
    reference: Share = 0.0
    reference_noise: Share = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "condition_dropout")

    def draw(self, batch: int, generator: torch.Generator) -> HiddenConditions:
        """Draw for every clip of a batch; the generator moves on alike whatever the settings."""
        text, reference, level = torch.rand(3, batch, generator=generator)
        sigma = torch.where(reference < self.reference, 1.0, self.reference_noise * level)
        return HiddenConditions(text < self.text, sigma)
