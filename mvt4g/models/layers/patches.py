"""Latents to tokens and back: the patch embedding and the head of Wan2.1's DiT."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.models.layers.modulation import modulated_norm


class PatchEmbedding(nn.Conv3d):
    """A convolution whose stride is its kernel, computed as the matrix product that it is (faster, same parameters).

    Attributes:
        more_channels: Last channels whose product is added by itself: weights of zero then change no bit of the rest.
    """

    def __init__(self, in_channels: int, dim: int, patch_size: tuple[int, int, int]) -> None:
        super().__init__(in_channels, dim, kernel_size=patch_size, stride=patch_size)
        self.patch_size = patch_size
        self.more_channels = 0

    def forward(self, latents: Float[Tensor, "b c f h w"]) -> Float[Tensor, "b tf th tw d"]:
        """Return one token a patch, in the dtype of the weights, which the residual stream then keeps."""
        frames, height, width = self.patch_size
        # Channel, frame, row, column: the order in which a Conv3d's weights lie.
        patches = rearrange(latents, "b c (f pf) (h ph) (w pw) -> b f h w (c pf ph pw)", pf=frames, ph=height, pw=width)
        patches = patches.to(self.weight.dtype)
        weight = self.weight.flatten(1)
        more = self.more_channels * frames * height * width
        if not more:
            return F.linear(patches, weight, self.bias).to(weight.dtype)
        tokens = F.linear(patches[..., :-more], weight[:, :-more], self.bias)
        # A product over all columns would be rounded in another order, of zeros too.
        return (tokens + F.linear(patches[..., -more:], weight[:, -more:])).to(weight.dtype)


class Head(nn.Module):
    """Modulated norm and the projection of every token to its patch of latents."""

    def __init__(
        self,
        dim: int,
        out_channels: int,
        patch_size: tuple[int, int, int],
        eps: float,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.eps = eps
        self.head = nn.Linear(dim, out_channels * patch_size[0] * patch_size[1] * patch_size[2])
        self.modulation = nn.Parameter(torch.randn(1, 2, dim) * dim**-0.5)

    def forward(
        self,
        tokens: Float[Tensor, "b tf th tw d"],
        time: Float[Tensor, "b d"],
    ) -> Float[Tensor, "b c f h w"]:
        """Return fp32 latents; channels are the fastest axis of a token's output."""
        shift, scale = rearrange(self.modulation.float() + time[:, None], "b two d -> two b 1 1 1 d")
        patches = self.head(modulated_norm(tokens, shift, scale, self.eps)).float()
        frames, height, width = self.patch_size
        return rearrange(patches, "b f h w (pf ph pw c) -> b c (f pf) (h ph) (w pw)", pf=frames, ph=height, pw=width)
