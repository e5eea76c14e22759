"""All metrics of generated novel views under one protocol: means by key, and a table of every video."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.functional.bootstrap import bootstrap_interval
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.video_names import VideoNames
from mvt4g.types import GeneratedVideos, InputError

ASKED = "target_world_from_cam"
"""The cameras asked for, in the form in which pose errors take them."""
NAMES = "num_videos"
"""Member that keeps the names, and says how many there are."""


@dataclass(frozen=True)
class ScoreSummary:
    """A score over all videos.

    Attributes:
        mean: Over the videos that have it.
        low: Lower end of the 95 % bootstrap interval of the mean.
        high: Its upper end.
        num_videos: Videos that have it.
        num_missing: Videos that do not.
    """

    mean: float
    low: float
    high: float
    num_videos: int
    num_missing: int


@dataclass(frozen=True)
class ScoreTable:
    """The scores of every video.

    Attributes:
        names: One a video; each video is there once, however many ranks saw it.
        scores: By key, one value a video, NaN where it has none.
    """

    names: tuple[str, ...]
    scores: dict[str, Float[Tensor, " videos"]]

    def summary(self) -> dict[str, ScoreSummary]:
        """Return mean and spread of every score, by key; what only counts is left out."""
        found = {}
        for key, values in self.scores.items():
            if not key.rpartition("/")[2].startswith("num_"):
                low, high = bootstrap_interval(values)
                known = int((~values.isnan()).sum())
                mean = float(values.nanmean())
                found[key] = ScoreSummary(mean, float(low), float(high), known, len(values) - known)
        return found


class NovelViewMetrics(MetricCollection):
    """A collection of metrics of generated novel views, each of which takes what it needs of ``GeneratedVideos``.

    A member whose inputs are not known for a batch has no value for its videos, which is counted, and never stops
    the others. Keys are ``<member>`` for a single score and ``<member>/<score>`` for a family; members are named by
    metric and protocol, as ``camera/mvtrack4gen``.

    Args:
        members: Metrics by name. Their ``update`` takes fields of ``GeneratedVideos`` by name, and
            ``target_world_from_cam``.
        absent: Members of the protocol that cannot run here, and what they need.

    Raises:
        InputError: If a member's ``update`` asks for something else.
    """

    def __init__(self, members: Mapping[str, Metric], absent: Mapping[str, str] | None = None) -> None:
        offered = {field.name for field in fields(GeneratedVideos)} | {ASKED}
        for name, metric in members.items():
            if strange := required_inputs(metric) - offered:
                raise InputError(f"{name}: its update wants {min(strange)}, want only fields of GeneratedVideos")
        super().__init__({**members, NAMES: VideoNames()}, compute_groups=False)
        self.absent = dict(absent or {})

    def update(self, videos: GeneratedVideos) -> None:  # type: ignore[override]  # ModuleDict's own means another thing
        """Hand a batch to every member."""
        known = videos.known()
        if videos.target_cam_from_world is not None:
            known[ASKED] = invert_pose(videos.target_cam_from_world.double())
        for metric in self.values(copy_state=False):
            if isinstance(metric, VideoNames):
                metric.update(videos.names)
            elif required_inputs(metric) <= known.keys():
                metric.update(**metric._filter_kwargs(**known))
            elif isinstance(metric, PerVideoMetric):
                metric.add_missing(len(videos.names))

    def compute(self) -> dict[str, Tensor]:
        """Return every member's scores by key."""
        found: dict[str, Tensor] = {}
        for name, metric in self.items(keep_base=True, copy_state=False):
            value = metric.compute()
            parts = value if isinstance(value, dict) else {"": value}
            found |= {score_key(name, part): score for part, score in parts.items()}
        return found

    def table(self) -> ScoreTable:
        """Return the scores of every video of all ranks; all ranks must call it."""
        names: list[str] = []
        columns: dict[str, Tensor] = {}
        for member, metric in self.items(keep_base=True, copy_state=False):
            with metric.sync_context(dist_sync_fn=metric.dist_sync_fn):
                if isinstance(metric, VideoNames):
                    names = metric.names()
                elif isinstance(metric, PerVideoMetric):
                    columns |= {score_key(member, name): value.clone() for name, value in metric.table().items()}
        first = {name: row for row, name in reversed(list(enumerate(names)))}
        rows = torch.tensor(sorted(first.values()), dtype=torch.int64)
        return ScoreTable(
            tuple(names[row] for row in rows), {key: values.cpu()[rows] for key, values in columns.items()}
        )


def required_inputs(metric: Metric) -> set[str]:
    """Return the arguments that a metric's ``update`` cannot do without; some metrics say so themselves."""
    if stated := getattr(metric, "required_inputs", None):
        return set(stated)
    parameters = metric._update_signature.parameters.values()
    return {parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty}


def score_key(member: str, part: str) -> str:
    """Return the key of a member's score; the only score, and one that is called as its member, have the member's."""
    return member if part in ("", "score", member.rpartition("/")[2]) else f"{member}/{part}"
