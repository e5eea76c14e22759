"""The paper's table with ours beside it: means, intervals, gains over each row's own backbone, and what is odd."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from mvt4g.benchmark.camera_bounds import camera_fault
from mvt4g.benchmark.published import CAM_MC, COLUMNS, DIGITS, PUBLISHED, ROTATION, TRANSLATION, Column, PublishedRow
from mvt4g.benchmark.results import Results, Scores
from mvt4g.metrics.functional.bootstrap import bootstrap_interval
from mvt4g.types import InputError

OWN_BACKBONES = {"ours_recammaster": "recammaster", "ours_redirector": "redirector"}
"""Of methods by the names that the paper's project page gives their files."""
_ROUNDING = 0.5 * 10.0**-DIGITS


@dataclass(frozen=True)
class Gain:
    """How far a row is from its backbone.

    Attributes:
        change: Own value minus the backbone's; of measured rows the mean over videos that both have.
        low: Lower end of the 95 % bootstrap interval of that mean; NaN where there is none.
        high: Its upper end.
        is_better: Whether the change is a gain; None = no change.
        num_videos: That both have; 0 for published rows, which are means already.
    """

    change: float
    low: float
    high: float
    is_better: bool | None
    num_videos: int

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Cell:
    """A number of the table.

    Attributes:
        value: The mean over videos.
        low: Lower end of its 95 % bootstrap interval; NaN where there is none.
        high: Its upper end.
        num_videos: Behind the mean; None = not published.
        num_missing: Videos without a value.
        gain: Over the row's backbone; None = the row has none, or one of the two has no value.
        is_best: Best of the rows that may be compared, see ``Section``.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    num_videos: int | None = None
    num_missing: int = 0
    gain: Gain | None = None
    is_best: bool = False


@dataclass(frozen=True)
class TableRow:
    """A method.

    Attributes:
        method: Its name.
        backbone: That it is compared with, or None.
        cells: By metric; None = no video has a value.
        fault: How its camera errors contradict each other, see ``camera_fault``; empty if they do not.
    """

    method: str
    backbone: str | None
    cells: dict[str, Cell | None]
    fault: str = ""


@dataclass(frozen=True)
class Section:
    """Rows under one heading.

    The best number of a column is the best of all published rows, or of all measured rows with as many videos as any:
    a mean over fewer videos is one over other videos.

    Attributes:
        title: The heading.
        rows: In order.
        is_measured: False = copied from the paper.
    """

    title: str
    rows: tuple[TableRow, ...]
    is_measured: bool


@dataclass(frozen=True)
class Note:
    """Something that was not computed.

    Attributes:
        method: Of whom.
        metric: Which score; empty = videos as a whole.
        num_videos: How many it is true of; 0 = of all.
        reason: Why.
    """

    method: str
    metric: str
    num_videos: int
    reason: str


@dataclass(frozen=True)
class TruthOrder:
    """Whether metrics put true videos before all others, on the videos that both have.

    Attributes:
        truth: The method whose videos are the true ones.
        kept: Columns of metrics that put no other method before it.
        broken: Column, method and gain of every other method that a metric puts before it.
    """

    truth: str
    kept: tuple[Column, ...]
    broken: tuple[tuple[Column, str, Gain], ...]


@dataclass(frozen=True)
class Comparison:
    """All that a table prints.

    Attributes:
        columns: Those of the paper.
        sections: The paper's groups, then what was measured.
        further: Columns of metrics that were measured and that the paper does not print.
        notes: What was not computed, and why.
        preset: The protocol of what was measured.
        facts: What each method's videos were taken to be, in words, by method and fact.
        order: Whether metrics put the truth first; None = no method is the truth.
    """

    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    further: tuple[Column, ...]
    notes: tuple[Note, ...]
    preset: str
    facts: Mapping[str, Mapping[str, str]]
    order: "TruthOrder | None" = None

    @property
    def measured(self) -> tuple[TableRow, ...]:
        """The rows that were measured here."""
        rows: list[TableRow] = []
        for section in self.measured_sections:
            rows += section.rows
        return tuple(rows)

    @property
    def measured_sections(self) -> tuple[Section, ...]:
        """The sections of rows that were measured here."""
        return tuple(section for section in self.sections if section.is_measured)

    @property
    def faults(self) -> tuple[tuple[str, str], ...]:
        """Every row whose camera errors contradict each other, with how."""
        found = []
        for section in self.sections:
            for row in section.rows:
                if row.fault:
                    found.append((row.method, row.fault))
        return tuple(found)


def compare(results: Results, backbones: Mapping[str, str] | None = None, truth: str | None = None) -> Comparison:
    """Set what was measured beside what was published.

    A measured row is compared with its backbone as measured here, never with a published number: protocols differ.

    Args:
        results: Of the benchmark.
        backbones: By method; beside ``OWN_BACKBONES``, whose entries they replace.
        truth: The method whose videos are the true ones, if one is.

    Raises:
        InputError: If a method, backbone or truth is not among those measured, or a method its own backbone.
    """
    if truth is not None and truth not in results.methods:
        raise InputError(f"--truth: got {truth!r}, want one of {', '.join(results.methods)}")
    given = dict(backbones or {})
    for method, own in given.items():
        for name in (method, own):
            if name not in results.methods:
                raise InputError(f"--backbone: got {name!r}, want one of {', '.join(results.methods)}")
        if method == own:
            raise InputError(f"--backbone: got {method!r} as its own backbone, want another method")
    further = _further_columns(results)
    columns = (*COLUMNS, *further)
    measured = []
    for method in results.methods:
        backbone: str | None = given.get(method, OWN_BACKBONES.get(method))
        if backbone not in results.methods:
            backbone = None  # the page's own name of a method whose backbone was not scored
        measured.append(_measured_row(results, method, backbone, columns))
    sections = _published_sections()
    sections.append(Section("Measured here", tuple(_with_best(measured, columns)), is_measured=True))
    return Comparison(
        COLUMNS,
        tuple(sections),
        further,
        _notes(results, columns),
        results.preset,
        _facts(results),
        None if truth is None else _truth_order(results, truth, columns),
    )


def _further_columns(results: Results) -> tuple[Column, ...]:
    """Return the scores that were measured beside the paper's: those that have a direction."""
    printed = {column.metric for column in COLUMNS}
    columns = []
    for metric, direction in results.directions.items():
        if metric not in printed and direction is not None:
            columns.append(Column(metric, metric, direction))
    return tuple(columns)


def _published_sections() -> list[Section]:
    rows = _with_best([_published_row(source) for source in PUBLISHED], COLUMNS)
    by_group: dict[str, list[TableRow]] = {}
    for row, source in zip(rows, PUBLISHED, strict=True):
        by_group.setdefault(source.group, []).append(row)
    sections = []
    for group, members in by_group.items():
        sections.append(Section(f"{group} (published)", tuple(members), is_measured=False))
    return sections


def _published_row(source: PublishedRow) -> TableRow:
    base = next((row for row in PUBLISHED if row.method == source.backbone), None)
    cells: dict[str, Cell | None] = {}
    for column in COLUMNS:
        value = source.values[column.metric]
        gain = None
        if base is not None:
            change = round(value - base.values[column.metric], DIGITS)
            gain = Gain(change, math.nan, math.nan, _is_gain(change, column), 0)
        cells[column.metric] = Cell(value, gain=gain)
    values = source.values
    fault = camera_fault(values[ROTATION], values[TRANSLATION], values[CAM_MC], _ROUNDING)
    return TableRow(source.method, source.backbone, cells, fault)


def _measured_row(results: Results, method: str, backbone: str | None, columns: Sequence[Column]) -> TableRow:
    cells: dict[str, Cell | None] = {}
    for column in columns:
        own = results.of(method, column.metric)
        gain = None if backbone is None else _gain(own, results.of(backbone, column.metric), column)
        cells[column.metric] = _measured_cell(own, gain, len(results.methods[method].expected))
    return TableRow(method, backbone, cells, _measured_fault(results, method))


def _measured_cell(scores: Scores, gain: Gain | None, num_expected: int) -> Cell | None:
    if not scores.values:
        return None
    values = torch.tensor(list(scores.values.values()), dtype=torch.float64)
    low, high = bootstrap_interval(values)
    return Cell(float(values.mean()), float(low), float(high), len(values), num_expected - len(values), gain)


def _gain(own: Scores, base: Scores, column: Column) -> Gain | None:
    """Return the mean difference over the videos that both have, so that neither gains by videos that it lacks."""
    differences = []
    for case, value in own.values.items():
        if case in base.values:
            differences.append(value - base.values[case])
    if not differences:
        return None
    changes = torch.tensor(differences, dtype=torch.float64)
    low, high = bootstrap_interval(changes)
    change = float(changes.mean())
    return Gain(change, float(low), float(high), _is_gain(change, column), len(changes))


def _is_gain(change: float, column: Column) -> bool | None:
    if change == 0:
        return None
    return (change > 0) == column.higher_is_better


def _measured_fault(results: Results, method: str) -> str:
    """Check the camera errors of the videos that have all three; cameras without translation have no mTransErr."""
    errors = [results.of(method, metric).values for metric in (ROTATION, TRANSLATION, CAM_MC)]
    shared = [case for case in errors[0] if case in errors[1] and case in errors[2]]
    if not shared:
        return ""
    rotation, translation, cam_mc = (sum(values[case] for case in shared) / len(shared) for values in errors)
    return camera_fault(rotation, translation, cam_mc)


def _truth_order(results: Results, truth: str, columns: Sequence[Column]) -> TruthOrder:
    """Compare every other method with the truth as a row is compared with its backbone."""
    kept = []
    broken = []
    for column in columns:
        true_scores = results.of(truth, column.metric)
        before = []
        for method in results.methods:
            gain = None if method == truth else _gain(results.of(method, column.metric), true_scores, column)
            if gain is not None and gain.is_better:
                before.append((column, method, gain))
        if true_scores.values and not before:
            kept.append(column)
        broken += before
    return TruthOrder(truth, tuple(kept), tuple(broken))


def _with_best(rows: Sequence[TableRow], columns: Sequence[Column]) -> list[TableRow]:
    """Return the rows with the best number of each column marked, where there are two to compare."""
    marked = list(rows)
    for column in columns:
        metric = column.metric
        # By the number of videos: a published row has none, and competes with all published rows.
        values: dict[int, list[float]] = {}
        for row in rows:
            cell = row.cells.get(metric)
            if cell is not None:
                values.setdefault(cell.num_videos or 0, []).append(cell.value)
        most = max(values, default=0)
        fullest = values.get(most, [])
        if len(set(fullest)) < 2:
            continue
        best = max(fullest) if column.higher_is_better else min(fullest)
        for place, row in enumerate(marked):
            cell = row.cells.get(metric)
            if cell is not None and (cell.num_videos or 0) == most and cell.value == best:
                marked[place] = replace(row, cells={**row.cells, metric: replace(cell, is_best=True)})
    return marked


def _notes(results: Results, columns: Sequence[Column]) -> tuple[Note, ...]:
    """Return what was not computed: videos of a method that were not scored, and scores that videos do not have."""
    notes = []
    for name, method in results.methods.items():
        for (status, reason), count in method.lost.items():
            notes.append(Note(name, "", count, f"{status}: {reason}" if reason else status))
        if not method.scored:
            notes.append(Note(name, "", 0, results.notes.get((name, ""), "no video was scored")))
            continue
        for column in columns:
            scores = results.of(name, column.metric)
            for reason, count in scores.reasons.items():
                notes.append(Note(name, column.metric, count, reason))
            told = results.notes.get((name, column.metric), "")
            if not scores.values and not scores.reasons:
                notes.append(Note(name, column.metric, 0, told or f"not in the preset {results.preset}"))
    return tuple(notes)


def _facts(results: Results) -> dict[str, dict[str, str]]:
    """Return the facts of each method as text, those that nobody knows left out."""
    told: dict[str, dict[str, str]] = {}
    for name, method in results.methods.items():
        own = {}
        for fact, value in method.facts.items():
            text = _fact_text(value)
            if text:
                own[fact] = text
        told[name] = own
    return told


def _fact_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {entry}" for name, entry in value.items())
    if isinstance(value, list):
        return " ".join(str(entry) for entry in value)
    return str(value)
