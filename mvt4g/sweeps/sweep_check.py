"""Checks of a sweep before its first run starts: command lines are parsed, models and data are built."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from mvt4g.cli.suite import SuiteCLI, start
from mvt4g.sweeps.entries import Place
from mvt4g.sweeps.launch import arguments
from mvt4g.sweeps.sweep_file import Run, Step, SweepFile
from mvt4g.types import InputError


class _Built(SuiteCLI):
    """Parses a command line and builds model and data as its command would, and stops there."""

    def _parse_ckpt_path(self) -> None:
        """Leave checkpoints alone, which runs have yet to write."""

    def _set_seed(self) -> None:
        """Leave this process's random numbers alone."""

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Make one on this machine's CPU, which writes nothing: the machine that runs may have other devices."""
        here = {
            "accelerator": "cpu",
            "devices": 1,
            "num_nodes": 1,
            "strategy": "auto",
            "precision": None,
            "logger": False,
        }
        config = {**self._get(self.config_init, "trainer", default={}), **here, "plugins": None, "profiler": None}
        return self._instantiate_trainer(config, [])

    def _run_subcommand(self, subcommand: str) -> None:
        """Stop here."""


def check(sweep: SweepFile, runs: Sequence[Run]) -> None:
    """Check runs before the first one starts.

    Of every arm the first run's command lines are parsed by the command line's own parser, and its model and data built
    (on the CPU, one after another). The other seeds differ by the seed alone: files that a text with ``{seed}`` names
    must be there for all of them.

    Raises:
        InputError: Naming the line of the file that is at fault.
    """
    checked: dict[str, Run] = {}
    for run in runs:
        first = checked.setdefault(run.arm, run)
        for step, first_step in zip(run.steps, first.steps, strict=True):
            _check_files(sweep, step, first_step)
    for run in checked.values():
        for step in run.steps:
            # A command that resumes builds what the first one built, if their configurations are the same.
            if step.verb and (step is run.steps[0] or step.configs != run.steps[0].configs or not step.resumes):
                _check_step(sweep, run, step)


def _check_files(sweep: SweepFile, step: Step, first: Step) -> None:
    for path, value in step.options.items():
        of_first = first.options.get(path)
        if not (isinstance(value, str) and isinstance(of_first, str)) or value == of_first:
            continue
        if Path(of_first).exists() and not Path(value).exists():
            told = f"{path}: got {value}, want a file that exists, as {of_first} does"
            raise sweep.error(step.places[path], f"{told}{_who_makes(sweep, step, told)}")


def _check_step(sweep: SweepFile, run: Run, step: Step) -> None:
    fault = _fault(run, step)
    if fault is not None:
        hint = _who_makes(sweep, step, str(fault))
        raise sweep.error(_blamed(run, step, str(fault)), f"{run.name}: {step.name}: {fault}{hint}") from fault


def sweep_that_makes(path: Path, beside: Path) -> Path | None:
    """Return the sweep file one of whose runs would write a file, or None.

    Args:
        path: Of the file that is missing.
        beside: A sweep file; those in its folder and in the folders beside that are looked at.
    """
    for file in sorted(beside.resolve().parent.parent.glob("*/*.yaml")):
        try:
            runs = SweepFile(file).runs()
        except InputError:
            continue  # no sweep file
        folders = {run.folder.resolve() for run in runs}
        if file != beside.resolve() and not folders.isdisjoint(path.resolve().parents):
            here = Path.cwd()
            return file.relative_to(here) if file.is_relative_to(here) else file
    return None


def _who_makes(sweep: SweepFile, step: Step, told: str) -> str:
    """Return which sweep makes a file that is missing, in words to end a message with; nothing if none is known to."""
    for value in step.options.values():
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, str) and path in told and not Path(path).exists():
                maker = sweep_that_makes(Path(path), sweep.path)
                if maker is not None:
                    return f"; `mvt4g sweep {maker}` makes it"
    return ""


def _fault(run: Run, step: Step, without: str = "") -> Exception | None:
    """Return what is wrong with a step, if anything is, one of its options left out."""
    kept = {}
    for path, value in step.options.items():
        if path != without and "{checkpoint}" not in str(value):  # which a run has yet to write
            kept[path] = value
    try:
        start(arguments(run, replace(step, options=kept))[2:], _Built)
    except (InputError, MisconfigurationException, ValueError) as error:
        return error
    return None


def _blamed(run: Run, step: Step, told: str) -> Place:
    """Return where the first option stands without which nothing is wrong, the most particular tried first.

    A parser's message tells what it met, which need not be what was written: a path of another class, or a layer that
    is one too many for a network whose size another option sets. Where several options are wrong, the one that this
    message is about is that without which there is another; where none is, the configurations are.
    """
    order = ("variants", "grid", "commands", "set")
    options = sorted(step.places.items(), key=lambda item: order.index(str(item[1][0])))
    other = None
    for path, place in options:
        fault = _fault(run, step, without=path)
        if fault is None:
            return place
        if other is None and str(fault) != told:
            other = place
    return step.configs_at if other is None else other
