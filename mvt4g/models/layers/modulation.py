"""How diffusion time reaches the tokens: its sinusoid, and norms that it shifts, scales and gates, all in fp32."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def sinusoidal_embedding(timestep: Float[Tensor, " b"], dim: int) -> Float[Tensor, "b {dim}"]:
    """Embed ``timestep`` (0 to 1000), the cosine half first, computed in float64 and returned in fp32.

    Source: Wan2.1 ``sinusoidal_embedding_1d``: frequencies ``10000**(-i / (dim / 2))``.
    """
    half = dim // 2
    frequency = 1e4 ** (-torch.arange(half, device=timestep.device).double() / half)
    phase = torch.outer(timestep.double(), frequency)
    return torch.cat([phase.cos(), phase.sin()], dim=-1).float()


def modulated_norm(
    tokens: Float[Tensor, "b *grid d"],
    shift: Float[Tensor, "b *ones d"],
    scale: Float[Tensor, "b *ones d"],
    eps: float,
) -> Float[Tensor, "b *grid d"]:
    """Return ``LayerNorm(tokens) * (1 + scale) + shift``, in fp32 inside and in the tokens' dtype outside."""
    normed = F.layer_norm(tokens.float(), tokens.shape[-1:], eps=eps)
    return torch.addcmul(shift, normed, 1 + scale).to(tokens.dtype)


def gated_add(
    tokens: Float[Tensor, "b *grid d"],
    gate: Float[Tensor, "b *ones d"],
    update: Float[Tensor, "b *grid d"],
) -> Float[Tensor, "b *grid d"]:
    """Return ``tokens + gate * update``, in fp32 inside and in the tokens' dtype outside."""
    return torch.addcmul(tokens.float(), gate, update.float()).to(tokens.dtype)


class AffineNorm(nn.LayerNorm):
    """LayerNorm with weight and bias, in fp32 inside and in the tokens' dtype outside."""

    def forward(self, tokens: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Normalise the last axis."""
        weight = self.weight.float()
        normed = F.layer_norm(tokens.float(), self.normalized_shape, weight, self.bias.float(), self.eps)
        return normed.to(tokens.dtype)
