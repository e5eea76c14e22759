"""The transformer that refines tracks: attention over time, over views, and between points by way of virtual points."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class AttentionBlock(nn.Module):
    """Pre-norm attention (to itself, or to a context) and an MLP, both residual."""

    def __init__(self, width: int, num_heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.norm_mlp = nn.LayerNorm(width, elementwise_affine=False)
        self.to_query = nn.Linear(width, width)
        self.to_key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_ratio * width),
            nn.GELU(),
            nn.Linear(mlp_ratio * width, width),
        )

    def forward(
        self,
        x: Float[Tensor, "b l d"],
        context: Float[Tensor, "b m d"] | None = None,
    ) -> Float[Tensor, "b l d"]:
        """Attend from ``x`` to ``context``, or to ``x`` itself."""
        normed = self.norm(x)
        source = normed if context is None else self.norm(context)
        query = rearrange(self.to_query(normed), "b l (k d) -> b k l d", k=self.num_heads)
        key, value = rearrange(self.to_key_value(source), "b l (two k d) -> two b k l d", two=2, k=self.num_heads)
        attended = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(rearrange(attended, "b k l d -> b l (k d)"))
        return x + self.mlp(self.norm_mlp(x))


class RefinerBlock(nn.Module):
    """One layer: time, views, then points to virtual points, among these, and back."""

    def __init__(self, width: int, num_heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.time = AttentionBlock(width, num_heads, mlp_ratio)
        self.view = AttentionBlock(width, num_heads, mlp_ratio)
        self.gather = AttentionBlock(width, num_heads, mlp_ratio)
        self.exchange = AttentionBlock(width, num_heads, mlp_ratio)
        self.scatter = AttentionBlock(width, num_heads, mlp_ratio)

    def forward(
        self,
        points: Float[Tensor, "b v f n d"],
        virtual: Float[Tensor, "#b #v #f m d"],
    ) -> tuple[Float[Tensor, "b v f n d"], Float[Tensor, "b v f m d"]]:
        """Refine points and virtual points; axes of size 1 of the latter mean the same everywhere."""
        size = points.shape[:3]
        points = self._over_time_and_views(points)
        virtual = self._over_time_and_views(virtual)
        real = rearrange(points, "b v f n d -> (b v f) n d")
        drawn = rearrange(virtual.expand(*size, -1, -1), "b v f m d -> (b v f) m d")
        drawn = self.exchange(self.gather(drawn, real))
        real = self.scatter(real, drawn)
        points = real.view(*size, *real.shape[1:])
        return points, drawn.view(*size, *drawn.shape[1:])

    def _over_time_and_views(self, tokens: Float[Tensor, "b v f n d"]) -> Float[Tensor, "b v f n d"]:
        batch, views, _, points, _ = tokens.shape
        rows = self.time(rearrange(tokens, "b v f n d -> (b v n) f d"))
        rows = self.view(rearrange(rows, "(b v n) f d -> (b n f) v d", b=batch, v=views))
        return rearrange(rows, "(b n f) v d -> b v f n d", b=batch, n=points)


class Refiner(nn.Module):
    """Maps point tokens to residuals of position, visibility and confidence; any number of views, frames and points.

    Source: MV-TAP (EfficientUpdateFormer of CoTracker3 with attention over views).
    """

    def __init__(
        self,
        token_dim: int,
        width: int,
        num_heads: int,
        num_blocks: int,
        num_virtual: int,
        mlp_ratio: int,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(token_dim, width)
        self.virtual = nn.Parameter(torch.empty(num_virtual, width))
        self.blocks = nn.ModuleList(RefinerBlock(width, num_heads, mlp_ratio) for _ in range(num_blocks))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.to_residual = nn.Linear(width, 4)
        nn.init.trunc_normal_(self.virtual, std=0.5)
        nn.init.trunc_normal_(self.to_residual.weight, std=1e-3)
        nn.init.zeros_(self.to_residual.bias)

    def forward(
        self,
        tokens: Float[Tensor, "b v f n c"],
        context: Float[Tensor, "b v f n d"],
    ) -> Float[Tensor, "b v f n 4"]:
        """Return residuals (x, y, visibility, confidence).

        Args:
            tokens: What is known of each point.
            context: Added after the embedding: rays and the like, already of the refiner's width.
        """
        points = self.embed(tokens) + context
        # Until a virtual point has gathered from points it is the same in all views and frames: one stands for all.
        virtual = rearrange(self.virtual.to(points.dtype), "m d -> 1 1 1 m d")
        for block in self.blocks:
            points, virtual = block(points, virtual)
        return self.to_residual(self.norm(points))
