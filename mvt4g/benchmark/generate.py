"""``mvt4g benchmark generate``: every video from every camera for every seed, as ``predict`` makes one.

The command line is that of ``predict``, but for ``--out``, ``--method``, ``--cameras`` and ``--seeds``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from lightning.pytorch import Callback

from mvt4g.benchmark.outcome import BenchmarkOutcome
from mvt4g.benchmark.writer import BenchmarkPlan, BenchmarkWriter
from mvt4g.callbacks.outcome import Outcome
from mvt4g.callbacks.prediction_writer import PredictionWriter
from mvt4g.callbacks.run_facts import RunFacts
from mvt4g.callbacks.run_record import RunRecord
from mvt4g.cli.suite import SuiteCLI, start
from mvt4g.commands.verb_options import VerbParser
from mvt4g.data.target_cameras import target_cameras
from mvt4g.errors import InputError
from mvt4g.geometry.trajectories import BENCHMARK_CAMERAS

MOST_SEEDS = 1000
TAKEN = {"--run": "--out", "--data.init_args.trajectory": "--cameras", "--data.trajectory": "--cameras"}
"""Options of ``predict`` that have another name here."""
NAMED_HERE = {"--out": "--run", "--cameras": "trajectory"}
"""What they are called in messages of ``predict``."""


def main(argv: list[str]) -> int:
    """Generate, and return the exit code 0.

    Raises:
        InputError: If an option is bad, the folder holds other videos, or some videos failed.
        RunStopped: If another job has the folder for itself.
    """
    options, others = parser().parse_known_args(argv)
    if "--help" in others:  # --help all
        start(["predict", *others], GenerateCLI)
    plan = plan_of(options, others)
    cli = type("GenerateCLI", (GenerateCLI,), {"plan": plan})
    try:
        start(["predict", "--run", str(plan.folder), *others], cli)
    except InputError as error:
        told = str(error)
        for here, there in NAMED_HERE.items():
            if told.startswith(f"{there}: "):
                raise InputError(f"{here}{told.removeprefix(there)}") from error
        raise
    return 0


def parser() -> VerbParser:
    """Return the parser of the options that ``predict`` has not."""
    made = VerbParser("benchmark generate")
    made.add_argument("--out", type=Path)
    made.add_argument("--method")
    made.add_argument("--cameras", type=_names)
    made.add_argument("--seeds", type=_seed_count, default=1)
    return made


def plan_of(options: argparse.Namespace, others: Sequence[str]) -> BenchmarkPlan:
    """Return what a command line asks for.

    Args:
        options: As ``parser`` gives them.
        others: Those of ``predict``.

    Raises:
        InputError: If one is missing or bad.
    """
    if options.out is None:
        raise InputError("--out: got none, want the folder that takes <method>/<clip>_<camera>.mp4")
    for option in others:
        name = option.partition("=")[0]
        if name in TAKEN:
            raise InputError(f"{name}: got it for benchmark generate, want {TAKEN[name]}")
    method = options.method or method_name(others)
    if not method or method.startswith(".") or "/" in method or "\0" in method:
        raise InputError(f"--method: got {method!r}, want the name of a folder in --out")
    if options.cameras is not None:
        target_cameras(list(options.cameras))
    return BenchmarkPlan(options.out / method, method, options.cameras, options.seeds)


def method_name(others: Sequence[str]) -> str:
    """Return what a method is called by the first configuration of a command line: its file, or a run's folder.

    Raises:
        InputError: If there is no configuration.
    """
    for place, option in enumerate(others):
        name, separator, value = option.partition("=")
        if name not in ("-c", "--config"):
            continue
        path = Path(value if separator else next(iter(others[place + 1 :]), ""))
        return path.absolute().parent.name if path.stem == "config" else path.stem
    raise InputError("-c: got none, want the configuration of a model")


class GenerateCLI(SuiteCLI):
    """``predict`` whose results are the videos of a benchmark."""

    plan: ClassVar[BenchmarkPlan]

    def before_instantiate_classes(self) -> None:
        """See real videos from the benchmark's cameras; other data have cameras of their own.

        Raises:
            InputError: As that of ``SuiteCLI``.
        """
        super().before_instantiate_classes()
        arguments = self.config[self.subcommand].data.init_args
        if "trajectory" in arguments:
            arguments.trajectory = list(self.plan.cameras or BENCHMARK_CAMERAS)

    def build_outcome(self, run: Path, command: str) -> Outcome:
        """Return what keeps the videos' fates."""
        return BenchmarkOutcome(self.plan.folder)  # a configuration may name the run that trained it

    def build_callbacks(self, record: RunRecord) -> list[Callback]:
        """Return the callbacks of ``predict`` with the benchmark's writer in the place of predict's files."""
        kept = [
            callback
            for callback in super().build_callbacks(record)
            if not isinstance(callback, PredictionWriter | RunRecord)
        ]
        settings = self.config[self.subcommand]
        assert isinstance(self.outcome, BenchmarkOutcome)
        facts = RunFacts(self.plan.folder, record.config, settings.get("ckpt_path"))
        return [*kept, BenchmarkWriter(self.outcome, facts, self.plan)]


def _names(text: str) -> tuple[str, ...]:
    """Return the cameras of a list with commas."""
    texts = [part.strip() for part in text.split(",")]
    if not all(texts):
        raise argparse.ArgumentTypeError(f"got {text!r}, want names between commas")
    return tuple(texts)


def _seed_count(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST_SEEDS)) and 1 <= int(text) <= MOST_SEEDS:
        return int(text)
    raise argparse.ArgumentTypeError(f"got {text:.40}, want a whole number from 1 to {MOST_SEEDS}")
