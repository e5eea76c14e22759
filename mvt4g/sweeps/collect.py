"""``mvt4g collect FILE.yaml``: gathers the runs of a sweep into one table.

What is shown stands in the sweep file:

    table:
      control: plucker                                # the arm that others are held against, seed by seed
      scores:
        "PSNR, dB": [test/psnr, higher]               # a key of metrics.json, or of the fit's events: its last value
        "best layer's PCK": ["test/attention_pck/layer*/cross@0.50", higher]     # the best of several
        "failed poses": [test/camera/mvtrack4gen/num_failed, neither]

Written into the sweep's folder: a table (``.md``), a row a run (``.csv``) and a plot (``.png``), and in every run's own
an event file that TensorBoard's HParams tab reads. Runs that did not finish are named beneath the table.
"""

import csv
import difflib
import fnmatch
import json
import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvt4g.cli.exits import exit_code
from mvt4g.errors import InputError
from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.yaml_files import read_yaml
from mvt4g.sweeps.launch import is_finished
from mvt4g.sweeps.options import VerbParser
from mvt4g.sweeps.run_files import read_metrics, read_times
from mvt4g.sweeps.sweep_file import Place, Run, SweepFile
from mvt4g.viz.charts import DotPanel, draw_dots, save_chart

BETTER = ("higher", "lower", "neither")
TABLE_KEYS = {
    "control": "text",
    "scores": "a mapping",
    "curves": "a list of texts",
    "pictures": "texts by name",
    "title": "text",
    "about": "text",
}
"""What the file's ``table`` may hold, and of what kind it is."""
MINUS = "−"
NOT_SET = "not set"
"""Of an option that a run does not have, as one of a head in a run without."""


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

    def best(self, values: Sequence[float]) -> float:
        """Return the best of some values, NaN for none; one that is not finite is none."""
        known = [value for value in values if math.isfinite(value)]
        if not known:
            return math.nan
        return min(known) if self.better == "lower" else max(known)


class Results:
    """What the runs of a sweep scored, by arm and seed, in the file's order whatever the order they ran in.

    Raises:
        InputError: If the file's ``table`` cannot be understood, naming the line.
    """

    def __init__(self, sweep: SweepFile) -> None:
        self.sweep, self.runs = sweep, sweep.runs()
        self.arms = list(dict.fromkeys(run.arm for run in self.runs))
        self.seeds = list(sweep.seeds)
        self.control, self.scores = self._control(), self._scores()
        self.values: dict[tuple[str, int, str], float] = {}
        self.unfinished: list[Run] = []
        known: set[str] = set()
        for run in self.runs:
            finished = is_finished(run)
            metrics = run_metrics(run) if finished else {}
            known |= metrics.keys()
            if not finished:
                self.unfinished.append(run)
            for score in self.scores:
                found = [value for key, value in metrics.items() if fnmatch.fnmatchcase(key, score.key)]
                self.values[run.arm, run.seed, score.label] = score.best(found)
        begun = {run.arm for run in self.runs if run not in self.unfinished}
        if begun == set(self.arms):  # which differ in what they log
            self._check_keys(known)

    def of(self, arm: str, score: Score) -> list[float]:
        """Return an arm's values over the seeds, without the missing ones."""
        values = [self.values[arm, seed, score.label] for seed in self.seeds]
        return [value for value in values if not math.isnan(value)]

    def pairs(self, arm: str, score: Score) -> list[tuple[float, float]]:
        """Return the values of arm and control of every seed that both have."""
        pairs = [(self.values[arm, seed, score.label], self.values[self.control, seed, score.label])
                 for seed in self.seeds]  # fmt: skip
        return [(ours, theirs) for ours, theirs in pairs if not math.isnan(ours - theirs)]

    def best_arms(self, score: Score) -> list[str]:
        """Return the arms with the best mean, of those with the most seeds: one lucky seed is not the best of three."""
        if score.better == "neither":
            return []
        values = {arm: self.of(arm, score) for arm in self.arms}
        most = max(map(len, values.values()))
        means = {arm: _mean(own) for arm, own in values.items() if own and len(own) == most}
        return [arm for arm, mean in means.items() if mean == score.best(list(means.values()))]

    def differing_options(self) -> list[str]:
        """Return the options that are not the same in all arms."""
        paths = dict.fromkeys(path for run in self.runs for path in run.options)
        return [path for path in paths if len({json.dumps(run.options.get(path, "")) for run in self.runs}) > 1]

    def _check_keys(self, known: Collection[str]) -> None:
        for score in self.scores:
            if not any(fnmatch.fnmatchcase(key, score.key) for key in known):
                near = difflib.get_close_matches(score.key, known, n=1, cutoff=0.0)[0]
                place = ("table", "scores", score.label)
                raise self.sweep.error(place, f"{score.label}: got {score.key}, which no run has, want one as {near}")

    def _control(self) -> str:
        for key, value in self.sweep.table.items():
            if key not in TABLE_KEYS:
                raise self.sweep.error(("table", key), f"table: got {key!r}, want some of {', '.join(TABLE_KEYS)}")
            self.sweep.want(("table", key), value, TABLE_KEYS[key])
        for caption, pattern in self.sweep.table.get("pictures", {}).items():
            self._check_pattern(("table", "pictures", caption), pattern)
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
            raise self.sweep.error(place, f"pictures: got {pattern!r}, want a pattern of files in a run's folder")

    def _scores(self) -> list[Score]:
        entries = self.sweep.table.get("scores")
        if not (isinstance(entries, dict) and entries):
            raise self.sweep.error(("table",), "table: got no scores, want scores: {LABEL: [KEY, higher]}")
        for label, entry in entries.items():
            if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and entry[1] in BETTER):
                place = ("table", "scores", label)
                raise self.sweep.error(place, f"{label}: got {entry!r}, want [KEY, one of {', '.join(BETTER)}]")
        return [Score(label, *entry) for label, entry in entries.items()]


def run_metrics(run: Run) -> dict[str, float]:
    """Return a finished run's scores, null as NaN, with the last values of its fit's events."""
    found: dict[str, float] = {}
    for step in run.steps:
        if step.verb == "test":
            prefix = "" if step.folder == run.folder else f"{step.name}/"
            read = read_metrics(step.folder / "test" / "metrics.json")
            found |= {prefix + key: math.nan if value is None else value for key, value in read.items()}
    return {**{tag: curve[-1][1] for tag, curve in curves(run).items()}, **found}


def curves(run: Run) -> dict[str, list[tuple[int, float]]]:
    """Return ``folder_curves`` of a run's fit."""
    return folder_curves(run.folder)


def folder_curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
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
    tags = [tag for tag in events.Tags()["scalars"] if "/" in tag]
    return {tag: sorted({event.step: event.value for event in events.Scalars(tag)}.items()) for tag in tags}


def tables(results: Results) -> str:
    """Return the table of means and that of paired differences, as Markdown."""
    labels = [score.label for score in results.scores]
    head = ["| |" + "|".join(f" {label} " for label in labels) + "|", "|---|" + "---:|" * len(labels)]
    best = {score.label: results.best_arms(score) for score in results.scores}
    seeds = f"{len(results.seeds)} seed{'s' if len(results.seeds) > 1 else ''}"
    lines = [f"Mean ± standard deviation over {seeds}, best in bold.", "", *head]
    for arm in results.arms:
        cells = []
        for score in results.scores:
            cell = _spread(results.of(arm, score), len(results.seeds))
            cells.append(f"**{cell}**" if arm in best[score.label] else cell)
        lines.append(f"| {arm} |" + "|".join(f" {cell} " for cell in cells) + "|")
    lines += [
        "",
        f"Difference to {results.control}, seed by seed: mean ± standard deviation (share of its mean; in how many "
        "seeds it is better).",
        "",
        *head,
    ]
    for arm in results.arms:
        if arm != results.control:
            cells = [_difference(results, arm, score) for score in results.scores]
            lines.append(f"| {arm} |" + "|".join(f" {cell} " for cell in cells) + "|")
    if results.unfinished:
        lines += ["", f"Not finished: {', '.join(run.name for run in results.unfinished)}."]
    lines += [line for score in results.scores for line in _why_missing(results, score)]
    return "\n".join(lines) + "\n"


def _why_missing(results: Results, score: Score) -> list[str]:
    """Return what is to be said under a table of a score that finished runs lack."""
    finished = [run for run in results.runs if run not in results.unfinished]
    lacking = [run.name for run in finished if math.isnan(results.values[run.arm, run.seed, score.label])]
    if not lacking:
        return []
    why = f"{score.key} is null (a score over nothing) or missing in the metrics.json of {', '.join(lacking)}."
    return ["", f"n/a of {score.label}: {why}"]


def cpu_minutes(results: Results) -> float:
    """Return the processor time that the runs took, in minutes, as far as it was kept."""
    paths = [path for run in results.runs if (path := run.folder / "times.json").exists()]
    return sum(step.get("cpu_s", 0.0) for path in paths for step in read_times(path).values()) / 60


def write_csv(path: Path, results: Results) -> None:
    """Write one row a run: arm, seed, the options that tell arms apart, the scores; one that is missing is empty."""
    options = results.differing_options()
    with appearing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["arm", "seed", *options, *(score.label for score in results.scores)])
        for run in results.runs:
            values = [results.values[run.arm, run.seed, score.label] for score in results.scores]
            settings = used_options(run, options).values()
            writer.writerow([run.arm, run.seed, *settings, *("" if math.isnan(value) else value for value in values)])


def used_options(run: Run, options: Sequence[str]) -> dict[str, str | int | float | bool]:
    """Return what each option was in a run: as its file says, else the default that it kept, from its own config.yaml.

    Args:
        run: One whose first command has written its configuration; a program that is no command writes none.
        options: Dotted paths.
    """
    first = next((step for step in run.steps if step.verb), run.steps[0])
    path = first.folder / "config.yaml" if first.verb == "fit" else first.folder / first.verb / "config.yaml"
    kept = read_yaml(path, "the configuration of a run") if path.is_file() else {}
    return {
        option: _text(run.options[option]) if option in run.options else _text(_entry(kept, option))
        for option in options
    }


def write_hparams(results: Results) -> None:
    """Write what TensorBoard's HParams tab compares runs by, in place of what was written before."""
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    options = results.differing_options()
    names = {path: short for path, short in zip(options, _short_names(options), strict=True)}
    for run in results.runs:
        if run in results.unfinished:
            continue
        settings: dict[str, Any] = {"arm": run.arm, "seed": run.seed}
        settings |= {names[path]: value for path, value in used_options(run, options).items()}
        values = {score.label: results.values[run.arm, run.seed, score.label] for score in results.scores}
        for old in run.folder.glob("events.out.tfevents.*.hparams"):
            old.unlink()
        writer = SummaryWriter(run.folder, filename_suffix=".hparams")
        for summary in hparams(settings, values):
            writer._get_file_writer().add_summary(summary)
        for label, value in values.items():
            writer.add_scalar(label, value)
        writer.close()


def dot_panels(results: Results) -> list[DotPanel]:
    """Return a panel a score: its label, which way is better, and the values of every arm."""
    notes = {"higher": " (higher)", "lower": " (lower)", "neither": ""}
    panels = []
    for score in results.scores:
        values = {arm: results.of(arm, score) for arm in results.arms}
        panels.append(DotPanel(score.label + notes[score.better], values))
    return panels


def main(args: Sequence[str]) -> int:
    """Collect a sweep, print its table and return the exit code.

    Args:
        args: What follows ``mvt4g collect`` on the command line.
    """
    return exit_code(lambda: _collect(Path(parser().parse_args(args).file)))


def parser() -> VerbParser:
    """Return the parser of the verb."""
    return VerbParser("collect")


def _collect(file: Path) -> None:
    """Print and write a sweep's table.

    Raises:
        InputError: If the sweep file or what a run left cannot be read, or the folder cannot be written.
    """
    results = Results(SweepFile(file))
    place = results.sweep.folder / results.sweep.name
    text = tables(results)
    minutes = cpu_minutes(results)
    with appearing(Path(f"{place}.md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_csv(Path(f"{place}.csv"), results)
    write_hparams(results)
    with appearing(Path(f"{place}.png")) as temporary:
        save_chart(draw_dots(dot_panels(results)), temporary)
    print(text)
    print(f"{minutes:.1f} CPU-minutes; {place}.md, .csv, .png")


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def _spread(values: Sequence[float], wanted: int) -> str:
    if not values:
        return "n/a"
    digits = _digits(_mean(values))
    text = f"{_mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    return text if len(values) == wanted else f"{text} (n = {len(values)})"


def _difference(results: Results, arm: str, score: Score) -> str:
    pairs = results.pairs(arm, score)
    if not pairs:
        return "n/a"
    differences = [ours - theirs for ours, theirs in pairs]
    mean, control = _mean(differences), _mean([theirs for _, theirs in pairs])
    digits = _digits(control)
    text = f"{mean:+.{digits}f}"
    if len(differences) > 1:
        text += f" ± {statistics.stdev(differences):.{digits}f}"
    notes = [f"{100 * mean / abs(control):+.0f} %"] if control else []
    if score.better != "neither":
        better = sum(value > 0 if score.better == "higher" else value < 0 for value in differences)
        notes.append(f"{better}/{len(differences)}")
    return f"{text} ({', '.join(notes)})".replace("-", MINUS)


def _digits(size: float) -> int:
    """Return how many decimals show about three figures."""
    return 2 if abs(size) >= 3 else 3 if abs(size) >= 0.1 else 4


def _entry(config: Any, path: str) -> Any:
    """Return what stands at a dotted path of a configuration, NOT_SET where it has no such place."""
    for key in path.split("."):
        if not (isinstance(config, dict) and key in config):
            return NOT_SET
        config = config[key]
    return config


def _text(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else json.dumps(value)


def _short_names(paths: Sequence[str]) -> list[str]:
    """Return the shortest endings of dotted paths that tell them apart."""
    parts = [path.split(".") for path in paths]
    short = []
    for own in parts:
        count = next(n for n in range(1, len(own) + 1) if sum(other[-n:] == own[-n:] for other in parts) == 1)
        short.append(".".join(own[-count:]))
    return short
