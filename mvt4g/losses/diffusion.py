"""The denoising loss."""

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor, nn


class DiffusionLoss(nn.Module):
    """Mean squared error of the velocity over the target's latents, weighted by noise level.

    Source: MVTrack4Gen Eq. 17; the weights are ReCamMaster's.
    """

    def forward(
        self,
        velocity: Float[Tensor, "b c f h w"],
        target_velocity: Float[Tensor, "b c f h w"],
        weight: Float[Tensor, " b"],
    ) -> Float[Tensor, " b"]:
        """Return each clip's loss, fp32; the target view alone is denoised, so the reference has no term.

        Args:
            weight: Of each clip's noise level.
        """
        with torch.autocast(velocity.device.type, enabled=False):
            squared = (velocity.float() - target_velocity.float()).square()
            return weight.float() * reduce(squared, "b c f h w -> b", "mean")
