"""Collections of metrics that take what they need by name: means by key, and a table of every video."""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.functional.bootstrap import bootstrap_interval
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.shared_work import by_work, update_group
from mvt4g.metrics.video_names import VideoNames
from mvt4g.types import GeneratedVideos, InputError

ASKED = "target_world_from_cam"
"""The cameras asked for, in the form in which pose errors take them."""
FOUND_BY = {"pred_world_from_cam": "pred_world_from_cam (a pose estimator's)"}
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
        notes: What is to be told of each video, such as why no camera was found.
        of_the_set: Scores that no single video has, by key, as a distance of sets.
    """

    names: tuple[str, ...]
    scores: dict[str, Float[Tensor, " videos"]]
    notes: tuple[str, ...]
    of_the_set: dict[str, float] = field(default_factory=dict)

    def with_failed(self, failed: Mapping[str, str]) -> "ScoreTable":
        """Return the table with a row more for each video that has no score at all, and why, by name."""
        if not failed:
            return self
        missing = torch.full((len(failed),), torch.nan, dtype=torch.float64)
        scores = {}
        for key, values in self.scores.items():
            scores[key] = torch.cat([values.double(), missing])
        names = (*self.names, *failed)
        return replace(self, names=names, scores=scores, notes=(*self.notes, *failed.values()))

    def summary(self) -> dict[str, ScoreSummary]:
        """Return mean and spread of every score, by key; what only counts is left out."""
        summaries = {}
        for key, values in self.scores.items():
            if is_count(key):
                continue
            low, high = bootstrap_interval(values)
            num_videos = int((~values.isnan()).sum())
            num_missing = len(values) - num_videos
            mean = float(values.nanmean())
            summaries[key] = ScoreSummary(mean, float(low), float(high), num_videos, num_missing)
        return summaries


class Scores(MetricCollection):
    """Metrics that each take, by name, what they need of what is known.

    A member is updated whenever all that its ``update`` cannot do without is known, and has a score once that was so.
    Keys are ``<member>`` for a single score and ``<member>/<score>`` for a family.

    Args:
        members: Metrics by name.
        row: What the names stand for that come with what is known. Members whose rows are of that kind are tables of
            them: what several ranks saw counts once, and what a member lacked is a row without a value.
    """

    def __init__(self, members: Mapping[str, Metric], row: str = "video") -> None:
        every = {**members, NAMES: VideoNames()}
        modules = {name.replace(".", "_"): name for name in every}  # a module's name has no dot
        assert len(modules) == len(members) + 1, "names that differ by more than a dot"
        # Compute groups would let one member stand for others whose first batch came out alike.
        super().__init__({module: every[name] for module, name in modules.items()}, compute_groups=False)
        self.names = modules
        self.row = row
        self.lacking: dict[str, set[str]] = {}

    @property
    def update_called(self) -> bool:
        """True once anything was added."""
        return any(metric.update_called for metric in self.members().values())

    def members(self) -> dict[str, Metric]:
        """Return the metrics by name, in the order given, and that of the names."""
        by_module = dict(self.items(keep_base=True, copy_state=False))
        return {name: by_module[module] for module, name in self.names.items()}

    def take(
        self,
        known: Mapping[str, Any],
        names: Sequence[str] | None = None,
        notes: Sequence[str] | None = None,
    ) -> None:
        """Hand what is known of a batch to every member that it is enough for.

        Args:
            known: By the names that metrics give the parameters of ``update``.
            names: Of the rows that the batch adds; None = it adds none, being known in parts.
            notes: What tables tell of each row.
        """
        ready = []
        for name, metric in self.members().items():
            if isinstance(metric, VideoNames):
                if names is not None:
                    metric.update(names, notes)
            elif unknown := required_inputs(metric) - known.keys():
                if names is not None:
                    self.lacking.setdefault(name, set()).update(unknown)
                    if self._has_rows(metric):
                        metric.add_missing(len(names))
            else:
                ready.append(metric)
        for group in by_work(ready):
            update_group(group, dict(known))

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return by key the scores of the members that anything was added to."""
        updated = {name: metric for name, metric in self.members().items() if metric.update_called}
        scores = self._compute_members(updated)
        scores.pop(NAMES, None)  # a table has a row a name
        return scores

    def table(self) -> ScoreTable:
        """Return the scores of every row of all ranks; all ranks must call it."""
        names, notes, rows = self._rows()
        columns: dict[str, Tensor] = {}
        of_the_set: dict[str, float] = {}
        for member, metric in self.members().items():
            if self._has_rows(metric):
                with metric.sync_context(dist_sync_fn=metric.dist_sync_fn), metric.only_rows(rows):
                    for name, value in metric.table().items():
                        columns[score_key(member, name)] = value.cpu()
            elif not isinstance(metric, VideoNames):
                for key, value in _by_key(member, metric.compute()).items():
                    if not is_count(key):
                        of_the_set[key] = float(value)
        kept = rows.tolist()
        kept_names = tuple(names[row] for row in kept)
        kept_notes = tuple(notes[row] for row in kept)
        return ScoreTable(kept_names, columns, kept_notes, of_the_set)

    def remarks(self) -> dict[str, str]:
        """Return why members have no value, or not of every row (of this rank), by member."""
        remarks = {}
        for name, unknown in self.lacking.items():
            wanted = [FOUND_BY.get(argument, argument) for argument in sorted(unknown)]
            remarks[name] = f"needs {', '.join(wanted)}"
        return remarks

    def take_notes(self) -> dict[str, Any]:
        """Return what the batches so far did not know, and forget it: see ``systems.metric_shares.LeavesNotes``."""
        lacking = self.lacking
        self.lacking = {}
        return {name: sorted(unknown) for name, unknown in lacking.items()}

    def add_notes(self, notes: dict[str, Any]) -> None:
        """Add what further batches did not know."""
        for name, unknown in notes.items():
            self.lacking.setdefault(name, set()).update(unknown)

    def reset(self) -> None:
        """Forget everything added."""
        super().reset()
        self.lacking.clear()

    def _compute_members(self, members: Mapping[str, Metric]) -> dict[str, Shaped[Tensor, ""]]:
        """Return the scores of members by key; a video that several ranks saw counts once where names are known."""
        scores: dict[str, Tensor] = {}
        rows = self._rows()[2] if NAMES in members else None
        for name, metric in members.items():
            with metric.only_rows(rows) if rows is not None and self._has_rows(metric) else nullcontext():
                scores |= _by_key(name, metric.compute())
        return scores

    def _has_rows(self, metric: Metric) -> TypeGuard[PerVideoMetric]:
        return isinstance(metric, PerVideoMetric) and metric.row == self.row

    def _rows(self) -> tuple[list[str], list[str], Int[Tensor, " rows"]]:
        """Return the names and notes of all ranks, and where each row comes first, by name; all ranks must call it."""
        metric = self.members()[NAMES]
        assert isinstance(metric, VideoNames)
        with metric.sync_context(dist_sync_fn=metric.dist_sync_fn):
            names = metric.names()
            # By name, so that the table does not depend on how videos were shared out among ranks.
            rows = sorted(metric.first_rows(), key=names.__getitem__)
            return names, metric.notes(), torch.tensor(rows, dtype=torch.int64)


class NovelViewMetrics(Scores):
    """A collection of metrics of generated novel views, each of which takes what it needs of ``GeneratedVideos``.

    A member whose inputs are not known for a batch has no value for its videos, which is counted, and never stops
    the others. A video that several ranks saw, as when a sampler pads them, counts once (but in a distance of sets,
    which keeps no value a video). Members are named by metric and protocol, as ``camera/mvtrack4gen``.

    Args:
        members: Metrics by name. Their ``update`` takes fields of ``GeneratedVideos`` by name, and
            ``target_world_from_cam``.
        absent: Members of the protocol that cannot run here, and what they need.
        only_known: Leave scores that no video has out of the means, in place of NaN.

    Raises:
        InputError: If a member's ``update`` asks for something else.
    """

    def __init__(
        self,
        members: Mapping[str, Metric],
        absent: Mapping[str, str] | None = None,
        only_known: bool = False,
    ) -> None:
        offered = GeneratedVideos.offered() | {ASKED}
        for name, metric in members.items():
            if strange := required_inputs(metric) - offered:
                raise InputError(f"{name}: its update wants {min(strange)}, want only fields of GeneratedVideos")
        super().__init__(dict(sorted(members.items())))
        self.absent = dict(absent or {})
        self.only_known = only_known

    def update(  # type: ignore[override]  # ModuleDict's own means another thing
        self, videos: GeneratedVideos, asked_world_from_cam: Float[Tensor, "b t 4 4"] | None = None
    ) -> None:
        """Hand a batch to every member.

        Args:
            videos: What is known.
            asked_world_from_cam: The cameras asked for, where the target's are others, such as estimated ones; None =
                they are the target's.
        """
        known: dict[str, Any] = {**videos.known(), "target": videos.target, "reference": videos.reference}
        if asked_world_from_cam is not None:
            known[ASKED] = asked_world_from_cam.double()
        elif videos.target.cam_from_world is not None:
            known[ASKED] = invert_pose(videos.target.cam_from_world.double())
        self.take(known, videos.names, videos.notes)

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return every member's scores by key."""
        scores = self._compute_members(self.members())
        if self.only_known:
            return {key: score for key, score in scores.items() if not bool(score.isnan())}
        return scores

    def remarks(self) -> dict[str, str]:
        """Return why members have no value, or not of every video (of this rank), by member."""
        remarks = super().remarks()
        for name, reason in self.absent.items():
            remarks[name] = f"not run: {reason}"
        return remarks


def required_inputs(metric: Metric) -> set[str]:
    """Return the arguments that a metric's ``update`` cannot do without; some metrics say so themselves."""
    if stated := getattr(metric, "required_inputs", None):
        return set(stated)
    required = set()
    for parameter in metric._update_signature.parameters.values():
        if parameter.default is inspect.Parameter.empty:
            required.add(parameter.name)
    return required


def is_count(key: str) -> bool:
    """Say whether a key is that of a count, not of a score."""
    return key.rpartition("/")[2].startswith("num_")


def score_key(member: str, part: str) -> str:
    """Return the key of a member's score: ``member/part``, or ``member`` where the part says no more.

    A part says no more if the metric returns one value, or a value of the member's own name.
    """
    return member if part in ("", "score", member.rpartition("/")[2]) else f"{member}/{part}"


def _by_key(
    member: str,
    value: Shaped[Tensor, ""] | dict[str, Shaped[Tensor, ""]],
) -> dict[str, Shaped[Tensor, ""]]:
    parts = value if isinstance(value, dict) else {"": value}
    return {score_key(member, part): score for part, score in parts.items()}
