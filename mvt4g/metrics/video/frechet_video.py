"""The Fréchet distance between the features of generated videos and those of true ones."""

import warnings
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor
from torchmetrics import Metric

from mvt4g.metrics.compute_groups import keep_apart
from mvt4g.metrics.functional.checks import check_shape, unit_video
from mvt4g.metrics.functional.frechet import frechet_distance, gaussian_from_sums
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.video.full_reference import Video
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import InputError

SIDES = ("generated", "true")


class FrechetVideoDistance(Metric):
    """Distance of two sets of videos, each the Gaussian of its features. Lower is better.

    A distance of sets: there is no value a video. Its size depends on extractor, frames' preprocessing, length and
    number of videos; two numbers compare only where all of these are the same. With no more videos than features the
    covariances are rank-deficient and the distance is biased upwards: ``compute`` warns.

    Args:
        features: Takes videos (b t 3 h w) in [0, 1] to features (b d); ``networks.video_features`` has I3D's and
            torchvision's with their preprocessing.
        feature_dim: d.
        name: Key of the value, which should say the extractor: ``fvd_i3d`` is not ``frechet_r3d_18``.

    Example:
        >>> import torch
        >>> metric = FrechetVideoDistance(lambda video: video.mean(dim=(1, 3, 4))[:, :1], feature_dim=1)
        >>> levels = torch.tensor([0.0, 0.2, 0.4]).reshape(3, 1, 1, 1, 1).expand(3, 2, 3, 4, 4)
        >>> metric.update(levels, levels + 0.5)
        >>> metric.compute()["frechet_video_distance"]
        tensor(0.2500, dtype=torch.float64)

    Source: Unterthiner et al. 2018, Towards Accurate Generative Models of Video.
    """

    weights = ("i3d",)
    full_state_update = False
    is_differentiable = False
    higher_is_better = False
    plot_lower_bound = 0.0
    true_sum: Tensor

    def __init__(
        self,
        features: Callable[[Float[Tensor, "b t 3 h w"]], Float[Tensor, "b d"]],
        feature_dim: int,
        name: str = "frechet_video_distance",
    ) -> None:
        super().__init__()
        self.net = FrozenNet(features)
        self.feature_dim = feature_dim
        self.key = name
        for side in SIDES:
            zeros = torch.zeros(feature_dim, dtype=torch.float64)
            self.add_state(f"{side}_sum", zeros, dist_reduce_fx="sum")
            self.add_state(f"{side}_outer", torch.outer(zeros, zeros), dist_reduce_fx="sum")
            self.add_state(f"{side}_number", torch.tensor(0), dist_reduce_fx="sum")
        keep_apart(self)

    @classmethod
    def from_weights(cls, files: MetricWeights) -> "FrechetVideoDistance":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.video_features import i3d_features

        return cls(i3d_features(files.path("i3d")), feature_dim=400, name="fvd_i3d")

    def update(
        self,
        video: Video,
        target_video: Float[Tensor, "n t 3 h2 w2"] | UInt8[Tensor, "n t 3 h2 w2"],
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add generated and true videos of one length; either may hold none, for sets of different size.

        Raises:
            InputError: If a frame is not valid (features of padded videos are other features), or as the extractor.
        """
        sizes = check_shape("video", video, "b t 3 h w")
        check_shape("target_video", target_video, "n t 3 h w", t=sizes["t"])
        if valid_frames is not None and not bool(valid_frames.all()):
            raise InputError("valid_frames: got padded videos, want videos of one length: padding would count")
        self._add("generated", unit_video("video", video))
        self._add("true", unit_video("target_video", target_video))

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return the distance, NaN with fewer than 2 videos on a side, and the number of videos on each."""
        counts = {}
        for side in SIDES:
            counts[f"num_{side}_videos"] = getattr(self, f"{side}_number").double()
        fewest = int(min(counts.values()))
        if fewest < 2:
            return {self.key: self.true_sum.new_tensor(torch.nan)} | counts
        if fewest <= self.feature_dim:
            warnings.warn(
                f"{self.key}: {fewest} videos for {self.feature_dim} features: the covariance is rank-deficient "
                "and the distance biased upwards; want more videos than features",
                stacklevel=2,
            )
        generated = self._gaussian("generated")
        return {self.key: frechet_distance(*generated, *self._gaussian("true"))} | counts

    def _gaussian(self, side: str) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
        total = getattr(self, f"{side}_sum")
        return gaussian_from_sums(total, getattr(self, f"{side}_outer"), getattr(self, f"{side}_number"))

    def _add(self, side: str, video: Shaped[Tensor, "b t 3 h w"]) -> None:
        if not len(video):
            return
        features = self.net(video).detach().double()
        check_shape(f"features of {side} videos", features, "b d", b=len(video), d=self.feature_dim)
        if not bool(features.isfinite().all()):
            raise InputError(f"features of {side} videos: got NaN or infinity, want finite numbers")
        for state, value in (("sum", features.sum(dim=0)), ("outer", features.mT @ features), ("number", len(video))):
            setattr(self, f"{side}_{state}", getattr(self, f"{side}_{state}") + value)
