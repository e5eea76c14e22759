"""How often the attention's match in the other view matches back: correspondence without any truth."""

from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.types import TARGET


class CycleConsistency(PerVideoMetric):
    """Share of query points whose best match in the target view, matched back, comes home.

    ``matching.rows.cycle_consistent`` says what coming home is: within 1.5 cells. The share is over the queries and
    latent frames of a video, then the mean over videos. High without being right where every match is the same cell.

    Args:
        level: Noise level of the attention that was read, which ends the key as ``@<level>``.

    Example:
        >>> import torch
        >>> home = torch.zeros(1, 2, 1, 4, dtype=torch.bool)  # two views, one frame, four queries
        >>> home[0, 1, 0, 0] = True
        >>> metric = CycleConsistency()
        >>> metric.update(home)
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)

    Source: CAMEO, whose threshold it is.
    """

    key = "cycle_consistency"
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, level: str | None = None) -> None:
        super().__init__(["score"])
        self.key = self.key if level is None else f"{self.key}@{level}"

    def update(self, cycle_home: Bool[Tensor, "b v f q"]) -> None:
        """Add videos: where the match of each query comes home, in both views and all latent frames.

        Raises:
            InputError: If there is another number of axes.
        """
        check_shape("cycle_home", cycle_home, "b v f q")
        self.add_videos(score=cycle_home[:, TARGET].flatten(1).double().mean(dim=1))

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean over videos in [0, 1], or NaN."""
        return self.mean("score")
