"""VBench's subject consistency."""

from collections.abc import Callable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.metrics.functional.preprocessing import DINO_FRAMES, Preprocessing
from mvt4g.metrics.functional.temporal_consistency import temporal_consistency
from mvt4g.metrics.video.frame_features import Average, FrameFeatureMetric
from mvt4g.metrics.weights import MetricWeights


class SubjectConsistency(FrameFeatureMetric):
    """How well what a video shows stays itself: similarity of DINO features to the frame before and to the first.

    VBench's numbers need DINO ViT-B/16 (``networks.features.ImageFeatures``) and this preprocessing. In [0, 1],
    higher is better; a frozen picture scores 1. A video of one frame has no score.

    Args:
        features: Takes preprocessed frames (n 3 h w) to vectors (n d).
        preprocessing: What is done to frames before; None = they are handed over as they are, in [0, 1].
        average: Over ``video`` (each weighs the same) or ``frame`` (long ones weigh more): VBench prints either.
        frames_at_once: Bounds memory; changes nothing else.

    Source:
        VBench (arXiv 2311.17982), ``subject_consistency``.

    Example:
        >>> import torch
        >>> metric = SubjectConsistency(lambda frames: frames[:, :2, 0, 0], preprocessing=None)
        >>> video = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [1.0, 0, 0]]).reshape(1, 3, 3, 1, 1)
        >>> metric.update(video)
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)
    """

    key = "subject_consistency"
    weights: tuple[str, ...] = ("dino_vitb16",)

    def __init__(
        self,
        features: Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n d"]],
        preprocessing: Preprocessing | None = DINO_FRAMES,
        average: Average = "video",
        frames_at_once: int = 32,
    ) -> None:
        super().__init__(features, preprocessing, average, frames_at_once)

    @classmethod
    def from_weights(cls, files: MetricWeights) -> "SubjectConsistency":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.features import ImageFeatures

        return cls(ImageFeatures(files.path("dino_vitb16")))

    def score_videos(
        self, features: Float[Tensor, "b t d"], valid_frames: Bool[Tensor, "b t"]
    ) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"], Int[Tensor, " b"]]:
        """Return what ``temporal_consistency`` does."""
        return temporal_consistency(features, valid_frames)
