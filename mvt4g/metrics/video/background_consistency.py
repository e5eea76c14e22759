"""VBench's background consistency."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from mvt4g.metrics.functional.preprocessing import CLIP_FRAMES, Preprocessing
from mvt4g.metrics.video.frame_features import Average
from mvt4g.metrics.video.subject_consistency import SubjectConsistency
from mvt4g.metrics.weights import MetricWeights


class BackgroundConsistency(SubjectConsistency):
    """How well the scene stays itself: subject consistency's formula on CLIP embeddings.

    The name is VBench's; nothing is masked, and its "background" is the middle square of the whole frame. Its numbers
    need CLIP ViT-B/32 (``networks.features.ImageFeatures``) and this preprocessing. In [0, 1], higher is better. A
    video of one frame has no score.

    Args:
        features: Takes preprocessed frames (n 3 h w) to vectors (n d).
        preprocessing: What is done to frames before; None = they are handed over as they are, in [0, 1].
        average: Over ``video`` (each weighs the same) or ``frame`` (long ones weigh more): VBench prints either.
        frames_at_once: Bounds memory; changes nothing else.

    Source:
        VBench (arXiv 2311.17982), ``background_consistency``.

    Example:
        >>> import torch
        >>> metric = BackgroundConsistency(lambda frames: frames.mean((2, 3)))
        >>> metric.update(torch.full((1, 4, 3, 32, 48), 0.5))
        >>> metric.compute()
        tensor(1., dtype=torch.float64)
    """

    key = "background_consistency"
    weights = ("clip_vitb32",)

    def __init__(
        self,
        features: Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n d"]],
        preprocessing: Preprocessing | None = CLIP_FRAMES,
        average: Average = "video",
        frames_at_once: int = 32,
    ) -> None:
        super().__init__(features, preprocessing, average, frames_at_once)

    @classmethod
    def from_weights(cls, files: MetricWeights) -> "BackgroundConsistency":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.features import ImageFeatures

        return cls(ImageFeatures(files.path("clip_vitb32"), "vit_base_patch32_clip_quickgelu_224.openai", "timm"))
