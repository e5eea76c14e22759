"""Flicker of a video: how much consecutive frames differ, whatever the cause."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.frames import valid_video
from mvt4g.metrics.functional.motion import temporal_flickering
from mvt4g.metrics.per_video import PerVideoMetric


class TemporalFlickering(PerVideoMetric):
    """1 minus the mean absolute change between consecutive frames; higher = calmer, a still video has 1.

    Motion lowers it as flicker does: VBench scores static scenes only. A video without two valid frames in a row has
    no value (VBench divides by zero). Mean over videos. Needs no weights.

    Source:
        VBench (arXiv 2311.17982), temporal flickering.

    Example:
        >>> import torch
        >>> metric = TemporalFlickering()
        >>> metric.update(torch.tensor([0.0, 1.0, 1.0]).reshape(1, 3, 1, 1, 1).expand(1, 3, 3, 8, 8))
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    key = "temporal_flickering"
    is_differentiable = False
    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self) -> None:
        super().__init__(["score"])

    @torch.no_grad()
    def update(
        self,
        video: Shaped[Tensor, "b t 3 h w"],
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos, uint8 or floats in [0, 1].

        Args:
            valid_frames: False for padding; pairs with such a frame do not count.

        Raises:
            InputError: If shape, type or range is wrong.
        """
        for frames, valid in zip(*valid_video(video, valid_frames), strict=True):
            self.add_video({"score": temporal_flickering(frames, valid)})

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean over videos in [0, 1], or NaN."""
        return self.mean("score")
