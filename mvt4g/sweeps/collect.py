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
import json
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mvt4g.cli.exits import exit_code
from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.yaml_files import read_yaml
from mvt4g.sweeps.options import VerbParser
from mvt4g.sweeps.results import Results, Score
from mvt4g.sweeps.run_files import read_times
from mvt4g.sweeps.sweep_file import Run, SweepFile
from mvt4g.viz.charts import DotPanel, draw_dots, save_chart

MINUS = "−"
NOT_SET = "not set"
"""Of an option that a run does not have, as one of a head in a run without."""


def tables(results: Results) -> str:
    """Return the table of means and that of paired differences, as Markdown."""
    seeds = f"{len(results.seeds)} seed{'s' if len(results.seeds) > 1 else ''}"
    heading = [f"| {_row(results.labels)}", "|---|" + "---:|" * len(results.labels)]
    lines = [f"Mean ± standard deviation over {seeds}, best in bold.", "", *heading]
    for arm in results.arms:
        cells = []
        for score in results.scores:
            cell = _spread(results.values(score)[arm], len(results.seeds))
            cells.append(f"**{cell}**" if arm in results.best_arms(score) else cell)
        lines.append(_row([arm, *cells]))
    told = "mean ± standard deviation (share of its mean; in how many seeds it is better)"
    lines += ["", f"Difference to {results.control}, seed by seed: {told}.", "", *heading]
    for arm in results.arms:
        if arm != results.control:
            cells = [_difference(results, arm, score) for score in results.scores]
            lines.append(_row([arm, *cells]))
    if results.unfinished:
        lines += ["", f"Not finished: {', '.join(results.unfinished)}."]
    for score in results.scores:
        lines += _why_missing(results, score)
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _why_missing(results: Results, score: Score) -> list[str]:
    """Return what is to be said under a table of a score that finished runs lack."""
    lacking = []
    for run in results.finished:
        if math.isnan(results.value(run.arm, run.seed, score)):
            lacking.append(run.name)
    if not lacking:
        return []
    why = f"{score.key} is null (a score over nothing) or missing in the metrics.json of {', '.join(lacking)}."
    return ["", f"n/a of {score.label}: {why}"]


def cpu_minutes(results: Results) -> float:
    """Return the processor time that the runs took, in minutes, as far as it was kept."""
    seconds = 0.0
    for run in results.runs:
        path = run.folder / "times.json"
        if path.exists():
            for step in read_times(path).values():
                seconds += step.get("cpu_s", 0.0)
    return seconds / 60


def write_csv(path: Path, results: Results) -> None:
    """Write one row a run: arm, seed, the options that tell arms apart, the scores; one that is missing is empty."""
    options = results.differing_options()
    with appearing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["arm", "seed", *options, *results.labels])
        for run in results.runs:
            row = [run.arm, run.seed, *used_options(run, options).values()]
            for value in results.run_values(run):
                row.append("" if math.isnan(value) else value)
            writer.writerow(row)


def used_options(run: Run, options: Sequence[str]) -> dict[str, str | int | float | bool]:
    """Return what each option was in a run: as its file says, else the default that it kept, from its own config.yaml.

    Args:
        run: One whose first command has written its configuration; a program that is no command writes none.
        options: Dotted paths.
    """
    first = (run.commands or run.steps)[0]
    folder = first.folder if first.verb == "fit" else first.folder / first.verb
    path = folder / "config.yaml"
    config = read_yaml(path, "the configuration of a run") if path.is_file() else {}
    used = {}
    for option in options:
        value = run.options[option] if option in run.options else _entry(config, option)
        used[option] = value if isinstance(value, str | int | float | bool) else json.dumps(value)
    return used


def write_hparams(results: Results) -> None:
    """Write what TensorBoard's HParams tab compares runs by, in place of what was written before."""
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    options = results.differing_options()
    names = _short_names(options)
    for run in results.finished:
        used = used_options(run, options).values()
        settings: dict[str, Any] = {"arm": run.arm, "seed": run.seed, **dict(zip(names, used, strict=True))}
        values = dict(zip(results.labels, results.run_values(run), strict=True))
        for old in run.folder.glob("events.out.tfevents.*.hparams"):
            old.unlink()
        writer = SummaryWriter(run.folder, filename_suffix=".hparams")
        # SummaryWriter.add_hparams would write into a folder of its own, one more at every call.
        for summary in hparams(settings, values):
            writer._get_file_writer().add_summary(summary)
        for label, value in values.items():
            writer.add_scalar(label, value)
        writer.close()


def dot_panels(results: Results) -> list[DotPanel]:
    """Return a panel a score: its label, which way is better, and the values of every arm."""
    panels = []
    for score in results.scores:
        note = "" if score.better == "neither" else f" ({score.better})"
        panels.append(DotPanel(score.label + note, results.values(score)))
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
    # Whatever a run left is read before anything is written.
    with appearing(Path(f"{place}.md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_csv(Path(f"{place}.csv"), results)
    write_hparams(results)
    with appearing(Path(f"{place}.png")) as temporary:
        save_chart(draw_dots(dot_panels(results)), temporary)
    print(text)
    print(f"{minutes:.1f} CPU-minutes; {place}.md, .csv, .png")


def _spread(values: Sequence[float], wanted: int) -> str:
    if not values:
        return "n/a"
    mean = statistics.fmean(values)
    text = _with_deviation(f"{mean:.{_digits(mean)}f}", values, _digits(mean))
    return text if len(values) == wanted else f"{text} (n = {len(values)})"


def _difference(results: Results, arm: str, score: Score) -> str:
    differences, controls = results.differences(arm, score)
    if not differences:
        return "n/a"
    mean = statistics.fmean(differences)
    control = statistics.fmean(controls)
    # A difference is told as finely as what it is a difference of.
    digits = _digits(control)
    text = _with_deviation(f"{mean:+.{digits}f}", differences, digits)
    notes = []
    if control:
        notes.append(f"{100 * mean / abs(control):+.0f} %")
    if score.better != "neither":
        sign = 1 if score.better == "higher" else -1
        better = sum(sign * difference > 0 for difference in differences)
        notes.append(f"{better}/{len(differences)}")
    return f"{text} ({', '.join(notes)})".replace("-", MINUS)


def _with_deviation(text: str, values: Sequence[float], digits: int) -> str:
    """Return the text of a mean with the deviation of its values, which a single value does not have."""
    return text if len(values) == 1 else f"{text} ± {statistics.stdev(values):.{digits}f}"


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


def _short_names(paths: Sequence[str]) -> list[str]:
    """Return the shortest endings of dotted paths that tell them apart."""
    counts: Counter[str] = Counter()
    for path in paths:
        counts.update(_endings(path))
    names = []
    for path in paths:
        *shorter, whole = _endings(path)
        # All of one path may be the end of another: then it has no ending of its own.
        names.append(next(filter(lambda ending: counts[ending] == 1, shorter), whole))
    return names


def _endings(path: str) -> list[str]:
    """Return the endings of a dotted path, the shortest first and the whole last."""
    endings: list[str] = []
    for part in reversed(path.split(".")):
        endings.append(f"{part}.{endings[-1]}" if endings else part)
    return endings
