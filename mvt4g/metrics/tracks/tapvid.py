"""TAP-Vid's scores of point tracks, averaged over videos."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.tracks import (
    TAPVID_NAMES,
    QueryMode,
    TrackCounts,
    check_query_frames,
    tapvid_counts,
    track_scores,
)
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.ranges import check_word
from mvt4g.types import InputError

GROUPS = ("all", "same_view", "cross_view", "static", "dynamic")
MAIN_SCORES = ("occlusion_accuracy", "delta_avg", "average_jaccard")
THRESHOLDS = tuple(f"{score}_{name}" for score in ("delta", "jaccard") for name in TAPVID_NAMES)


class TAPVid(PerVideoMetric):
    """Occlusion accuracy, share within thresholds and average Jaccard, each pooled in a video, then its mean over them.

    A video is one view of one clip: of ``(b v ...)`` tracks, bring the views into the batch, and say in ``same_view``
    which queries lie in that view. Scores of all points carry TAP-Vid's names; those of points queried in the same
    view or in another one, and of static or dynamic points, begin with the group's name, as ``cross_view_delta_avg``.
    A video in which a score has nothing to count is left out of its mean, and counted in ``num_missing_<score>``.

    With ``pooled_views`` the points of all views of a clip are counted together before any share is taken, as MV-TAP
    does: a clip is one video, and a view with many points weighs more. Names of these scores begin with ``pooled_``.

    Args:
        image_size: Height and width in pixels of the videos that the tracks belong to; scores are in pixels of 256x256.
        query_mode: "first" scores frames after the query's, "strided" all but the query's; the query's own frame is
            scored too where the query is in another view.
        groups: Points to report, out of ``GROUPS``.
        pooled_views: Views of a clip, which follow one another in the batch, to pool; 1 = each is a video of its own.

    Raises:
        InputError: If an argument is none of those.

    Example:
        >>> import torch
        >>> metric = TAPVid(image_size=(256, 256), groups=("all",))
        >>> target = torch.zeros(1, 3, 2, 2)
        >>> pred = target + torch.tensor([[0.0, 0.0], [3.0, 0.0]])
        >>> visible = torch.ones(1, 3, 2, dtype=torch.bool)
        >>> metric.update(torch.zeros(1, 2, 3), target, visible, pred, visible)
        >>> scores = metric.compute()
        >>> scores["delta_avg"], scores["delta_2px"], scores["num_videos"]
        (tensor(0.8000, dtype=torch.float64), tensor(0.5000, dtype=torch.float64), tensor(1))

    Source: Doersch et al., TAP-Vid (arXiv 2211.03726), section 3.2; MV-TAP for ``pooled_views``.
    """

    key = "tapvid"
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        image_size: tuple[int, int],
        query_mode: QueryMode = "first",
        groups: Sequence[str] = GROUPS,
        pooled_views: int = 1,
    ) -> None:
        if unknown := set(groups) - set(GROUPS):
            raise InputError(f"groups: got {min(unknown)!r}, want some of {GROUPS}")
        check_word("query_mode", query_mode, QueryMode)
        if pooled_views < 1:
            raise InputError(f"pooled_views: got {pooled_views}, want at least 1")
        # Columns are named by how views are pooled.
        self.pooled_views = pooled_views
        names = {}
        columns = []
        for group in groups:
            names[group] = (*MAIN_SCORES, *THRESHOLDS) if group == "all" else MAIN_SCORES
            columns += [self._column(group, name) for name in names[group]]
        super().__init__(columns)
        self.image_size = image_size
        self.query_mode: QueryMode = query_mode
        self.names = names

    def update(
        self,
        queries: Float[Tensor, "b n 3"],
        target: Float[Tensor, "b t n 2"],
        target_visible: Bool[Tensor, "b t n"],
        pred: Float[Tensor, "b t n 2"],
        pred_visible: Bool[Tensor, "b t n"],
        same_view: Bool[Tensor, "b n"] | None = None,
        dynamic: Bool[Tensor, "b n"] | None = None,
        point_valid: Bool[Tensor, "b n"] | None = None,
    ) -> None:
        """Add b videos.

        Args:
            queries: (frame, x, y); only the frame is looked at.
            target: Pixels (x, y).
            target_visible: Ground truth.
            pred: Pixels (x, y); NaN is a miss.
            pred_visible: Prediction.
            same_view: False where the query is in another view than these tracks; None = all are in the same.
            dynamic: True on points that move; None = unknown, and the video has no static and dynamic scores.
            point_valid: False for padding.
        """
        sizes = check_shape("target", target, "b t n 2")
        same = torch.ones_like(queries[..., 0], dtype=torch.bool) if same_view is None else same_view
        valid = torch.ones_like(same) if point_valid is None else point_valid
        moving = torch.zeros_like(same) if dynamic is None else dynamic
        for name, flags in (("point_valid", valid), ("dynamic", moving)):
            check_shape(name, flags, "b n", b=sizes["b"], n=sizes["n"])
        check_shape("queries", queries, "b n 3", b=sizes["b"], n=sizes["n"])
        check_query_frames(queries[..., 0], sizes["t"], valid)
        counts = tapvid_counts(
            queries, target, target_visible, pred, pred_visible, self.image_size, self.query_mode, same
        )
        if self.pooled_views > 1:
            counts = self._pool_counts(counts)
            valid = self._pool(valid)
            same = self._pool(same)
            moving = self._pool(moving)
        known = torch.zeros_like(valid) if dynamic is None else valid
        chosen = {
            "all": valid,
            "same_view": valid & same,
            "cross_view": valid & ~same,
            "static": known & ~moving,
            "dynamic": known & moving,
        }
        columns: dict[str, Tensor] = {}
        for group, names in self.names.items():
            scores = track_scores(counts, chosen[group], TAPVID_NAMES)
            for name in names:
                columns[self._column(group, name)] = scores[name]
        self.add_videos(**columns)

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the means over videos, and how many videos there are and lack each score."""
        scores: dict[str, Tensor] = {**self.means(self.columns)}
        for group in self.names:
            for name in MAIN_SCORES:
                column = self._column(group, name)
                scores[f"num_missing_{column}"] = self.num_missing(column)
        first = self.per_video(self.columns[0])
        scores["num_videos"] = torch.tensor(len(first), device=first.device)
        return scores

    def _pool_counts(self, counts: TrackCounts) -> TrackCounts:
        """Bring all points of a clip's views into one video.

        Raises:
            InputError: If the batch does not hold whole clips.
        """
        num_videos = len(counts.scored)
        if num_videos % self.pooled_views:
            want = f"{self.pooled_views} views of every clip (pooled_views)"
            raise InputError(f"target: got {num_videos} videos, want {want}")
        return TrackCounts(*(self._pool(count) for count in counts))

    def _pool(self, of_points: Shaped[Tensor, "b n ..."]) -> Shaped[Tensor, "c p ..."]:
        return rearrange(of_points, "(b v) n ... -> b (v n) ...", v=self.pooled_views)

    def _column(self, group: str, name: str) -> str:
        of_group = name if group == "all" else f"{group}_{name}"
        return of_group if self.pooled_views == 1 else f"pooled_{of_group}"
