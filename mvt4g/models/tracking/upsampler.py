"""Token features -> finer feature maps for correlation, and their reductions to coarser scales."""

from typing import Literal

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class FeatureUpsampler(nn.Module):
    """Takes the features of one token to a block of factor x factor cells, normalised.

    A linear projection, the same for all cells of the block, carries the token's content; an MLP adds to it: by pixel
    shuffle (what differs between the cells of a block, so that a token may know where in it things are), or without it
    (the block's cells are then bilinear between tokens). The MLP starts near zero, so that two upsamplers of equal
    weights first give correlations that mirror the dot products of the tokens themselves. Features are normalised to
    mean 0 and unit length over channels and scaled by a learned weight (a temperature per channel, 1 at first).

    Before that, what all cells of a clip share is taken away. Attention never sees it in keys (it adds the same to all
    logits of a row, which softmax forgets), but it may be most of a key's length, as it is in trained DiTs: normalised
    with it, all features point the same way, and correlations are one constant that hides what tells places apart.
    """

    def __init__(
        self,
        token_dim: int,
        channels: int,
        factor: int,
        hidden: int,
        upsampling: Literal["shuffle", "bilinear"] = "shuffle",
        centred: bool = True,
    ) -> None:
        """Set the sizes; ``factor`` 1 keeps the token's own resolution, ``centred`` takes away what all cells share."""
        super().__init__()
        self.factor = factor
        self.upsampling = upsampling
        self.centred = centred
        self.project = nn.Linear(token_dim, channels, bias=False)
        self.expand = nn.Linear(token_dim, hidden)
        self.detail = nn.Linear(hidden, channels * factor**2 if upsampling == "shuffle" else channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6, bias=False)
        nn.init.constant_(self.norm.weight, channels**-0.5)
        nn.init.orthogonal_(self.project.weight)
        nn.init.trunc_normal_(self.detail.weight, std=0.02)
        nn.init.zeros_(self.detail.bias)

    def forward(self, tokens: Float[Tensor, "b n h w d"]) -> Float[Tensor, "b n fine_h fine_w c"]:
        """Return the maps of the n frames of every clip: factor * h rows and factor * w columns, features last."""
        tokens = tokens.to(self.project.weight.dtype)
        detail = self.detail(F.gelu(self.expand(tokens)))
        if self.upsampling == "bilinear":
            coarse = self._centred(detail + self.project(tokens))
            coarse = rearrange(coarse, "b n h w c -> (b n) c h w")
            fine = F.interpolate(coarse, scale_factor=self.factor, mode="bilinear", align_corners=False)
            return self.norm(rearrange(fine, "(b n) c h w -> b n h w c", b=len(tokens)))
        detail = rearrange(detail, "b n h w (cell c) -> b n h w cell c", cell=self.factor**2)
        features = self.norm(self._centred(detail + self.project(tokens)[..., None, :]))
        return rearrange(features, "b n h w (y x) c -> b n (h y) (w x) c", y=self.factor)

    def _centred(self, features: Float[Tensor, "b *cells c"]) -> Float[Tensor, "b *cells c"]:
        if not self.centred:
            return features
        # Over views, frames and cells of a clip, channel by channel.
        cells = tuple(range(1, features.ndim - 1))
        return features - features.mean(dim=cells, keepdim=True)


def reduced(maps: Float[Tensor, "m h w d"], scale: int) -> Float[Tensor, "m small_h small_w d"]:
    """Average maps over areas: 1/scale of the rows and columns, rounded, at least one; cells tile the same image."""
    if scale == 1:
        return maps
    size = [max(1, round(side / scale)) for side in maps.shape[1:3]]
    channels_first = rearrange(maps, "m h w d -> m d h w")
    small = F.interpolate(channels_first, size=size, mode="area")
    return rearrange(small, "m d h w -> m h w d").contiguous()
