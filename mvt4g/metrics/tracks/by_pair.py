"""PCK and TAP-Vid's scores of tracks by pair of views, static and dynamic points apart.

Points queried in the view that is looked at are ``ref`` or ``tgt``, those queried in the other view ``cross``. Scores
of static and dynamic points (``cross_dynamic``) are there once the truth of a clip tells them apart.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torchmetrics import Metric

from mvt4g.matching.pairs import KINDS, seen_by_kind
from mvt4g.metrics.compute_groups import keep_apart
from mvt4g.metrics.functional.checks import check_shape, check_truth
from mvt4g.metrics.functional.tracks import (
    TAPVID_NAMES,
    TAPVID_SIZE,
    TrackCounts,
    check_query_frames,
    pck_counts,
    tapvid_counts,
    track_scores,
)
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.tracks.tapvid import MAIN_SCORES
from mvt4g.types import REFERENCE, TARGET, InputError, PointTruth

VIEWS = ((REFERENCE, "reference", "ref"), (TARGET, "target", "tgt"))
"""Place, name, and kind of the scores of points queried in it, of each view."""
GROUPS = tuple(f"{kind}{suffix}" for kind in KINDS for suffix in ("", "_static", "_dynamic"))


def view_names(names: Sequence[str], num_clips: int) -> list[str]:
    """Return what the rows of ``TAPVidByPair`` are called: ``<clip>/reference`` of every clip, then ``<clip>/target``.

    Args:
        names: Of the clips of a batch; none = nameless rows.
        num_clips: How many there are.
    """
    names = names or [""] * num_clips
    rows = []
    for _, view, _ in VIEWS:
        rows += [f"{clip}/{view}" if clip else "" for clip in names]
    return rows


class PCKByPair(Metric):
    """Share of visible points tracked to strictly within ``threshold_px``, by pair of views and motion.

    Micro average as ``PCK``: every visible point of every clip weighs the same. A query's own entry does not count.

    Args:
        threshold_px: Euclidean distance in pixels of the input video.

    Raises:
        InputError: If the threshold is not positive, and at ``update`` if shapes disagree.

    Example:
        >>> import torch
        >>> from mvt4g.types import PointTruth
        >>> truth = PointTruth(
        ...     queries=torch.tensor([[[0.0, 0.0, 5.0, 5.0]]]), tracks=torch.full((1, 2, 2, 1, 2), 5.0),
        ...     visible=torch.ones(1, 2, 2, 1, dtype=torch.bool), valid=torch.ones(1, 1, dtype=torch.bool),
        ...     frame_times=torch.tensor([0, 1]), image_size=(64, 64),
        ... )
        >>> tracks = truth.tracks.clone()
        >>> tracks[0, 1, 0] += 3.0  # in the target, one frame of two
        >>> metric = PCKByPair(threshold_px=2.0)
        >>> metric.update(tracks, truth)
        >>> metric.compute()["ref"], metric.compute()["cross"]
        (tensor(1., dtype=torch.float64), tensor(0.5000, dtype=torch.float64))
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    hits: Tensor
    total: Tensor
    num_told_apart: Tensor

    def __init__(self, threshold_px: float) -> None:
        super().__init__()
        if not threshold_px > 0:
            raise InputError(f"threshold_px: got {threshold_px}, want a positive number of pixels")
        self.threshold_px = threshold_px
        self.key = f"track_pck_{threshold_px:g}px"
        for name in ("hits", "total"):
            self.add_state(name, torch.zeros(len(GROUPS), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("num_told_apart", torch.tensor(0), dist_reduce_fx="sum")
        keep_apart(self)

    def update(self, tracks: Float[Tensor, "b v t q 2"], truth: PointTruth) -> None:
        """Add the tracks (x, y), in pixels, of a batch's query points."""
        sizes = check_shape("tracks", tracks, "b v t q 2")
        check_truth(truth, **sizes)
        for kind, seen in seen_by_kind(truth).items():
            counted = {kind: seen}
            if truth.dynamic is not None:
                dynamic = rearrange(truth.dynamic, "b q -> b 1 1 q")
                counted[f"{kind}_static"] = seen & ~dynamic
                counted[f"{kind}_dynamic"] = seen & dynamic
            for group, entries in counted.items():
                hits, total = pck_counts(tracks, truth.tracks, entries, self.threshold_px)
                self.hits[GROUPS.index(group)] += hits
                self.total[GROUPS.index(group)] += total
        self.num_told_apart += 0 if truth.dynamic is None else sizes["b"]

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the shares in [0, 1] by pair of views and motion, such as ``ref`` and ``cross_dynamic``."""
        shares = dict(zip(GROUPS, self.hits.double() / self.total.double(), strict=True))
        return shares if self.num_told_apart else {kind: shares[kind] for kind in KINDS}


class TAPVidByPair(PerVideoMetric):
    """TAP-Vid's three scores of tracks by pair of views and motion, pooled in a video, then the mean over videos.

    They are "strided": all frames but a query's own count, since queries come from any frame and a tracker looks both
    ways; of a query in the other view its own frame counts too. A video is one view of one clip, and so is a row; their
    order is that of ``view_names``. Pixels are those of a 256x256 video.

    Raises:
        InputError: At ``update``, if shapes disagree or a query's frame is not in the video.

    Example:
        >>> import torch
        >>> from mvt4g.types import PointTruth
        >>> truth = PointTruth(
        ...     queries=torch.tensor([[[0.0, 0.0, 5.0, 5.0]]]), tracks=torch.full((1, 2, 2, 1, 2), 5.0),
        ...     visible=torch.ones(1, 2, 2, 1, dtype=torch.bool), valid=torch.ones(1, 1, dtype=torch.bool),
        ...     frame_times=torch.tensor([0, 1]), image_size=(256, 256),
        ... )
        >>> tracks = truth.tracks.clone()
        >>> tracks[0, 1, :, :, 0] += 3.0  # in the target, within 4, 8 and 16 pixels
        >>> metric = TAPVidByPair()
        >>> metric.update(tracks, truth.visible, truth)
        >>> metric.compute()["ref/delta_avg"], metric.compute()["cross/delta_avg"]
        (tensor(1., dtype=torch.float64), tensor(0.6000, dtype=torch.float64))

    Source: Doersch et al., TAP-Vid (arXiv 2211.03726), section 3.2.
    """

    key = "tapvid"
    row = "view"
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    num_told_apart: Tensor

    def __init__(self) -> None:
        columns = []
        for group in GROUPS:
            columns += [f"{group}/{score}" for score in MAIN_SCORES]
        super().__init__(columns)
        self.add_state("num_told_apart", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        tracks: Float[Tensor, "b v t q 2"],
        visible: Bool[Tensor, "b v t q"],
        truth: PointTruth,
    ) -> None:
        """Add the tracks of a batch's query points.

        Args:
            tracks: Pixels (x, y).
            visible: True where the tracker says that it sees the point.
            truth: Of the same queries.
        """
        num_clips = _check_tracks(tracks, visible, truth)
        known = torch.zeros_like(truth.valid) if truth.dynamic is None else truth.valid
        moving = known if truth.dynamic is None else truth.dynamic
        motions = {"": truth.valid, "_static": known & ~moving, "_dynamic": known & moving}
        nothing = torch.full((num_clips,), torch.nan, dtype=torch.float64, device=tracks.device)
        for view, _, own in VIEWS:
            counts = _view_counts(tracks, visible, truth, view)
            queried_here = truth.queries[..., 0] == view
            scores = dict.fromkeys(self.columns, nothing)
            for kind, queried in ((own, queried_here), ("cross", ~queried_here)):
                for motion, points in motions.items():
                    found = track_scores(counts, points & queried, TAPVID_NAMES)
                    for score in MAIN_SCORES:
                        scores[f"{kind}{motion}/{score}"] = found[score]
            self.add_videos(**scores)
        self.num_told_apart += 0 if truth.dynamic is None else num_clips

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the means over videos by pair of views, motion and score, such as ``cross_dynamic/delta_avg``."""
        return self.means(self._told())

    def table(self) -> dict[str, Float[Tensor, " videos"]]:
        """Return the columns that ``compute`` has means of."""
        return {name: self.per_video(name) for name in self._told()}

    def _told(self) -> list[str]:
        if self.num_told_apart:
            return list(self.columns)
        return [name for name in self.columns if name.partition("/")[0] in KINDS]


class TAPVidPooled(PerVideoMetric):
    """TAP-Vid's three scores with the points of both views of a clip counted together, as MV-TAP does.

    A clip is one video, and a row; a view with many points weighs more. "Strided", as ``TAPVidByPair``.

    Raises:
        InputError: As ``TAPVidByPair``.

    Example:
        >>> import torch
        >>> from mvt4g.types import PointTruth
        >>> truth = PointTruth(
        ...     queries=torch.tensor([[[0.0, 0.0, 5.0, 5.0]]]), tracks=torch.full((1, 2, 2, 1, 2), 5.0),
        ...     visible=torch.ones(1, 2, 2, 1, dtype=torch.bool), valid=torch.ones(1, 1, dtype=torch.bool),
        ...     frame_times=torch.tensor([0, 1]), image_size=(256, 256),
        ... )
        >>> tracks = truth.tracks.clone()
        >>> tracks[0, 1, :, :, 0] += 20.0  # in the target, two entries of three: the query's own does not count
        >>> metric = TAPVidPooled()
        >>> metric.update(tracks, truth.visible, truth)
        >>> metric.compute()["delta_avg"]
        tensor(0.3333, dtype=torch.float64)

    Source: MV-TAP.
    """

    key = "tapvid/pooled"
    row = "clip"
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self) -> None:
        super().__init__(MAIN_SCORES)

    def update(
        self,
        tracks: Float[Tensor, "b v t q 2"],
        visible: Bool[Tensor, "b v t q"],
        truth: PointTruth,
    ) -> None:
        """Add the tracks of a batch's query points; arguments as in ``TAPVidByPair``."""
        _check_tracks(tracks, visible, truth)
        num_views = tracks.shape[1]
        of_views = [_view_counts(tracks, visible, truth, view) for view in range(num_views)]
        # Behind one another on the axis of queries, as if one video had them all.
        pooled = TrackCounts(*(torch.cat(counts, dim=1) for counts in zip(*of_views, strict=True)))
        chosen = torch.cat([truth.valid] * num_views, dim=1)
        scores = track_scores(pooled, chosen, TAPVID_NAMES)
        self.add_videos(**{score: scores[score] for score in MAIN_SCORES})

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the means over clips."""
        return self.means(MAIN_SCORES)


def _check_tracks(
    tracks: Shaped[Tensor, "..."],
    visible: Shaped[Tensor, "..."],
    truth: PointTruth,
) -> int:
    """Check that tracks fit to the truth, and return the number of clips."""
    sizes = check_shape("tracks", tracks, "b v t q 2")
    check_shape("visible", visible, "b v t q", **sizes)
    check_truth(truth, **sizes)
    check_query_frames(truth.queries[..., 1], sizes["t"], truth.valid)
    return sizes["b"]


def _view_counts(
    tracks: Float[Tensor, "b v t q 2"],
    visible: Bool[Tensor, "b v t q"],
    truth: PointTruth,
    view: int,
) -> TrackCounts:
    """Return what TAP-Vid counts of every query in one view, in pixels of 256x256."""
    height, width = truth.image_size
    # In fp32 at least: half precision would move points across thresholds.
    precision = torch.promote_types(truth.tracks.dtype, torch.float32)
    scale = truth.tracks.new_tensor([TAPVID_SIZE / width, TAPVID_SIZE / height], dtype=precision)
    return tapvid_counts(
        truth.queries[..., 1:],
        truth.tracks[:, view] * scale,
        truth.visible[:, view],
        tracks[:, view] * scale,
        visible[:, view],
        image_size=(TAPVID_SIZE, TAPVID_SIZE),
        query_mode="strided",
        same_view=truth.queries[..., 0] == view,
    )
