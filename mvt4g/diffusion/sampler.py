"""From noise to a sample along the learned velocity."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

VelocityFn = Callable[[Tensor, Tensor], Tensor]
"""Latents (b ...) and sigma (b) to the velocity (b ...)."""


@torch.no_grad()
def sample(
    velocity_fn: VelocityFn,
    noise: Float[Tensor, " b *shape"],
    sigmas: Float[Tensor, " n"],
    unconditional_fn: VelocityFn | None = None,
    guidance_scale: float = 1.0,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Float[Tensor, " b *shape"]:
    """Integrate by Euler steps.

    Args:
        velocity_fn: The conditional velocity.
        noise: Standard normal, at ``sigmas[0]`` = 1.
        sigmas: Falling noise levels; the last, 0, is where the sample is.
        unconditional_fn: The velocity without the condition that guidance strengthens.
        guidance_scale: 1 = the conditional velocity alone; above, it is extrapolated away from the unconditional one.
        on_step: Called with (steps done, latents) after every step.
    """
    latents = noise
    for step, (sigma, next_sigma) in enumerate(zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True)):
        level = torch.full((len(latents),), sigma, device=latents.device)
        velocity = velocity_fn(latents, level)
        if unconditional_fn is not None and guidance_scale != 1:
            velocity = torch.lerp(unconditional_fn(latents, level), velocity, guidance_scale)
        latents = latents + (next_sigma - sigma) * velocity
        if on_step is not None:
            on_step(step + 1, latents)
    return latents
