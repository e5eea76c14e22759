"""How far one view, warped into another by true geometry, is from what that view shows."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.warp import warp_by_depth
from mvt4g.types import ViewRecord

FRAMES_AT_ONCE = 1
"""Of 480x832 pixels four take blocks of 20 MB, which the allocator of the C library keeps: 0.3 GB in the end."""


def warp_error(
    video: Float[Tensor, "b t 3 h w"],
    target: ViewRecord,
    reference: ViewRecord,
    region: Bool[Tensor, "b t h2 w2"] | None = None,
) -> Float[Tensor, " b"]:
    """Return the mean absolute error of a target view that is warped into the reference.

    Args:
        video: Of the target view, generated or true, in [0, 1].
        target: Its true depth and cameras; its own video is not read.
        reference: The same, and its video in [0, 1].
        region: Pixels of the reference that count; None = all.

    Returns:
        The mean over the pixels of the region that both views see; NaN for a video without any.
    """
    assert target.depth is not None
    assert target.cam_from_world is not None
    assert target.intrinsics is not None
    assert reference.video is not None
    assert reference.depth is not None
    assert reference.cam_from_world is not None
    assert reference.intrinsics is not None
    total = torch.zeros(len(video), dtype=torch.float64, device=video.device)
    summed = torch.zeros_like(total)
    for first in range(0, video.shape[1], FRAMES_AT_ONCE):
        # The points of all frames of a long video would take several gigabytes.
        some = slice(first, first + FRAMES_AT_ONCE)
        warped, valid = warp_by_depth(
            source=video[:, some],
            source_depth=target.depth[:, some],
            depth=reference.depth[:, some],
            cam_from_world=reference.cam_from_world[:, some],
            intrinsics=reference.intrinsics[:, some],
            source_cam_from_world=target.cam_from_world[:, some],
            source_intrinsics=target.intrinsics[:, some],
        )
        counted = valid if region is None else valid & region[:, some]
        error = (warped - reference.video[:, some]).abs().mean(dim=2)
        total += counted.flatten(1).sum(dim=1)
        summed += (error * counted).flatten(1).sum(dim=1, dtype=torch.float64)
    mean = summed / total.clamp(min=1)
    return torch.where(total > 0, mean, torch.nan).to(video.dtype)
