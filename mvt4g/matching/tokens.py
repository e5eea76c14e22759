"""Pixels and token cells, video frames and latent frames: which token stands for which part of a video."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.types import InputError


def cell_of_pixels(
    xy: Float[Tensor, "*batch 2"],
    stride: int,
) -> Int[Tensor, "*batch 2"]:
    """Return the (column, row) of the token that covers each pixel position; outside the image it is out of range."""
    return torch.floor(xy / stride).long()


def cell_centre(
    cell: Int[Tensor, "*batch 2"],
    stride: int,
) -> Float[Tensor, "*batch 2"]:
    """Return the pixel (x, y) at the centre of each (column, row)."""
    return (cell.to(torch.float32) + 0.5) * stride


def flat_cell(
    cell: Int[Tensor, "*batch 2"],
    height: int,
    width: int,
) -> Int[Tensor, " *batch"]:
    """Return row * width + column, cells outside the grid taken to the border."""
    row = cell[..., 1].clamp(0, height - 1)
    return row * width + cell[..., 0].clamp(0, width - 1)


def unflat_cell(
    index: Int[Tensor, " *batch"],
    width: int,
) -> Int[Tensor, "*batch 2"]:
    """Return the (column, row) of row * width + column."""
    return torch.stack([index % width, index // width], dim=-1)


def latent_frame_of(
    frame: Float[Tensor, " *batch"], frame_times: Int[Tensor, " f"]
) -> tuple[Int[Tensor, " *batch"], Int[Tensor, " *batch"], Float[Tensor, " *batch"]]:
    """Place video frames between latent frames.

    Args:
        frame: Video frame, integer valued or not.
        frame_times: Video frame that each latent frame stands for, increasing.

    Returns:
        The latent frame at or before, the one after, and the weight in [0, 1) of the one after. A video frame that a
        latent frame stands for has weight 0; frames beyond either end are held at that end.
    """
    times = frame_times.to(frame.dtype)
    last = times.numel() - 1
    at_or_before = torch.searchsorted(times, frame.detach().contiguous(), right=True) - 1
    lower = at_or_before.clamp(0, last)
    upper = (lower + 1).clamp(max=last)
    span = (times[upper] - times[lower]).clamp(min=1.0)
    weight = ((frame - times[lower]) / span).clamp(min=0.0)
    return lower, upper, torch.where(upper > lower, weight, torch.zeros_like(weight))


def interpolate_frames(
    values: Float[Tensor, "*batch f n c"],
    frame_times: Int[Tensor, " f"],
    num_frames: int,
) -> Float[Tensor, "*batch t n c"]:
    """Bring tracks (or anything else per latent frame) to video frames 0 ... num_frames - 1, linearly in time.

    Video frames after the last latent frame repeat it.

    Raises:
        InputError: If a latent frame stands for a video frame that is not there.
    """
    last = int(frame_times.max())
    if last >= num_frames:
        raise InputError(f"num_frames: got {num_frames}, want more than the last latent's frame {last}")
    frames = torch.arange(num_frames, device=values.device, dtype=torch.float32)
    lower, upper, weight = latent_frame_of(frames, frame_times)
    weight = weight.to(values.dtype)[:, None, None]
    before = values.index_select(-3, lower)
    after = values.index_select(-3, upper)
    return before * (1 - weight) + after * weight
