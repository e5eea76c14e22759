"""Rotary embedding of interleaved feature pairs, as Wan2.1 rotates queries and keys."""

import torch
from jaxtyping import Float
from torch import Tensor


def rotate_pairs(
    x: Float[Tensor, "*b d"],
    angles: Float[Tensor, "*#b half_d"],
) -> Float[Tensor, "*b d"]:
    """Rotate the pairs (x0, x1), (x2, x3), ... each by its angle, in fp32 or better, and return ``x``'s dtype.

    Args:
        x: Features, pairs interleaved.
        angles: Radians, one per pair, broadcast over the leading axes.

    Source: Su et al., RoFormer (arXiv 2104.09864), Eq. 34.
    """
    assert x.shape[-1] == 2 * angles.shape[-1], f"{x.shape[-1]} features need half as many angles: {angles.shape[-1]}"
    precision = torch.promote_types(x.dtype, torch.float32)
    angles = angles.to(precision)
    pairs = x.to(precision).unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling():  # which generates no code for complex numbers
        even, odd = pairs.unbind(-1)
        cosine = angles.cos()
        sine = angles.sin()
        turned = torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
    else:
        unit = torch.polar(torch.ones_like(angles), angles)
        turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * unit)
    return turned.flatten(-2).to(x.dtype)
