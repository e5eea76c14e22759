"""Where a token sits, as rotary angles: Wan2.1's split of the head over time, height and width."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.types import InputError


def axis_dims(head_dim: int) -> tuple[int, int, int]:
    """Return how many features of a head rotate with time, height and width.

    Height and width get ``2 * (head_dim // 6)`` each and time the rest, as in Wan2.1 (44, 42, 42 of 128). The other
    rule in circulation (DiffSynth's ``head_dim // 3``) agrees at 128 and 24, but not at 16.

    Raises:
        InputError: If ``head_dim`` is odd or under 6, so that an axis would get no pair.
    """
    if head_dim < 6 or head_dim % 2:
        raise InputError(f"head_dim: got {head_dim}, want an even number of at least 6 (pairs for three axes)")
    space = 2 * (head_dim // 6)
    return head_dim - 2 * space, space, space


def rotary_angles(
    head_dim: int,
    frame_positions: Int[Tensor, " f"],
    height: int,
    width: int,
    theta: float = 1e4,
) -> Float[Tensor, "f h w half_d"]:
    """Return the angle in radians, fp32, by which each interleaved feature pair of a token is rotated.

    Pairs are ordered time, height, width; pair i of an axis with m features turns by ``position * theta**(-2i / m)``.

    Args:
        head_dim: Features of one attention head.
        frame_positions: Time position of every latent frame of the joint sequence; two views may share one.
        height: Token rows.
        width: Token columns.
        theta: Base of the frequencies.

    Source: Wan2.1 ``rope_params`` and ``rope_apply``.
    """
    device = frame_positions.device
    time_dims, row_dims, column_dims = axis_dims(head_dim)
    time = _axis_angles(frame_positions, time_dims, theta)
    row = _axis_angles(torch.arange(height, device=device), row_dims, theta)
    column = _axis_angles(torch.arange(width, device=device), column_dims, theta)
    shape = (len(time), height, width)
    return torch.cat(
        [
            time[:, None, None].expand(*shape, -1),
            row[None, :, None].expand(*shape, -1),
            column[None, None, :].expand(*shape, -1),
        ],
        dim=-1,
    )


def _axis_angles(
    positions: Int[Tensor, " n"],
    dims: int,
    theta: float,
) -> Float[Tensor, "n half_d"]:
    exponent = -torch.arange(0, dims, 2, device=positions.device).double() / dims
    # float64 until the product is there: positions are large and frequencies small.
    return torch.outer(positions.double(), theta**exponent).float()
