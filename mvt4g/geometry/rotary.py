"""Rotary embedding of interleaved feature pairs, as Wan2.1 rotates queries and keys."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


def rotate_pairs(x: Float[Tensor, "*b d"], angles: Float[Tensor, "*#b half_d"]) -> Float[Tensor, "*b d"]:
    """Rotate the pairs (x0, x1), (x2, x3), ... each by its angle, in fp32 or better, and return ``x``'s dtype.

    Args:
        x: Features, pairs interleaved.
        angles: Radians, one per pair, broadcast over the leading axes.

    Source: Su et al., RoFormer (arXiv 2104.09864), Eq. 34.
    """
    assert x.shape[-1] == 2 * angles.shape[-1], f"{x.shape[-1]} features need half as many angles: {angles.shape[-1]}"
    precision = torch.promote_types(x.dtype, torch.float32)
    cosine, sine = angles.cos().to(precision), angles.sin().to(precision)
    first, second = rearrange(x.to(precision), "... (p two) -> two ... p", two=2)
    rotated = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    return rearrange(rotated, "... p two -> ... (p two)").to(x.dtype)
