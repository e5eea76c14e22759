"""Technical quality of single frames: noise, blur, exposure, as a network trained on people's opinions sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.frames import valid_video
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import InputError


@dataclass(frozen=True)
class ImagingFrames:
    """How frames are shrunk before they are scored; smaller frames are never enlarged.

    Attributes:
        limit: Which side of a frame, when over ``side`` pixels, is brought down to it, bilinearly and without
            antialiasing; None = frames are scored as they are.
        side: In pixels.
        center_crop: Keep the middle ``side`` x ``side`` of a frame that was shrunk.
    """

    limit: Literal["longer", "shorter"] | None = "longer"
    side: int = 512
    center_crop: bool = False


LONGER = ImagingFrames()
"""VBench's default, ``longer``."""
SHORTER = ImagingFrames(limit="shorter")
SHORTER_CENTERCROP = ImagingFrames(limit="shorter", center_crop=True)
"""VBench's ``shorter_centercrop``; where rounding left 511 pixels, VBench adds a black row, which we do not."""
AS_IS = ImagingFrames(limit=None)
"""VBench's ``None``."""


def shrink(images: Float[Tensor, "n 3 h w"], how: ImagingFrames) -> Float[Tensor, "n 3 height width"]:
    """Shrink images by a rule; sides are cut to whole pixels in fp64, so that 561 becomes 511 and not 512.

    Source:
        VBench, ``transform`` of imaging_quality.
    """
    height, width = images.shape[-2:]
    if how.limit is None:
        return images
    limited = max(height, width) if how.limit == "longer" else min(height, width)
    if limited <= how.side:
        return images
    scale = how.side / limited
    size = (max(1, int(scale * height)), max(1, int(scale * width)))
    images = F.interpolate(images, size, mode="bilinear", align_corners=False)
    if how.center_crop:
        # Rounded as torchvision does, ties to even.
        top = round(max(0, size[0] - how.side) / 2)
        left = round(max(0, size[1] - how.side) / 2)
        images = images[..., top : top + how.side, left : left + how.side]
    return images


class ImagingQuality(PerVideoMetric):
    """Mean opinion of the frames of a video that a network predicts, divided by 100; higher = better.

    VBench's number is MUSIQ trained on SPAQ (``networks.musiq``) with ``LONGER``. Mean over the frames of a video,
    then over videos; a video without valid frames has no value.

    Args:
        quality: Takes images (n 3 h w) in [0, 1] to opinions (n) from 0 to 100.
        preprocessing: How frames are shrunk before.
        frames_at_once: Frames that ``quality`` gets together; bounds memory, changes nothing else.

    Raises:
        InputError: If ``frames_at_once`` is under 1.

    Source:
        VBench (arXiv 2311.17982), imaging quality.

    Example:
        >>> import torch
        >>> metric = ImagingQuality(quality=lambda images: 100 * images.mean(dim=(1, 2, 3)))
        >>> metric.update(torch.tensor([0.25, 0.75]).reshape(1, 2, 1, 1, 1).expand(1, 2, 3, 8, 8))
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    key = "imaging_quality"
    weights = ("musiq_spaq",)
    is_differentiable = False
    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        quality: Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, " n"]],
        preprocessing: ImagingFrames = LONGER,
        frames_at_once: int = 8,
    ) -> None:
        super().__init__(["score"])
        if frames_at_once < 1:
            raise InputError(f"frames_at_once: got {frames_at_once}, want at least 1")
        self.net = FrozenNet(quality)
        self.preprocessing = preprocessing
        self.frames_at_once = frames_at_once

    @classmethod
    def from_weights(cls, files: MetricWeights) -> "ImagingQuality":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.musiq import load_musiq

        return cls(load_musiq(files.path("musiq_spaq")))

    @torch.no_grad()
    def update(
        self,
        video: Shaped[Tensor, "b t 3 h w"],
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos, uint8 or floats in [0, 1].

        Args:
            valid_frames: False for padding; such frames are not scored.

        Raises:
            InputError: If shape, type or range is wrong, of the videos or of the opinions.
        """
        for frames, there in zip(*valid_video(video, valid_frames), strict=True):
            self.add_video({"score": self._score(frames[there])})

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean over videos, from 0 to about 1, or NaN."""
        return self.mean("score")

    def _score(self, frames: Float[Tensor, "t 3 h w"]) -> Float[Tensor, ""]:
        opinions = [frames.new_zeros(0)]
        for some in frames.split(self.frames_at_once) if len(frames) else []:
            found = self.net(shrink(some, self.preprocessing))
            check_shape("quality", found, "n", n=len(some))
            opinions.append(found)
        return torch.cat(opinions).double().mean() / 100
