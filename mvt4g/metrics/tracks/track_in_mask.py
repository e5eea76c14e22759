"""Whether tracks of an annotated object stay on it: what masks say of tracks where no true tracks are known."""

from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.tracks import share_in_mask
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.types import REFERENCE


class TrackInMask(PerVideoMetric):
    """Share of tracked positions of an annotated object that lie on an annotated object of their frame.

    Points queried on the object count, in the frames of the reference where the tracker says that it sees them. The
    share is taken in a video, then the mean over videos; a video without such a position is left out and counted.
    A tracker that lets points glide over the object scores as one that follows them.

    Example:
        >>> import torch
        >>> mask = torch.zeros(1, 2, 8, 8, dtype=torch.bool)
        >>> mask[..., :4] = True
        >>> tracks = torch.tensor([[2.0, 2.0], [6.0, 2.0]]).reshape(1, 1, 2, 1, 2)
        >>> metric = TrackInMask()
        >>> metric.update(
        ...     tracks, visible=torch.ones(1, 1, 2, 1, dtype=torch.bool),
        ...     queries=torch.tensor([[[0.0, 0.0, 2.0, 2.0]]]), reference_dynamic=mask,
        ... )
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)

    Source: ours.
    """

    key = "track_in_mask"
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self) -> None:
        super().__init__(["score"])

    def update(
        self,
        tracks: Float[Tensor, "b v t q 2"],
        visible: Bool[Tensor, "b v t q"],
        queries: Float[Tensor, "b q 4"],
        reference_dynamic: Bool[Tensor, "b t h w"],
    ) -> None:
        """Add videos.

        Args:
            tracks: Pixels (x, y); those in the reference are looked at.
            visible: True where the tracker says that it sees the point.
            queries: (view, frame, x, y), pixels; the view is the reference.
            reference_dynamic: True on an annotated object.

        Raises:
            InputError: If shapes disagree.
        """
        sizes = check_shape("tracks", tracks, "b v t q 2")
        check_shape("visible", visible, "b v t q", **sizes)
        check_shape("queries", queries, "b q 4", b=sizes["b"], q=sizes["q"])
        check_shape("reference_dynamic", reference_dynamic, "b t h w", b=sizes["b"], t=sizes["t"])
        # Masks are known of the reference alone.
        videos = zip(tracks[:, REFERENCE], visible[:, REFERENCE], queries, reference_dynamic, strict=True)
        for video in videos:
            self.add_video({"score": share_in_mask(*video)})

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean over videos in [0, 1], or NaN."""
        return self.mean("score")
