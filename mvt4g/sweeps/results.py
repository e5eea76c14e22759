"""Scores of the runs of a sweep, by arm and seed, read from the files that the runs left."""

import difflib
import fnmatch
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvt4g.errors import InputError
from mvt4g.sweeps.entries import Place
from mvt4g.sweeps.launch import is_finished
from mvt4g.sweeps.run_files import read_metrics
from mvt4g.sweeps.sweep_file import Run, SweepFile

BETTER = ("higher", "lower", "neither")
TABLE_KEYS = {
    "control": "text",
    "scores": "a mapping",
    "curves": "a list of texts",
    "pictures": "texts by name",
    "scenes": "texts by name",
    "title": "text",
    "about": "text",
}
"""What the file's ``table`` may hold, and of what kind it is."""


@dataclass(frozen=True)
class Score:
    """A column of the table.

    Attributes:
        label: Its heading.
        key: Of metrics.json or of the fit's events; with ``*`` the best of all that match.
        better: higher, lower or neither.
    """

    label: str
    key: str
    better: str

    def choose_best(self, values: Sequence[float]) -> float:
        """Return the best of some values, NaN for none; one that is not finite is none."""
        finite = list(filter(math.isfinite, values))
        if not finite:
            return math.nan
        return min(finite) if self.better == "lower" else max(finite)

    def matches(self, key: str) -> bool:
        """Say whether a key is the score's own, or one of those that its ``*`` stands for."""
        return fnmatch.fnmatchcase(key, self.key)


class Results:
    """What the runs of a sweep scored, by arm and seed, in the file's order whatever the order they ran in.

    Raises:
        InputError: If the file's ``table`` cannot be understood, naming the line.
    """

    def __init__(self, sweep: SweepFile) -> None:
        self.sweep = sweep
        self.runs = sweep.runs()
        self.finished: list[Run] = []
        self.unfinished: list[str] = []
        self.arms = list(dict.fromkeys(run.arm for run in self.runs))
        self.seeds = list(sweep.seeds)
        self.control = self._read_control()
        self.scores = self._read_scores()
        self.labels = [score.label for score in self.scores]
        self._values: dict[tuple[str, int, str], float] = {}
        keys: set[str] = set()
        arms = set()
        for run in self.runs:
            if not is_finished(run):
                self.unfinished.append(run.name)
                continue
            self.finished.append(run)
            arms.add(run.arm)
            metrics = run_metrics(run)
            keys |= metrics.keys()
            for score in self.scores:
                matching = [value for key, value in metrics.items() if score.matches(key)]
                self._values[run.arm, run.seed, score.label] = score.choose_best(matching)
        # Arms differ in what they log: a key that no run has yet may be one of an arm without a finished run.
        if arms == set(self.arms):
            self._check_keys(keys)

    def value(self, arm: str, seed: int, score: Score) -> float:
        """Return a run's value of a score, NaN where it has none or the run is not finished."""
        return self._values.get((arm, seed, score.label), math.nan)

    def run_values(self, run: Run) -> list[float]:
        """Return a run's value of every score."""
        return [self.value(run.arm, run.seed, score) for score in self.scores]

    def values(self, score: Score) -> dict[str, list[float]]:
        """Return every arm's values over the seeds, without the missing ones."""
        values: dict[str, list[float]] = {}
        for arm in self.arms:
            own = values.setdefault(arm, [])
            for seed in self.seeds:
                value = self.value(arm, seed, score)
                if not math.isnan(value):
                    own.append(value)
        return values

    def differences(self, arm: str, score: Score) -> tuple[list[float], list[float]]:
        """Return an arm's differences to the control and the control's values, over the seeds that both have."""
        differences = []
        controls = []
        for seed in self.seeds:
            control = self.value(self.control, seed, score)
            difference = self.value(arm, seed, score) - control
            if not math.isnan(difference):
                differences.append(difference)
                controls.append(control)
        return differences, controls

    def best_arms(self, score: Score) -> list[str]:
        """Return the arms with the best mean, of those with the most seeds: one lucky seed is not the best of three."""
        if score.better == "neither":
            return []
        values = self.values(score)
        most = max(map(len, values.values()))
        means = {}
        for arm, own in values.items():
            if own and len(own) == most:
                means[arm] = math.fsum(own) / most
        best = score.choose_best(list(means.values()))
        arms = []
        for arm, mean in means.items():
            if mean == best:  # several where they are equal
                arms.append(arm)
        return arms

    def differing_options(self) -> list[str]:
        """Return the options that are not the same in all arms."""
        options: dict[str, Any] = {}
        for run in self.runs:
            options |= run.options
        differing = []
        for path in options:
            values = {json.dumps(run.options.get(path, "")) for run in self.runs}
            if len(values) > 1:
                differing.append(path)
        return differing

    def _check_keys(self, keys: Collection[str]) -> None:
        for score in self.scores:
            if not any(map(score.matches, keys)):
                (near,) = difflib.get_close_matches(score.key, keys, n=1, cutoff=0.0)
                place = ("table", "scores", score.label)
                raise self.sweep.error(place, f"{score.label}: got {score.key}, which no run has, want one as {near}")

    def _read_control(self) -> str:
        for key, value in self.sweep.table.items():
            if key not in TABLE_KEYS:
                raise self.sweep.error(("table", key), f"table: got {key!r}, want some of {', '.join(TABLE_KEYS)}")
            self.sweep.want(("table", key), value, TABLE_KEYS[key])
        for kind in ("pictures", "scenes"):
            for caption, pattern in self.sweep.table.get(kind, {}).items():
                self._check_pattern(("table", kind, caption), pattern)
        control = self.sweep.table.get("control", self.arms[0])
        if control not in self.arms:
            raise self.sweep.error(("table", "control"), f"control: got {control!r}, want one of {self.arms}")
        return control

    def _check_pattern(self, place: Place, pattern: str) -> None:
        """Check that files within a run's folder can match a pattern."""
        try:
            next(Path("no such folder").glob(pattern), None)
            outside = ".." in Path(pattern).parts
        except (NotImplementedError, ValueError):  # an absolute one, an empty one, ** within a name
            outside = True
        if outside:
            raise self.sweep.error(place, f"{place[1]}: got {pattern!r}, want a pattern of files in a run's folder")

    def _read_scores(self) -> list[Score]:
        entries = self.sweep.table.get("scores")
        if not (isinstance(entries, dict) and entries):
            raise self.sweep.error(("table",), "table: got no scores, want scores: {LABEL: [KEY, higher]}")
        scores = []
        for label, entry in entries.items():
            if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and entry[1] in BETTER):
                place = ("table", "scores", label)
                raise self.sweep.error(place, f"{label}: got {entry!r}, want [KEY, one of {', '.join(BETTER)}]")
            scores.append(Score(label, *entry))
        return scores


def run_metrics(run: Run) -> dict[str, float]:
    """Return a finished run's scores, null as NaN, with the last values of its fit's events.

    A program may test too: what it leaves in ``<run>/NAME/test/metrics.json`` counts as that of a test of its name.
    """
    metrics = {}
    for tag, curve in read_curves(run.folder).items():
        _, metrics[tag] = curve[-1]
    for step in run.steps:
        path = step.folder / "test" / "metrics.json"
        if step.verb != "test" and not (step.program and path.is_file()):
            continue
        prefix = "" if step.folder == run.folder else f"{step.name}/"
        for key, value in read_metrics(path).items():
            metrics[prefix + key] = math.nan if value is None else value
    return metrics


def read_curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the scalars that a folder's events hold as (step, value), by tag; of a step logged twice the later one.

    Raises:
        InputError: If an event file cannot be opened.
    """
    # Importing it takes a second.
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    if not any(folder.glob("events.out.tfevents.*")):
        return {}
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    try:
        events.Reload()
    except OSError as error:
        raise InputError(f"{folder}: its event files cannot be read ({error.strerror})") from error
    curves = {}
    for tag in events.Tags()["scalars"]:
        if "/" in tag:
            values = {event.step: event.value for event in events.Scalars(tag)}
            curves[tag] = sorted(values.items())
    return curves
