"""Videos of different lengths in one batch: which frames are there."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape, unit_video


def valid_video(
    video: Shaped[Tensor, "*video"], valid_frames: Shaped[Tensor, "*valid"] | None
) -> tuple[Float[Tensor, "b t 3 h w"], Bool[Tensor, "b t"]]:
    """Check videos and return them in [0, 1] with the frames that are there; the others are black, whatever they were.

    Args:
        video: (b, t, 3, h, w), uint8 or floating point in [0, 1].
        valid_frames: (b, t) bool, False for padding; None = all frames are there.

    Raises:
        InputError: If shape, type or range of what is there is wrong.
    """
    sizes = check_shape("video", video, "b t 3 h w")
    if valid_frames is None:
        return unit_video("video", video), torch.ones(video.shape[:2], dtype=torch.bool, device=video.device)
    check_shape("valid_frames", valid_frames, "b t", b=sizes["b"], t=sizes["t"])
    there = valid_frames.bool()
    black = torch.zeros((), dtype=video.dtype, device=video.device)
    return unit_video("video", torch.where(rearrange(there, "b t -> b t 1 1 1"), video, black)), there
