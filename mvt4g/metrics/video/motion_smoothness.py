"""Smoothness of motion: whether every other frame can be told from its neighbours."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.frames import valid_video
from mvt4g.metrics.functional.motion import motion_smoothness
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.networks.interpolation import linear_midpoint
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.types import InputError

WITHOUT_NET = "linear"


class MotionSmoothness(PerVideoMetric):
    """1 minus the mean absolute error of odd frames interpolated from the even ones; higher = smoother.

    The value depends on the interpolator, so its key names it: ``motion_smoothness_linear`` by default, which needs no
    weights and is not VBench's number. VBench's is ``motion_smoothness_amt_s``, and AMT-S (code and weights
    CC BY-NC 4.0) is for users to bring, padded as they like. A video under three frames has no value. Mean over videos.

    Args:
        interpolator: Takes frames in [0, 1] and those two later, (n 3 h w) each, to the frames between.
        protocol: Name of the interpolator, which ends the key.
        cut_to_bytes: Cut interpolated frames down to whole 1/255 as VBench does; off, nothing is rounded.
        pairs_at_once: Pairs that the interpolator gets together; bounds memory, changes nothing else.

    Raises:
        InputError: If another interpolator is called ``linear``, or ``pairs_at_once`` is under 1.

    Source:
        VBench (arXiv 2311.17982), motion smoothness.

    Example:
        >>> import torch
        >>> metric = MotionSmoothness()
        >>> metric.update(torch.tensor([0, 100, 0], dtype=torch.uint8).reshape(1, 3, 1, 1, 1).expand(1, 3, 3, 8, 8))
        >>> metric.compute()
        {'motion_smoothness_linear': tensor(0.6078, dtype=torch.float64)}
    """

    is_differentiable = False
    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        interpolator: Callable[
            [Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]], Float[Tensor, "n 3 h w"]
        ] = linear_midpoint,
        protocol: str = WITHOUT_NET,
        cut_to_bytes: bool = False,
        pairs_at_once: int = 4,
    ) -> None:
        if protocol == WITHOUT_NET and interpolator is not linear_midpoint:
            raise InputError(f"protocol: got {protocol} for another interpolator, want that one's name")
        if pairs_at_once < 1:
            raise InputError(f"pairs_at_once: got {pairs_at_once}, want at least 1")
        super().__init__([f"motion_smoothness_{protocol}"])
        (self.key,) = self.columns
        self.interpolator = FrozenNet(interpolator)
        self.cut_to_bytes = cut_to_bytes
        self.pairs_at_once = pairs_at_once

    @torch.no_grad()
    def update(
        self,
        video: Shaped[Tensor, "b t 3 h w"],
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos, uint8 or floats in [0, 1].

        Args:
            valid_frames: False for padding; triples with such a frame do not count.

        Raises:
            InputError: If shape, type or range is wrong, of the videos or of what the interpolator returns.
        """
        for frames, valid in zip(*valid_video(video, valid_frames), strict=True):
            score = motion_smoothness(frames, self._between, valid, self.cut_to_bytes, self.pairs_at_once)
            self.add_video({self.key: score})

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return the mean over videos in [0, 1], or NaN, by a key that names the interpolator."""
        return {self.key: self.mean(self.key)}

    def _between(
        self,
        before: Float[Tensor, "n 3 h w"],
        after: Float[Tensor, "n 3 h w"],
    ) -> Float[Tensor, "n 3 h w"]:
        between = self.interpolator(before, after)
        n, _, h, w = before.shape
        check_shape("interpolator", between, "n 3 h w", n=n, h=h, w=w)
        return between
