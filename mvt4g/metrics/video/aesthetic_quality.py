"""VBench's aesthetic quality."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.preprocessing import CLIP_FRAMES, Preprocessing
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.video.frame_features import Average, FrameFeatureMetric
from mvt4g.metrics.weights import MetricWeights


class AestheticQuality(FrameFeatureMetric):
    """What people would rate the beauty of the frames: LAION's linear head on CLIP embeddings, mean over frames.

    VBench's numbers need CLIP ViT-L/14 (``networks.features.ImageFeatures``), this preprocessing and the head
    ``sa_0_4_vit_l_14_linear`` (``networks.features.aesthetic_head``), which predicts ratings from 1 to 10 of
    embeddings of length 1; a tenth of that is the score, so that it lies about [0, 1] but is not bound to. Higher is
    better. One frame is enough.

    Args:
        features: Takes preprocessed frames (n 3 h w) to embeddings (n d).
        head: Takes embeddings of length 1 (n d) to ratings (n 1).
        preprocessing: What is done to frames before; None = they are handed over as they are, in [0, 1].
        average: Over ``video`` (each weighs the same, as VBench) or ``frame`` (long ones weigh more).
        frames_at_once: Bounds memory; changes nothing else.

    Source:
        VBench (arXiv 2311.17982), ``aesthetic_quality``; LAION-AI aesthetic-predictor.

    Example:
        >>> import torch
        >>> metric = AestheticQuality(lambda frames: frames.mean((2, 3)), lambda unit: 5 * unit[:, :1], None)
        >>> metric.update(torch.tensor([0.3, 0.4, 0.0]).reshape(1, 1, 3, 1, 1))
        >>> metric.compute()
        tensor(0.3000, dtype=torch.float64)
    """

    key = "aesthetic_quality"
    weights = ("clip_vitl14", "aesthetic_head")

    def __init__(
        self,
        features: Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n d"]],
        head: Callable[[Float[Tensor, "n d"]], Float[Tensor, "..."]],
        preprocessing: Preprocessing | None = CLIP_FRAMES,
        average: Average = "video",
        frames_at_once: int = 32,
    ) -> None:
        super().__init__(features, preprocessing, average, frames_at_once)
        self.head = FrozenNet(head)

    @classmethod
    def from_weights(cls, files: MetricWeights) -> "AestheticQuality":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.features import ImageFeatures, aesthetic_head

        features = ImageFeatures(files.path("clip_vitl14"), "vit_large_patch14_clip_quickgelu_224.openai", "timm")
        return cls(features, aesthetic_head(files.path("aesthetic_head")))

    def score_videos(
        self, features: Float[Tensor, "b t d"], valid_frames: Bool[Tensor, "b t"]
    ) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"], Int[Tensor, " b"]]:
        """Return each video's mean rating over 10, its number of valid frames, and of embeddings of norm 0."""
        packed = features[valid_frames]
        ratings = self.head(F.normalize(packed, dim=-1))
        check_shape("head", ratings, "n 1", n=len(packed))
        num_frames = valid_frames.sum(1)
        rating = torch.zeros(valid_frames.shape, dtype=torch.float64, device=features.device)
        rating[valid_frames] = ratings[:, 0].double()
        # A rating of an embedding that has no direction means nothing; it is counted, so that a reader sees it.
        num_zero = ((torch.linalg.vector_norm(features, dim=-1) == 0) & valid_frames).sum(1)
        return rating.sum(1) / num_frames / 10, num_frames, num_zero
