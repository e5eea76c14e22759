"""TAPVid-3D's scores of point tracks in the camera frame, averaged over videos."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.tracks_3d import THRESHOLD_NAMES, Scaling, Thresholds, check_options, tapvid_3d
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.tracks.tapvid import MAIN_SCORES


class TAPVid3D(PerVideoMetric):
    """Occlusion accuracy, share within thresholds and average Jaccard of 3D tracks: pooled in a video, then the mean.

    A video in which a score has nothing to count is left out of its mean, and counted in ``num_missing_<score>``.

    Args:
        thresholds: "pixels" back-projected to the true depth, or "fixed".
        scaling: How predictions are brought to the scale of the truth: "median", "per_trajectory" or "none".

    Raises:
        InputError: If an argument is none of those.

    Example:
        >>> import torch
        >>> metric = TAPVid3D(thresholds="fixed", scaling="none")
        >>> target = torch.tensor([[[[0.0, 0.0, 2.0]], [[0.0, 0.0, 4.0]]]])
        >>> seen = torch.ones(1, 2, 1, dtype=torch.bool)
        >>> metric.update(target, seen, target + 0.1, seen, torch.eye(3)[None])
        >>> scores = metric.compute()
        >>> scores["delta_16cm"], scores["delta_avg"]
        (tensor(0., dtype=torch.float64), tensor(0.4000, dtype=torch.float64))

    Source: Koppula et al., TAPVid-3D (arXiv 2407.05921), section 4.
    """

    key = "tapvid_3d"
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, thresholds: Thresholds = "pixels", scaling: Scaling = "median") -> None:
        check_options(thresholds, scaling)
        columns = list(MAIN_SCORES)
        for score in ("delta", "jaccard"):
            columns += [f"{score}_{name}" for name in THRESHOLD_NAMES[thresholds]]
        super().__init__(columns)
        self.thresholds: Thresholds = thresholds
        self.scaling: Scaling = scaling

    def update(
        self,
        target: Float[Tensor, "b t n 3"],
        target_visible: Bool[Tensor, "b t n"],
        pred: Float[Tensor, "b t n 3"],
        pred_visible: Bool[Tensor, "b t n"],
        intrinsics: Float[Tensor, "b 3 3"],
        query_frames: Float[Tensor, "b n"] | None = None,
        point_valid: Bool[Tensor, "b n"] | None = None,
    ) -> None:
        """Add b videos; arguments as in ``functional.tracks_3d.tapvid_3d``."""
        sizes = check_shape("target", target, "b t n 3")
        others = {
            "target_visible": (target_visible, "b t n"),
            "pred": (pred, "b t n 3"),
            "pred_visible": (pred_visible, "b t n"),
            "intrinsics": (intrinsics, "b 3 3"),
            "query_frames": (query_frames, "b n"),
            "point_valid": (point_valid, "b n"),
        }
        for name, (value, axes) in others.items():
            if value is not None:
                check_shape(name, value, axes, **sizes)
        for b in range(sizes["b"]):
            scores = tapvid_3d(
                target[b],
                target_visible[b],
                pred[b],
                pred_visible[b],
                intrinsics[b],
                thresholds=self.thresholds,
                scaling=self.scaling,
                query_frames=None if query_frames is None else query_frames[b],
                point_valid=None if point_valid is None else point_valid[b],
            )
            self.add_video(scores)

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the means over videos, and how many videos there are and lack each score."""
        scores: dict[str, Tensor] = {**self.means(self.columns)}
        for name in MAIN_SCORES:
            scores[f"num_missing_{name}"] = self.num_missing(name)
        first = self.per_video(self.columns[0])
        scores["num_videos"] = torch.tensor(len(first), device=first.device)
        return scores
