"""Frames between two frames, without weights: what motion smoothness compares the real middle frame with."""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.sampling import bilinear_sample
from mvt4g.metrics.networks.frozen_net import FrozenNet


def linear_midpoint(
    before: Float[Tensor, "n 3 h w"],
    after: Float[Tensor, "n 3 h w"],
) -> Float[Tensor, "n 3 h w"]:
    """Return the mean of two frames: right where nothing moves, a double exposure where something does."""
    return (before + after) / 2


class FlowMidpoint(nn.Module):
    """Warps both frames half-way along the optical flow between them and averages what is inside.

    Args:
        flow: Takes frames in [0, 1] and those they move to, (n 3 h w) each, to the motion (x, y) in pixels (n 2 h w).

    Source:
        Super SloMo (Jiang et al., CVPR 2018), eq. 4 at t = 1/2, without its learnt refinement and visibility.
    """

    def __init__(
        self, flow: Callable[[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]], Float[Tensor, "n 2 h w"]]
    ) -> None:
        super().__init__()
        self.flow = FrozenNet(flow)

    def forward(
        self,
        before: Float[Tensor, "n 3 h w"],
        after: Float[Tensor, "n 3 h w"],
    ) -> Float[Tensor, "n 3 h w"]:
        """Return the frames half-way."""
        forward = self.flow(before, after)
        backward = self.flow(after, before)
        # Eq. 4 at t = 1/2: the flow from the middle to the frame before is (backward - forward) / 4.
        to_before = (backward - forward) / 4
        from_before, in_before = _fetch(before, to_before)
        from_after, in_after = _fetch(after, -to_before)
        weight = in_before + in_after
        blended = (from_before * in_before + from_after * in_after) / weight.clamp(min=1)
        return torch.where(weight > 0, blended, linear_midpoint(before, after))


def _fetch(
    picture: Float[Tensor, "n 3 h w"], flow: Float[Tensor, "n 2 h w"]
) -> tuple[Float[Tensor, "n 3 h w"], Float[Tensor, "n 1 h w"]]:
    """Read a picture where the flow of each pixel points, and tell (1 or 0) whether that is inside it."""
    height, width = picture.shape[-2:]
    there = pixel_centres(height, width, device=flow.device) + rearrange(flow, "n xy h w -> n h w xy")
    inside = ((there >= 0) & (there <= there.new_tensor([width, height]))).all(dim=-1)
    read = bilinear_sample(picture, rearrange(there, "n h w xy -> n (h w) xy"))
    pixels = rearrange(read, "n (h w) c -> n c h w", h=height)
    return pixels, rearrange(inside, "n h w -> n 1 h w").to(picture.dtype)
