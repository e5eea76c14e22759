"""How far one view, warped into another by true geometry, is from what that view shows."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.warp import warp_by_depth
from mvt4g.types import ViewRecord


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
    warped, valid = warp_by_depth(
        source=video,
        source_depth=target.depth,
        depth=reference.depth,
        cam_from_world=reference.cam_from_world,
        intrinsics=reference.intrinsics,
        source_cam_from_world=target.cam_from_world,
        source_intrinsics=target.intrinsics,
    )
    counted = valid if region is None else valid & region
    error = (warped - reference.video).abs().mean(dim=2)
    total = counted.flatten(1).sum(dim=1)
    mean = (error * counted).flatten(1).sum(dim=1) / total.clamp(min=1)
    return torch.where(total > 0, mean, torch.nan)
