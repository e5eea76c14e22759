"""What metrics have in common that look at one feature vector a frame."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.frames import valid_video
from mvt4g.metrics.functional.preprocessing import Preprocessing, preprocess
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.ranges import check_word
from mvt4g.types import InputError

Average = Literal["video", "frame"]


class FrameFeatureMetric(PerVideoMetric):
    """Runs an extractor over the valid frames of videos and averages what a subclass makes of the features.

    The table holds, for every video, its ``score``, the ``num_terms`` that were averaged to it, and how many of its
    frames have a feature of norm 0 (``num_zero_features``).

    Args:
        features: Takes preprocessed frames (n 3 h w) to vectors (n d).
        preprocessing: What is done to frames before; None = they are handed over as they are, in [0, 1].
        average: ``video``: the mean over videos of each video's mean. ``frame``: the mean over all terms of all
            videos, in which long videos weigh more. VBench prints either, depending on how many GPUs it ran on.
        frames_at_once: Bounds memory; changes nothing else.

    Raises:
        InputError: If ``average`` or ``frames_at_once`` is none of these.
    """

    is_differentiable = True
    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        features: Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n d"]],
        preprocessing: Preprocessing | None,
        average: Average = "video",
        frames_at_once: int = 32,
    ) -> None:
        super().__init__(("score", "num_terms", "num_zero_features"))
        check_word("average", average, Average)
        if frames_at_once < 1:
            raise InputError(f"frames_at_once: got {frames_at_once}, want at least 1")
        self.features = FrozenNet(features)
        self.preprocessing = preprocessing
        self.average = average
        self.frames_at_once = frames_at_once

    def update(
        self,
        video: Shaped[Tensor, "b t 3 h w"],
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos, uint8 or in [0, 1]; frames that are not valid are not looked at."""
        frames, there = valid_video(video, valid_frames)
        extracted = [self._features(some) for some in frames[there].split(self.frames_at_once) if len(some)]
        packed = torch.cat(extracted) if extracted else frames.new_zeros(0, 1)
        scores, num_terms, num_zero = self.score_videos(spread(packed, there), there)
        self.add_videos(score=scores, num_terms=num_terms, num_zero_features=num_zero)

    @abstractmethod
    def score_videos(
        self, features: Float[Tensor, "b t d"], valid_frames: Bool[Tensor, "b t"]
    ) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"], Int[Tensor, " b"]]:
        """Return for each video its score, the number of terms averaged, and of its features of norm 0."""

    def compute(self) -> Float[Tensor, ""]:
        """Return the average, or NaN."""
        if self.average == "video":
            return self.mean("score")
        num_terms = self.per_video("num_terms")
        return (self.per_video("score") * num_terms).nansum() / num_terms.nansum()

    def _features(self, frames: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        if self.preprocessing is not None:
            frames = preprocess(frames, self.preprocessing)
        vectors = self.features(frames)
        check_shape("features", vectors, "n d", n=len(frames))
        return vectors


def spread(packed: Float[Tensor, "n d"], valid_frames: Bool[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
    """Put the vectors of the valid frames, in order, at their frames; zeros elsewhere."""
    features = packed.new_zeros(*valid_frames.shape, packed.shape[-1])
    features[valid_frames] = packed
    return features
