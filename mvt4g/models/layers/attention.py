"""Self-attention over all tokens of all views, which hands out its queries and keys; cross-attention to text."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.geometry.rotary import rotate_pairs


class QueryKey(NamedTuple):
    """Queries and keys of one layer after qk-norm and before rotary embedding, in the order of the layer's tokens."""

    query: Float[Tensor, "b f h w k d"]
    key: Float[Tensor, "b f h w k d"]


class RMSNorm(nn.Module):
    """Root-mean-square norm over the full width, all heads together; fp32 inside, the tokens' dtype outside."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, tokens: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Normalise the last axis."""
        return F.rms_norm(tokens.float(), tokens.shape[-1:], self.weight.float(), self.eps).to(tokens.dtype)


class Attention(nn.Module):
    """Projections q, k, v, o with bias and q/k RMSNorm over the full width, as in both attentions of Wan2.1."""

    def __init__(self, dim: int, num_heads: int, eps: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(dim, eps)
        self.norm_k = RMSNorm(dim, eps)

    def split_heads(self, features: Float[Tensor, "*batch kd"]) -> Float[Tensor, "*batch k d"]:
        """Split the width into heads."""
        return rearrange(features, "... (k d) -> ... k d", k=self.num_heads)


class SelfAttention(Attention):
    """Every token attends to every token of every frame and view."""

    def forward(
        self,
        tokens: Float[Tensor, "b f h w kd"],
        angles: Float[Tensor, "#b f h w #k half_d"],
        num_frames: int | None = None,
    ) -> tuple[Float[Tensor, "b n h w kd"], QueryKey]:
        """Attend.

        Args:
            tokens: Modulated and with the cameras added.
            angles: What each feature pair of query and key is rotated by, radians.
            num_frames: Let only this many leading frames attend (to all); None = all.

        Returns:
            The update of the tokens that attend, and the queries and keys of all.
        """
        query = self.split_heads(self.norm_q(self.q(tokens)))
        key = self.split_heads(self.norm_k(self.k(tokens)))
        value = self.split_heads(self.v(tokens))
        rotated = rotate_pairs(query[:, :num_frames], angles[:, :num_frames])
        attended = _attend(rotated, rotate_pairs(key, angles), value)
        return self.o(attended), QueryKey(query, key)


class CrossAttention(Attention):
    """Every token attends to the text; padding is attended too, as in Wan2.1, which was trained so."""

    def forward(
        self, tokens: Float[Tensor, "b f h w kd"], text: Float[Tensor, "b l kd"]
    ) -> Float[Tensor, "b f h w kd"]:
        """Return the update of the tokens."""
        query = self.split_heads(self.norm_q(self.q(tokens)))
        key = self.split_heads(self.norm_k(self.k(text)))
        return self.o(_attend(query, key, self.split_heads(self.v(text))))


def _attend(
    query: Float[Tensor, "b f h w k d"], key: Float[Tensor, "b *keys k d"], value: Float[Tensor, "b *keys k d"]
) -> Float[Tensor, "b f h w kd"]:
    _, frames, height, width, _, _ = query.shape
    query, key, value = (rearrange(part, "b ... k d -> b k (...) d") for part in (query, key, value))
    attended = F.scaled_dot_product_attention(query, key.to(query.dtype), value.to(query.dtype))
    return rearrange(attended, "b k (f h w) d -> b f h w (k d)", f=frames, h=height, w=width)
