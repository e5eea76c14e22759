"""PCK and TAP-Vid's scores of tracks, by pair of views, static and dynamic points apart."""

from collections.abc import Sequence

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics import Metric

from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.matching.pairs import KINDS, seen_by_kind
from mvt4g.metrics.functional.tracks import TAPVID_SIZE
from mvt4g.metrics.novel_view import NAMES, ScoreTable, score_table
from mvt4g.metrics.pck import PCK
from mvt4g.metrics.tapvid import HEADLINES, TAPVid
from mvt4g.metrics.video_names import VideoNames
from mvt4g.types import REFERENCE, TARGET, PointTruth

MOTIONS = ("static", "dynamic")
VIEWS = ((REFERENCE, "reference", "ref"), (TARGET, "target", "tgt"))
"""Place, name, and kind of the scores of points queried in it, of each view."""


class TrackScores(nn.Module):
    """Scores of tracks of points queried in the same view (``ref``, ``tgt``) and in the other one (``cross``).

    TAP-Vid's are "strided": all frames but a query's own count, since queries come from any frame and a tracker looks
    both ways; of a query in the other view its own frame counts too. A video is one view of one clip. ``pooled`` counts
    the points of both views of a clip together, as MV-TAP does.

    Args:
        threshold_px: Of PCK, in pixels of the input video.
    """

    def __init__(self, threshold_px: float) -> None:
        super().__init__()
        self.threshold_px = threshold_px
        names = [f"{kind}{motion}" for kind in KINDS for motion in ("", *(f"_{name}" for name in MOTIONS))]
        self.pck = nn.ModuleDict({name: PCK(threshold_px) for name in names})
        self.tapvid = nn.ModuleDict(
            {kind: TAPVid((TAPVID_SIZE, TAPVID_SIZE), "strided", ("all", *MOTIONS)) for kind in KINDS}
        )
        self.pooled = TAPVid((TAPVID_SIZE, TAPVID_SIZE), "strided", ("all",), pooled_views=2)
        self.names = VideoNames()

    def add(self, found: VideoTracks, truth: PointTruth, names: Sequence[str] = ()) -> None:
        """Add the tracks of a batch; static and dynamic points are told apart where the truth knows them.

        Args:
            found: Predicted.
            truth: Of the same queries.
            names: Of the clips, by which ``table`` calls them.
        """
        for kind, mask in seen_by_kind(truth).items():
            self._pck(kind).update(found.tracks, truth.tracks, mask)
            if truth.dynamic is not None:
                dynamic = rearrange(truth.dynamic, "b q -> b 1 1 q")
                self._pck(f"{kind}_static").update(found.tracks, truth.tracks, mask & ~dynamic)
                self._pck(f"{kind}_dynamic").update(found.tracks, truth.tracks, mask & dynamic)
        height, width = truth.image_size
        scale = truth.tracks.new_tensor([TAPVID_SIZE / width, TAPVID_SIZE / height])
        for view, name, own in VIEWS:
            self.names.update([f"{clip}/{name}" for clip in names] or [""] * len(truth.queries))
            for _, _, other in VIEWS:
                if other != own:  # a row of each metric stands for the same view of the same clip
                    self._tapvid(other).add_missing(len(truth.queries))
            queried_here = truth.queries[..., 0] == view
            for kind, chosen in ((own, queried_here), ("cross", ~queried_here)):
                self._tapvid(kind).update(
                    truth.queries[..., 1:],
                    truth.tracks[:, view] * scale,
                    truth.visible[:, view],
                    found.tracks[:, view] * scale,
                    found.visible[:, view],
                    same_view=queried_here,
                    dynamic=truth.dynamic,
                    point_valid=truth.valid & chosen,
                )

        self._add_pooled(found, truth, scale)

    def _add_pooled(self, found: VideoTracks, truth: PointTruth, scale: Float[Tensor, " 2"]) -> None:
        """Add every query in both views, clip by clip."""
        views = torch.arange(truth.tracks.shape[1], device=truth.tracks.device)
        queries = repeat(truth.queries, "b q xy -> b v q xy", v=len(views))
        self.pooled.update(
            rearrange(queries[..., 1:], "b v q xy -> (b v) q xy"),
            rearrange(truth.tracks * scale, "b v t q xy -> (b v) t q xy"),
            rearrange(truth.visible, "b v t q -> (b v) t q"),
            rearrange(found.tracks * scale, "b v t q xy -> (b v) t q xy"),
            rearrange(found.visible, "b v t q -> (b v) t q"),
            same_view=rearrange(queries[..., 0] == views[:, None], "b v q -> (b v) q"),
            point_valid=repeat(truth.valid, "b q -> (b v) q", v=len(views)),
        )

    def scores(self) -> dict[str, Tensor]:
        """Return every score that anything was added to, such as ``tapvid/cross_dynamic/delta_avg``."""
        found: dict[str, Tensor] = {}
        for name in self.pck:
            metric = self._pck(name)
            if metric.update_called:
                found[f"track_pck_{self.threshold_px:g}px/{name}"] = metric.compute()
        for kind, tapvid in self.tapvid.items():
            assert isinstance(tapvid, TAPVid)
            if not tapvid.update_called:
                continue
            values = tapvid.compute()
            found |= {f"tapvid/{kind}/{score}": values[score] for score in HEADLINES}
            for motion in MOTIONS:
                if self._pck(f"{kind}_{motion}").update_called:
                    found |= {f"tapvid/{kind}_{motion}/{score}": values[f"{motion}_{score}"] for score in HEADLINES}
        if self.pooled.update_called:
            values = self.pooled.compute()
            found |= {f"tapvid/pooled/{score}": values[f"pooled_{score}"] for score in HEADLINES}
        return found

    def table(self) -> ScoreTable:
        """Return TAP-Vid's scores of either view of every clip, the others of all clips; all ranks must call it.

        A clip's rows are ``<clip>/reference`` and ``<clip>/target``.
        """
        together = {key: float(value) for key, value in self.scores().items()}
        members = {f"tapvid/{kind}": self._tapvid(kind) for kind in self.tapvid}
        rows = score_table({**members, NAMES: self.names})
        scores = {}
        for key, values in rows.scores.items():
            place, _, score = key.rpartition("/")
            motion, _, rest = score.partition("_")
            called = f"{place}_{motion}/{rest}" if motion in MOTIONS else key
            if called in together:
                scores[called] = values
        of_the_set = {key: value for key, value in together.items() if key not in scores}
        return ScoreTable(rows.names, scores, rows.notes, of_the_set)

    def reset(self) -> None:
        """Forget everything added."""
        for metric in (*self.pck.values(), *self.tapvid.values(), self.pooled, self.names):
            assert isinstance(metric, Metric)
            metric.reset()

    def _tapvid(self, kind: str) -> TAPVid:
        metric = self.tapvid[kind]
        assert isinstance(metric, TAPVid)
        return metric

    def _pck(self, name: str) -> PCK:
        metric = self.pck[name]
        assert isinstance(metric, PCK)
        return metric
