"""What a training step shows of the conditions, after dropout."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.models.condition_dropout import ConditionDropout
from mvt4g.types import REFERENCE


class Shown(NamedTuple):
    """The latents to train on, and which clips get the null text; None = none."""

    latents: Float[Tensor, "b v d f lh lw"]
    drop_text: Bool[Tensor, " b"] | None


def drop_conditions(
    latents: Float[Tensor, "b v d f lh lw"], dropout: ConditionDropout, flow: FlowMatching, generator: torch.Generator
) -> Shown:
    """Draw which conditions are dropped, and return what the network is shown; the target's latents stay as they are.

    Args:
        latents: Clean.
        dropout: What is hidden; nothing is drawn where it hides nothing.
        flow: How references are noised.
        generator: On the CPU.
    """
    if dropout == ConditionDropout():
        return Shown(latents, None)
    hidden = dropout.draw(len(latents), generator)
    # Only the reference is hidden: the target is noised by the diffusion itself.
    reference = latents[:, REFERENCE]
    noise = torch.randn(reference.shape, generator=generator).to(reference)
    sigma = hidden.reference_sigma.to(reference.device)
    noised = latents.clone()
    noised[:, REFERENCE] = flow.add_noise(reference, noise, sigma)
    return Shown(noised, hidden.drop_text.to(latents.device))
