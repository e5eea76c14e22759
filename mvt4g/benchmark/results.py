"""What ``mvt4g benchmark score`` left, gathered by method and metric."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mvt4g.benchmark.cases import Case, case_of, expected_cases, means_over_seeds
from mvt4g.benchmark.score_files import SCORED, ScoreRow, VideoRow, read_methods, read_score_rows, read_video_rows


@dataclass
class Scores:
    """One metric of one method.

    Attributes:
        values: By clip and camera; where several seeds were drawn, the mean over those that have a value.
        reasons: Why scored videos have none, and of how many files each is true.
    """

    values: dict[Case, float] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass
class Method:
    """A method.

    Attributes:
        expected: Clips and cameras that it should have a video of.
        scored: Files that were scored, by clip and camera and by seed ("" = none is named).
        lost: What became of the other videos, as (status, reason), and of how many.
        absent: The same in words, by clip and camera.
        facts: What its videos were taken to be, see ``score_files.METHOD_FACTS``.
    """

    expected: dict[Case, None] = field(default_factory=dict)
    scored: dict[Case, dict[str, str]] = field(default_factory=dict)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    absent: dict[Case, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """The scores of all methods.

    Attributes:
        methods: By name, in the order of ``methods.json``.
        directions: By metric: whether higher is better; None = neither, as of a share.
        scores: By method and metric.
        notes: What ``scores.csv`` says of a method and metric.
        preset: The protocol of the scores.
        settings: Of the command that scored.
    """

    methods: dict[str, Method]
    directions: dict[str, bool | None]
    scores: dict[tuple[str, str], Scores]
    notes: dict[tuple[str, str], str]
    preset: str
    settings: Mapping[str, Any]

    def of(self, method: str, metric: str) -> Scores:
        """Return the scores of a method by a metric; none where it was not scored."""
        return self.scores.get((method, metric), Scores())

    @property
    def cases(self) -> list[Case]:
        """Return every clip and camera that any method should have, sorted."""
        found: set[Case] = set()
        for method in self.methods.values():
            found.update(method.expected)
        return sorted(found)


def read_results(out: Path) -> Results:
    """Read a folder that ``mvt4g benchmark score`` wrote.

    Raises:
        InputError: If one of its three files is missing or of another form.
    """
    facts = read_methods(out)
    methods = {name: Method(facts=own) for name, own in facts["methods"].items()}
    scores = _gather(read_video_rows(out), methods)
    directions, notes = _directions_and_notes(read_score_rows(out))
    return Results(methods, directions, scores, notes, str(facts.get("preset", "")), facts.get("settings", {}))


def _gather(rows: Iterable[VideoRow], methods: dict[str, Method]) -> dict[tuple[str, str], Scores]:
    """Return scores by method and metric; what rows say of videos goes into their methods."""
    by_score: dict[tuple[str, str], list[VideoRow]] = {}
    by_method: dict[str, list[VideoRow]] = {}
    for row in rows:
        method = methods.setdefault(row.method, Method())
        by_method.setdefault(row.method, []).append(row)
        if row.metric:
            by_score.setdefault((row.method, row.metric), []).append(row)
        elif row.status == SCORED:
            method.scored.setdefault(case_of(row), {})[row.seed] = row.file
        else:
            method.lost[row.status, row.reason] += 1
            method.absent[case_of(row)] = f"{row.status}: {row.reason}" if row.reason else row.status
    for name, own in by_method.items():
        methods[name].expected = expected_cases(own)
    scores = {}
    for key, of_score in by_score.items():
        reasons = Counter(row.reason or row.status for row in of_score if row.value is None)
        scores[key] = Scores(means_over_seeds(of_score), reasons)
    return scores


def _directions_and_notes(
    rows: Iterable[ScoreRow],
) -> tuple[dict[str, bool | None], dict[tuple[str, str], str]]:
    directions: dict[str, bool | None] = {}
    notes = {}
    for row in rows:
        if row.metric:
            known = {"higher": True, "lower": False}.get(row.better)
            directions[row.metric] = directions.get(row.metric) if known is None else known
        if row.note:
            notes[row.method, row.metric] = row.note
    return directions, notes
