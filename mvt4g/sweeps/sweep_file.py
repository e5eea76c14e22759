"""A sweep's YAML file, and the runs it stands for: variants x grid x seeds.

    folder: runs/ablation/nano                 # each run gets a folder in it, ARM-SEED
    configs: [configs/experiment/nano.yaml]
    seeds: [0, 1, 2]
    set: {trainer.max_steps: 250}              # options of every run, by dotted path
    variants:                                  # arms by name
      none: {model.init_args.objectives: []}
      corr: {}
    grid:                                      # and every combination of these
      model.init_args.training.optimizer.init_args.lr: [0.001, 0.003]
    commands: [fit, test]                      # see ``Step``
    table: {control: none, scores: {"PSNR, dB": [test/psnr, higher]}}        # see ``mvt4g.sweeps.collect``

In a text ``{seed}`` is the run's seed, ``{run}`` its folder, and ``{checkpoint}``, in options, the last one of the last
fit before.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvt4g.formats.atomic import nearest_existing
from mvt4g.formats.parsing.files import read_text
from mvt4g.formats.parsing.limits import file_limits
from mvt4g.formats.parsing.yaml_files import parse_yaml_nodes
from mvt4g.sweeps.entries import KINDS, EntryError, Place, entry_lines, fill
from mvt4g.types import InputError

KEYS = ("folder", "configs", "seeds", "seed_options", "set", "variants", "grid", "commands", "table")
STEP_KEYS = ("name", "command", "configs", "set", "run")
VERBS = ("fit", "validate", "test", "predict")
MOST_RUNS = 10_000
"""Most runs that a file may stand for."""
SEED_OPTIONS = ("seed_everything", "model.init_args.training.seed")
"""What a seed sets, unless ``seed_options`` names others."""


@dataclass(frozen=True)
class Step:
    """One process of a run.

    ``fit`` and ``test`` alone mean the CLI's commands with the run's own options, in the run's folder, test with the
    last checkpoint of the last fit before. ``{name: probe, command: test, configs: [...], set: {...}}`` is a command
    with options of its own in the folder ``<run>/probe``; ``{name: plot, run: [python, -m, some.module, "{run}"]}`` is
    any other program: a sweep file runs programs by design, and one from a stranger is read like a shell script.

    Attributes:
        name: Of the step; unique within a run.
        folder: Its ``--run``.
        verb: fit, validate, test, predict; empty for another program.
        configs: Configuration files, later ones win.
        options: By dotted path.
        program: The words of another program.
        resumes: The command is handed the last checkpoint of ``fitted``.
        fitted: Folder of the last fit before; None = there is none.
        places: Where each option stands in the file.
        configs_at: Where its configurations stand.
    """

    name: str
    folder: Path
    verb: str
    configs: tuple[str, ...]
    options: Mapping[str, Any]
    program: tuple[str, ...]
    resumes: bool
    fitted: Path | None
    places: Mapping[str, Place]
    configs_at: Place


@dataclass(frozen=True)
class Run:
    """One arm with one seed.

    Attributes:
        name: ARM-SEED.
        arm: Its variant and grid cell.
        seed: Its seed.
        folder: Takes all it writes.
        options: What the file says of it, seed aside.
        steps: Its processes, one after another.
    """

    name: str
    arm: str
    seed: int
    folder: Path
    options: Mapping[str, Any]
    steps: tuple[Step, ...]

    @property
    def commands(self) -> list[Step]:
        """The steps that are commands of the suite."""
        return [step for step in self.steps if step.verb]


class SweepFile:
    """A sweep file that was read: its entries, and the line of each.

    Raises:
        InputError: If it cannot be read or says what no sweep file says, naming the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = read_text(path, "a sweep file", file_limits().yaml_bytes)
        try:
            node, content = parse_yaml_nodes(self.text, str(path), "a sweep file")
            self.lines = dict(entry_lines(node, ()))
        except InputError as error:
            raise InputError(re.sub(r": line (\d+): ", r":\1: ", str(error), count=1)) from error
        except EntryError as error:
            raise InputError(f"{path}:{error.line}: {error}") from error
        if not isinstance(content, dict):
            raise InputError(f"{path}:1: got {type(content).__name__}, want entries {', '.join(KEYS)}")
        for key in content.keys() - set(KEYS):
            raise self.error((key,), f"got entry {key!r}, want one of {', '.join(KEYS)}")
        self.folder = Path(self._take(content, "folder", "text"))
        self.configs = tuple(self._take(content, "configs", "a list of texts", []))
        self.seeds = tuple(self._take(content, "seeds", "a list of whole numbers", [0]))
        self.seed_options = tuple(self._take(content, "seed_options", "a list of texts", [*SEED_OPTIONS]))
        self.options: dict[str, Any] = self._take(content, "set", "a mapping", {})
        self.variants: dict[str, dict[str, Any]] = self._take(content, "variants", "a mapping", {"": {}})
        self.grid: dict[str, list[Any]] = self._take(content, "grid", "a mapping", {})
        self.commands = self._take(content, "commands", "a list", ["fit", "test"])
        self.table: dict[str, Any] = self._take(content, "table", "a mapping", {})
        self._check()

    @property
    def name(self) -> str:
        """What files made from this one are called by; sweeps that share a folder keep theirs apart."""
        return f"{self.path.absolute().parent.name}-{self.path.stem}"

    def error(self, place: Place, message: str) -> InputError:
        """Return an error that names the line of an entry, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        line = self.lines.get(place, 1)
        return InputError(f"{self.path}:{line}: {message}")

    def want(self, place: Place, value: Any, kind: str) -> Any:
        """Return a value if it is of a kind among KINDS.

        Raises:
            InputError: If it is not, naming its line.
        """
        if not KINDS[kind](value):
            raise self.error(place, f"{': '.join(map(str, place))}: got {value!r}, want {kind}")
        return value

    def runs(self) -> list[Run]:
        """Return all runs, arm by arm.

        Raises:
            InputError: If there are more than MOST_RUNS, two would have one name, or two seeds would do the same.
        """
        self._check_count()
        runs = []
        for arm, options, places in self._arms():
            for seed in self.seeds:
                runs.append(self._run(arm, seed, options, places))
        ((name, count),) = Counter(run.name for run in runs).most_common(1)
        if count > 1:
            place: Place = ("seeds",) if len(set(self.seeds)) < len(self.seeds) else ("grid",)
            raise self.error(place, f"{count} runs of one name {name!r}, want values that tell them apart")
        for run, other in itertools.pairwise(runs):
            if run.arm == other.arm and _work(run) == _work(other):
                place = ("seed_options",) if ("seed_options",) in self.lines else ("commands", 0)
                raise self.error(place, f"{run.name} and {other.name} would do the same, want {{seed}} in it")
        return runs

    def _check_count(self) -> None:
        """Count the runs before there are any: a grid of ten options of ten values has more than memory takes."""
        factors = [len(self.variants), *map(len, self.grid.values()), len(self.seeds)]
        if math.prod(factors) > MOST_RUNS:
            place: Place = ("grid",) if self.grid else ("seeds",)
            told = " x ".join(map(str, factors))
            raise self.error(place, f"got variants x grid x seeds = {told} runs, want at most {MOST_RUNS}")

    def _arms(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Place]]]:
        """Yield (name, options, where each stands) of every arm."""
        for variant, own in self.variants.items():
            for cell in itertools.product(*self.grid.values()):
                chosen = dict(zip(self.grid, cell, strict=True))
                names = [variant] if variant else []
                for path, value in chosen.items():
                    names.append(f"{path.rpartition('.')[2]}={self._value_name(path, value)}")
                options: dict[str, Any] = {}
                places: dict[str, Place] = {}
                # The most particular comes last: it takes the place of what stands there for all.
                for place, part in (("set",), self.options), (("variants", variant), own), (("grid",), chosen):
                    options |= part
                    places |= {path: (*place, path) for path in part}
                yield "-".join(names) or self.path.stem, options, places

    def _run(self, arm: str, seed: int, options: dict[str, Any], places: dict[str, Place]) -> Run:
        folder = self.folder / f"{arm}-{seed}"
        words = {"{seed}": str(seed), "{run}": str(folder)}
        own = fill(dict.fromkeys(self.seed_options, seed) | options, words)
        steps: list[Step] = []
        fitted = None
        for index, entry in enumerate(self.commands):
            if isinstance(entry, str):
                resumes = fitted is not None and entry != "fit"
                step = Step(entry, folder, entry, self.configs, own, (), resumes, fitted, places, ("configs",))
            else:
                step = self._own_step(index, words, folder, fitted)
            for path, value in step.options.items():
                if fitted is None and "{checkpoint}" in str(value):
                    raise self.error(step.places[path], f"{step.name}: {path}: got {{checkpoint}}, want a fit before")
            if step.verb == "fit":
                fitted = step.folder
            steps.append(step)
        return Run(f"{arm}-{seed}", arm, seed, folder, options, tuple(steps))

    def _own_step(self, index: int, words: Mapping[str, str], folder: Path, fitted: Path | None) -> Step:
        """Return a step that has options of its own, or is another program."""
        entry = self.commands[index]
        place = ("commands", index)
        options = fill(entry.get("set") or {}, words)
        return Step(
            name=entry["name"],
            folder=folder / entry["name"],
            verb=entry.get("command", ""),
            configs=tuple(entry.get("configs", ())),
            options=options,
            program=tuple(map(str, fill(entry.get("run", []), words))),
            resumes=False,
            fitted=fitted,
            places={path: (*place, "set", path) for path in options},
            configs_at=(*place, "configs"),
        )

    def _value_name(self, path: str, value: Any) -> str:
        if isinstance(value, dict):
            raise self.error(("grid", path), "got a mapping as a value, want one that can be a name; use variants")
        words = value if isinstance(value, list) else [value]
        text = "+".join("null" if word is None else str(word) for word in words)
        # Of a path the file's name alone: a slash would make a run's folder one in another.
        return re.sub(r"[^\w.+-]", "_", text.rpartition("/")[2])

    def _check(self) -> None:
        try:
            self.folder.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass  # it is made when the first run starts
        except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
            why = getattr(error, "strerror", None) or error
            raise self.error(("folder",), f"folder: got {str(self.folder)[:40]!r} ({why}), want a folder") from error
        nearest = nearest_existing(self.folder)
        if not nearest.is_dir():
            raise self.error(("folder",), f"folder: got {self.folder}, want a folder, but {nearest} is a file")
        for key in ("seeds", "commands"):
            if not getattr(self, key):
                raise self.error((key,), f"{key}: got an empty list, want at least one")
        self._check_options(("set",), self.options)
        self._check_arms()
        self._check_seed_options()
        self._check_files(("configs",), self.configs)
        names = set()
        for index, entry in enumerate(self.commands):
            place = ("commands", index)
            self._check_command(place, entry)
            name = entry if isinstance(entry, str) else entry["name"]
            if name in names:
                raise self.error(place, f"commands: got two of one name {name!r}, want names of their own")
            names.add(name)

    def _check_files(self, place: Place, configs: Iterable[str]) -> None:
        for config in configs:
            if not Path(config).is_file():
                raise self.error(place, f"configs: got {config}, want a file that exists")

    def _check_options(self, place: Place, options: Any) -> None:
        for path, value in self.want(place, options, "a mapping").items():
            self.want((*place, path), value, "text, a number, true, false, null, or lists and mappings of these")

    def _check_arms(self) -> None:
        if not self.variants:
            raise self.error(("variants",), "variants: got none, want at least one")
        if not self.grid and ("grid",) in self.lines:
            raise self.error(("grid",), "grid: got none, want dotted paths with lists of values")
        self._check_options(("grid",), self.grid)
        for path, values in self.grid.items():
            if not (isinstance(values, list) and values):
                raise self.error(("grid", path), f"grid: {path}: got {values!r}, want a list of values")
        for name, own in self.variants.items():
            self._check_options(("variants", name), own)
            if not re.fullmatch(r"[\w.+=-]*", name):
                raise self.error(("variants", name), f"variants: got {name!r}, want a name of letters, digits, _.+=-")
            for path in own.keys() & self.grid.keys():
                raise self.error(("variants", name, path), f"{path}: got it here and in the grid, want one of them")

    def _check_seed_options(self) -> None:
        """Check that no option takes the place of what a seed sets."""
        settings: dict[Place, Mapping[str, Any]] = {("grid",): self.grid, ("set",): self.options}
        for name, own in self.variants.items():
            settings["variants", name] = own
        for place, options in settings.items():
            for path, seeded in itertools.product(options, self.seed_options):
                # A whole mapping that holds the seed's option would set it too.
                if f"{seeded}.".startswith(f"{path}."):
                    told = f"{path}: got it here, but it is what a seed sets, want seeds alone"
                    raise self.error((*place, path), told)

    def _check_command(self, place: Place, entry: Any) -> None:
        if isinstance(entry, str):
            if entry not in VERBS:
                raise self.error(place, f"commands: got {entry!r}, want one of {', '.join(VERBS)}, or a mapping")
            return
        if not (isinstance(entry, dict) and entry.keys() <= set(STEP_KEYS) and "name" in entry):
            raise self.error(place, f"commands: got {entry!r}, want name and some of {', '.join(STEP_KEYS[1:])}")
        is_program = "run" in entry
        if is_program == ("command" in entry) or not (is_program or entry["command"] in VERBS):
            raise self.error(place, f"commands: {entry['name']}: want either run or command, one of {', '.join(VERBS)}")
        for key in ("configs", "set"):
            if is_program and key in entry:
                raise self.error((*place, key), f"{key}: got it beside run, want it with a command alone")
        if not re.fullmatch(r"\w[\w.+=-]*", self.want((*place, "name"), entry["name"], "text")):
            raise self.error((*place, "name"), f"name: got {entry['name']!r}, want letters, digits, _.+=-")
        if is_program:
            self.want((*place, "run"), entry["run"], "a list of words")
        self._check_options((*place, "set"), entry.get("set") or {})
        configs = self.want((*place, "configs"), entry.get("configs", []), "a list of texts")
        self._check_files((*place, "configs"), configs)

    def _take(self, content: dict[str, Any], key: str, kind: str, default: Any = ...) -> Any:
        if key not in content:
            if default is ...:
                raise InputError(f"{self.path}:1: got no entry {key!r}, want one")
            return default
        if content[key] is None and kind == "a mapping":
            return {}
        return self.want((key,), content[key], kind)


def _work(run: Run) -> list[Any]:
    """Return what a run's commands are told, or its programs where it has no command; the folder of each is its own."""
    return [step.options if step.verb else step.program for step in run.commands or run.steps]
