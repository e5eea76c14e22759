"""A block transform whose blocks overlap, so that what a network gets wrong shows no blocks."""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mvt4g.models.codec import PatchCodec, cosine_transform
from mvt4g.ranges import Side, Width
from mvt4g.types import InputError

BORDER_GAIN = math.sqrt(2)
"""By how much the filter before the transform enlarges the step at a border, the one after it shrinks it."""
GAIN = 1.1
"""Deviation of the default's latents over that of ``PatchCodec(8, 64)``, on the clips behind ``DEVIATIONS``."""


class LappedCodec(PatchCodec):
    """Lapped block cosine transform: ``PatchCodec`` between two filters over the borders of its blocks.

    Each filter works on the ``block`` pixels about a border, half of them on either side. What they have in common
    passes; the step between the sides is enlarged before the cosine transform and smoothed after its inverse. So every
    basis function reaches over two blocks on each side and fades out, and a block whose mean is wrong shows as a soft
    patch, not as a square. Flat colour is still the mean alone, and keeping all is lossless.

    With ``block`` 8 a latent is one token of a DiT of patch 1, as 2x2 latents of ``PatchCodec()`` are at patch 2: the
    same number of tokens, and of numbers in each. experiments/codec has the two side by side.

    Args:
        block: Pixels between two latents; even.
        keep: Coefficients kept of ``3 * block**2``, the number of channels.

    Source: T. D. Tran, J. Liang, C. Tu, "Lapped transform via time-domain pre- and post-filtering", IEEE Trans. Signal
    Processing 51(6), 2003; the gain at borders is Malvar's (IEEE Trans. Signal Processing 46(4), 1998).
    """

    before: Tensor
    after: Tensor

    def __init__(self, block: Side = 8, keep: Width = 64) -> None:
        if block % 2:
            raise InputError(f"block: got {block}, want an even number: half of it lies on either side of a border")
        super().__init__(block, keep)
        before, after = border_filters(block)
        self.register_buffer("before", before.float(), persistent=False)
        self.register_buffer("after", after.float(), persistent=False)

    @property
    def identity(self) -> str:
        """The settings."""
        return f"LappedCodec block={self.grid.spatial_stride} keep={self.grid.channels}"

    def encode(self, video: Float[Tensor, "*b t 3 h w"]) -> Float[Tensor, "*b d t lh lw"]:
        """Return the latents of a video in [0, 1], fp32.

        Raises:
            InputError: If height or width is no multiple of ``block``.
        """
        self.check_size(video)
        return super().encode(over_borders(video.float(), self.before)) / GAIN

    def decode(self, latents: Float[Tensor, "*b d t lh lw"]) -> Float[Tensor, "*b t 3 h w"]:
        """Return the video of latents, cut to [0, 1], fp32."""
        return over_borders(self.decode_uncut(GAIN * latents.float()), self.after).clamp(0, 1)


def border_filters(block: int) -> tuple[Float[Tensor, "n n"], Float[Tensor, "n n"]]:
    """Return what is done to the ``block`` pixels about a border before the transform, and its inverse, float64.

    The pixels are turned into halves of sums and differences of those that mirror each other at the border, the
    differences into ``rotation``'s, and all back.
    """
    half = block // 2
    one = torch.eye(half, dtype=torch.float64)
    mirror = one.flip(0)
    sums = torch.cat([one, mirror], 1)
    differences = torch.cat([mirror, -one], 1)
    mirrored = torch.cat([sums, differences])  # twice its own inverse
    gain = torch.ones(half, dtype=torch.float64)
    gain[0] = BORDER_GAIN
    # V = J C_II^T diag(sqrt 2, 1, ...) C_IV J: the paper's closed form of the differences' rotation.
    rotation = mirror @ cosine_transform(half).T @ torch.diag(gain) @ _cosine_transform_4(half) @ mirror
    before = mirrored @ torch.block_diag(one, rotation) @ mirrored / 2
    after = mirrored @ torch.block_diag(one, torch.linalg.inv(rotation)) @ mirrored / 2
    return before, after


def over_borders(
    video: Float[Tensor, "*b h w"],
    border: Float[Tensor, "n n"],
) -> Float[Tensor, "*b h w"]:
    """Return a video whose pixels about each inner border of its blocks are replaced by ``border`` times themselves."""
    with torch.autocast(video.device.type, enabled=False):
        return _over_borders_of_last(_over_borders_of_last(video, border).mT, border).mT


def _over_borders_of_last(
    video: Float[Tensor, "*b h w"],
    border: Float[Tensor, "n n"],
) -> Float[Tensor, "*b h w"]:
    """Do so along the last axis: windows of a block's length, half a block from the edges, tile what lies between."""
    half = len(border) // 2
    first, inner, last = video.tensor_split((half, video.shape[-1] - half), dim=-1)
    windows = rearrange(inner, "... (window n) -> ... window n", n=len(border))
    replaced = (windows @ border.T).flatten(-2)
    return torch.cat([first, replaced, last], dim=-1)


def _cosine_transform_4(size: int) -> Float[Tensor, "n n"]:
    """Return the orthonormal DCT-IV, a row a frequency."""
    place = torch.arange(size, dtype=torch.float64) + 0.5
    return torch.cos(math.pi * place[:, None] * place / size) * math.sqrt(2 / size)
