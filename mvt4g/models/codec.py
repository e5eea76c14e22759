"""Codecs: video to latents and back, and how the latents lie over the video."""

import math
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.ranges import Side, Width, check_allocation
from mvt4g.types import InputError, LatentGrid


class Codec(nn.Module):
    """Maps video in [0, 1] to latents and back.

    Attributes:
        grid: How latents lie over the video.
    """

    grid: LatentGrid

    @property
    def identity(self) -> str:
        """What a cache of latents is told by: the same for codecs that give the same latents, and for no others."""
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, Any]:
        """How it is run, where that changes its latents a little: plain values, by name."""
        return {}

    def encode(self, video: Float[Tensor, "*b t c h w"]) -> Float[Tensor, "*b d f lh lw"]:
        """Return the latents of a video in [0, 1]."""
        raise NotImplementedError

    def decode(self, latents: Float[Tensor, "*b d f lh lw"]) -> Float[Tensor, "*b t c h w"]:
        """Return the video of latents, cut to [0, 1]."""
        raise NotImplementedError


YCBCR_FROM_RGB = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""Full-range BT.601, as in JPEG; each of Y, Cb, Cr spans [-1, 1] when RGB does."""

DEVIATIONS = (
    (1.058, 0.183, 0.061, 0.032, 0.272, 0.084, 0.043, 0.027, 0.095, 0.048, 0.032, 0.023, 0.043, 0.031, 0.024, 0.020),
    (0.766, 0.129, 0.041, 0.022, 0.186, 0.057, 0.029, 0.018, 0.064, 0.031, 0.021, 0.015, 0.028, 0.020, 0.016, 0.013),
    (0.770, 0.128, 0.041, 0.021, 0.188, 0.057, 0.029, 0.017, 0.064, 0.032, 0.021, 0.015, 0.027, 0.019, 0.016, 0.013),
)
"""Standard deviation of each coefficient of a 4x4 block (row-major over vertical, horizontal frequency) of Y, Cb and Cr
in [-1, 1], over the video of ``generate_clip(SceneSpec.tiny(), seed=0, index)`` for index 0 to 63."""


class PatchCodec(Codec):
    """Block cosine transform: no weights, and a linear, orthonormal one within each of Y, Cb and Cr.

    With ``block`` 4 and ``keep`` 16 its latents have Wan's 16 channels at a quarter of the resolution. Channels are
    sorted by frequency: by diagonal, chroma two diagonals behind luma, so that 16 are the 10 lowest of Y and 3 each of
    Cb, Cr. These are the 16 of greatest energy in the geometric mean of synthetic clips (saturated: 6, 6, 4 would be
    best) and DAVIS (13, 2, 1); they reconstruct the two at 33.6 and 31.3 dB (64 pixels square), where the best 16 for
    each alone reach 34.7 and 32.9. Keeping all is lossless.

    Args:
        block: Pixels on each side of a block, the spatial stride.
        keep: Coefficients kept of ``3 * block**2``, the number of channels.
        scale: "natural" divides all channels by one number, so that their variance is 1 on average; "whitened" divides
            each by its own deviation. Both constants are those of synthetic clips (``DEVIATIONS``).
    """

    encoder: Tensor
    decoder: Tensor

    def __init__(
        self,
        block: Side = 4,
        keep: Width = 16,
        scale: Literal["natural", "whitened"] = "natural",
    ) -> None:
        super().__init__()
        inputs = 3 * block**2
        check_allocation("block", {"coefficients": inputs, "pixels": inputs}, bytes_each=8)
        if not 1 <= keep <= 3 * block**2:
            raise InputError(f"keep: got {keep}, want 1 to {3 * block**2} (3 * block**2)")
        if block != 4 and scale == "whitened":
            raise InputError(f"block: got {block}, want 4, the one whose deviations are known, to whiten")
        self.grid = LatentGrid(temporal_stride=1, spatial_stride=block, channels=keep)
        self.keep_order = coefficient_order(block)[:keep]
        self.scale = scale
        transform, inverse = _transforms(block)
        deviation = self._deviation(block, scale)
        # Deviations go with the encoder's rows and the decoder's columns: latents of variance 1, the same video.
        encoder = transform[self.keep_order] / deviation[:, None]
        decoder = inverse[:, self.keep_order] * deviation
        self.register_buffer("encoder", encoder.float(), persistent=False)
        self.register_buffer("decoder", decoder.float(), persistent=False)

    @property
    def identity(self) -> str:
        """The settings."""
        return f"PatchCodec block={self.grid.spatial_stride} keep={self.grid.channels} scale={self.scale}"

    def encode(self, video: Float[Tensor, "*b t 3 h w"]) -> Float[Tensor, "*b d t lh lw"]:
        """Return the latents of a video in [0, 1], fp32.

        Raises:
            InputError: If height or width is no multiple of ``block``.
        """
        block = self.grid.spatial_stride
        self.check_size(video)
        patches = rearrange(2 * video.float() - 1, "... c (h y) (w x) -> ... h w (c y x)", y=block, x=block)
        with torch.autocast(video.device.type, enabled=False):
            coefficients = patches @ self.encoder.T
        return rearrange(coefficients, "... t h w d -> ... d t h w")

    def decode(self, latents: Float[Tensor, "*b d t lh lw"]) -> Float[Tensor, "*b t 3 h w"]:
        """Return the video of latents, cut to [0, 1], fp32."""
        return self.decode_uncut(latents).clamp(0, 1)

    def decode_uncut(self, latents: Float[Tensor, "*b d t lh lw"]) -> Float[Tensor, "*b t 3 h w"]:
        """Return the video of latents, which may reach out of [0, 1]: linear in them but for a constant."""
        block = self.grid.spatial_stride
        coefficients = rearrange(latents.float(), "... d t h w -> ... t h w d")
        with torch.autocast(latents.device.type, enabled=False):
            patches = coefficients @ self.decoder.T
        video = rearrange(patches, "... h w (c y x) -> ... c (h y) (w x)", c=3, y=block, x=block)
        return (video + 1) / 2

    def check_size(self, video: Float[Tensor, "*b t 3 h w"]) -> None:
        """Check that blocks tile a video.

        Raises:
            InputError: If they do not.
        """
        block = self.grid.spatial_stride
        if video.shape[-2] % block or video.shape[-1] % block:
            raise InputError(f"video size: got {tuple(video.shape[-2:])} (h, w), want multiples of {block}")

    def _deviation(self, block: int, scale: str) -> Float[Tensor, " c"]:
        known = torch.tensor(DEVIATIONS, dtype=torch.float64).flatten()
        if scale == "whitened":
            return known[self.keep_order]
        # Of a block of another size as large a share of the frequencies is kept: those say how the energy is spread.
        share = max(1, round(len(self.keep_order) * 16 / block**2))
        kept = known[coefficient_order(4)[:share]]
        return kept.square().mean().sqrt().expand(len(self.keep_order))


def coefficient_order(block: int) -> list[int]:
    """Return the ``3 * block**2`` coefficients (channel, vertical, horizontal; flattened) by rising frequency.

    The key is the diagonal, two more for chroma; within one, luma first and then the most even mix of directions.
    """

    def key(index: int) -> tuple[int, int, int, int]:
        channel = index // block**2
        row = index // block % block
        column = index % block
        diagonal = row + column + 2 * (channel > 0)
        return diagonal, channel, max(row, column), row

    return sorted(range(3 * block**2), key=key)


def cosine_transform(size: int) -> Float[Tensor, "n n"]:
    """Return the orthonormal discrete cosine transform (DCT-II), a row a frequency, float64."""
    # Row k is cos(pi k (n + 1/2) / size); the first, a constant, is shorter by the root of 2.
    place = torch.arange(size, dtype=torch.float64)
    cosine = torch.cos(math.pi * place[:, None] * (place + 0.5) / size) * math.sqrt(2 / size)
    cosine[0] /= math.sqrt(2)
    return cosine


def _transforms(block: int) -> tuple[Float[Tensor, "n n"], Float[Tensor, "n n"]]:
    """Return the matrices from RGB patches ``(c y x)`` to coefficients ``(c v u)`` and back, float64."""
    cosine = cosine_transform(block)
    block_cosine = torch.kron(cosine, cosine)
    colour = torch.tensor(YCBCR_FROM_RGB, dtype=torch.float64)
    # Kronecker products: colours mix whole blocks, the cosines are of one colour alone.
    forward = torch.kron(colour, block_cosine)
    return forward, torch.kron(torch.linalg.inv(colour), block_cosine.T)
