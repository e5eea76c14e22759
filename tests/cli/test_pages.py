"""The short help pages against the real parser: every option exists, with its range and default; examples parse."""

import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from lightning.pytorch import Trainer

from mvt4g.cli import main
from mvt4g.cli.pages import FOLDER, OVERVIEW, help_page, without_all
from mvt4g.cli.suite import SuiteCLI, start
from mvt4g.commands.parsing.config_files import config_text
from mvt4g.commands.parsing.option_ranges import TOP, TRAINER
from mvt4g.commands.parsing.parser import parse
from mvt4g.commands.run_verb import verb_function, verb_parser
from mvt4g.commands.verbs import COMMANDS, PARSE_THEMSELVES, TAKES_A_PATH, TRAINER_COMMANDS
from mvt4g.errors import InputError
from mvt4g.formats.parsing.class_paths import named_class
from mvt4g.ranges import Range, alternatives, hints_of

ROOT = Path(__file__).parents[2]
PARSED = [*TRAINER_COMMANDS, *COMMANDS]
VERBS = [*PARSED, *PARSE_THEMSELVES]
OPTION = re.compile(r"^  (--[\w.-]+|-c|PATH|FOLDER)(?: .*)?$", re.MULTILINE)
LONGEST_LINE = 110
defaults: dict[tuple[str, str], Any] = {}
"""Of the options of a trainer's command itself, by command and option: the parser that has parsed an example says."""


class Stated(NamedTuple):
    """What the parser knows of an option."""

    default: Any
    range: Range | None


class Parsed(SuiteCLI):
    """Parses a command line and stops before anything is built."""

    def before_instantiate_classes(self) -> None:
        raise StopParsing(self)


class StopParsing(Exception):
    pass


def read(verb: str) -> str:
    return (FOLDER / f"{verb}.txt").read_text()


def options_of(verb: str) -> Iterator[tuple[str, str]]:
    """Yield every option that a page names in its list, and what is told of it."""
    listed = read(verb).partition("Options that matter:\n")[2].partition("\nExample")[0]
    names = [*OPTION.finditer(listed)]
    ends = [found.start() for found in names[1:]] + [len(listed)]
    for found, end in zip(names, ends, strict=True):
        yield found[1], " ".join(listed[found.end() : end].split())


def examples_of(verb: str) -> list[str]:
    told = re.split(r"\nExamples?:\n", read(verb))[1]
    return [line.strip() for line in told.splitlines() if f"{line} ".startswith(f"  mvt4g {verb} ")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that looks like a checkout after ``make demo``, as far as examples ask."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    run = tmp_path / "runs" / "demo"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(config_text(ROOT / "configs" / "experiment" / "demo.yaml"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SuiteCLI, "_parse_ckpt_path", lambda self: None)
    return tmp_path


def parse_example(line: str) -> Any:
    """Parse an example with the command's own parser; return the configuration of the command."""
    verb, *args = shlex.split(line)[1:]
    if verb in COMMANDS:
        parser, args = verb_parser(verb, args)
        return parse(parser, args, verb_function(verb))[0]
    with pytest.raises(StopParsing) as stop:
        start([verb, *args], Parsed)
    (cli,) = stop.value.args
    for name in TOP:
        defaults[verb, name] = cli._parser(verb).get_default(name)
    return cli.config[verb]


def stated(verb: str, name: str, config: Any) -> Stated | None:
    """Return what the parser knows of an option; None if it has none of that name."""
    keys = name.removeprefix("--").split(".")
    if verb in COMMANDS:
        return find(verb_function(verb), keys, config)
    if keys[0] == "trainer":
        return Stated(inspect.signature(Trainer.__init__).parameters[keys[1]].default, TRAINER.get(keys[1]))
    if keys[0] in ("model", "data"):
        assert keys[1] == "init_args"
        spec = config[keys[0]]
        return find(named_class(spec["class_path"], keys[0]), keys[2:], spec["init_args"])
    return Stated(defaults.get((verb, keys[0]), ...), TOP.get(keys[0])) if keys[0] in config else None


def find(owner: Callable[..., Any], keys: list[str], config: Any) -> Stated | None:
    """Walk through the arguments of a class or function, and of the dataclasses among them."""
    key, *rest = keys
    parameters = inspect.signature(owner).parameters
    if key not in parameters:
        return None
    hint = hints_of(owner if is_dataclass(owner) or inspect.isfunction(owner) else owner.__init__)[key]
    if rest:
        inner = next(kind for kind in alternatives(hint) if is_dataclass(kind))
        return find(inner, rest, config.get(key) or {})
    notes = [note for kind in alternatives(hint) for note in getattr(kind, "__metadata__", ())]
    ranges = [note for note in notes if isinstance(note, Range)]
    default = parameters[key].default
    if is_dataclass(owner):
        field = next(field for field in fields(owner) if field.name == key)
        default = field.default if field.default_factory is MISSING else field.default_factory()
    return Stated(default, ranges[0] if ranges else None)


def faults_of(verb: str, configs: list[Any]) -> list[str]:
    """Return what a page says of its options that the parser does not."""
    faults = []
    for name, told in options_of(verb):
        if name == "-c" or (verb in TAKES_A_PATH and name in ("PATH", "FOLDER")):
            continue
        known = next((found for config in configs if (found := stated(verb, name, config)) is not None), None)
        if known is None:
            faults.append(f"{name}: no option of {verb}")
            continue
        words = re.search(r"\(default (.*?)\)(?:$| )", told + " ")
        if words and known.default is not ... and words[1] != str(known.default):
            faults.append(f"{name}: default {words[1]}, is {known.default}")
        if isinstance(known.default, int | float | str) and not words and "default:" not in told:
            faults.append(f"{name}: no default, is {known.default}")
        if known.range is not None and not any(text in told for text in range_texts(known.range)):
            faults.append(f"{name}: {told}; is {known.range!r}")
    return faults


def range_texts(wanted: Range) -> list[str]:
    """Return how a page may put a range: as messages do, or where a command narrows it, by 1 more."""
    return [repr(wanted), f"at least {wanted.low + 1:g} here"]


@pytest.mark.parametrize("verb", PARSED)
def test_every_option_of_a_page_is_the_parsers(verb, place):
    configs = [parse_example(example) for example in examples_of(verb)]
    assert configs, "a page has an example"
    assert faults_of(verb, configs) == []


def test_a_page_that_says_otherwise_is_caught(place, monkeypatch):
    (example,) = examples_of("fit")
    wrong = read("fit").replace("(default 200)", "(default 100)").replace("--on_nan", "--on_nun")
    wrong = wrong.replace("at least 1 (default 8)", "at least 0 (default 8)")
    monkeypatch.setitem(globals(), "read", lambda verb: wrong)
    faults = faults_of("fit", [parse_example(example)])
    assert [fault.partition(":")[0] for fault in faults] == [
        "--checkpoint_every",
        "--on_nun",
        "--data.init_args.loader.batch_size",
    ]


@pytest.mark.parametrize("verb", VERBS)
def test_a_page_is_short_and_printed_as_it_is(verb, capfd):
    assert main([verb, "--help"]) == 0
    page = capfd.readouterr().out
    assert page == read(verb)
    assert page.startswith(f"mvt4g {verb}: ")
    assert len(page.splitlines()) <= 62
    others = [line for line in page.splitlines() if not line.startswith(f"  mvt4g {verb} ")]
    assert max(map(len, others)) <= LONGEST_LINE
    about = TRAINER_COMMANDS.get(verb) or {**COMMANDS, **PARSE_THEMSELVES}[verb][-1]
    assert page.splitlines()[0] == f"mvt4g {verb}: {about}"
    assert f"  {verb:<16}{about}\n" in read(OVERVIEW)


def test_pages_are_of_commands_that_exist():
    own = {path.stem for path in FOLDER.glob("*.txt") if not path.stem.startswith("benchmark")}
    assert own == {OVERVIEW, *VERBS}, "those of benchmark are tests/benchmark's"


@pytest.mark.parametrize(
    ("args", "want"),
    [
        (["fit", "--help", "all"], None),
        (["fit", "-c", "x.yaml", "-h"], "mvt4g fit"),
        (["--trust", "its_package", "test", "--help"], "mvt4g test"),
        (["fit", "--model.help", "X"], None),
        (["fti", "--help"], None),
        ([], None),
    ],
)
def test_which_page_is_printed(args, want):
    page = help_page(args)
    assert page is None if want is None else page.startswith(want)


@pytest.mark.parametrize(
    ("flag", "there", "inherited"),
    [
        ("--model.help", "mvt4g.systems.novel_view.NovelViewSystem", "TrainedSystem"),
        ("--data.help", "mvt4g.data.kubric_datamodule.KubricDataModule", "StepDataModule"),
    ],
)
def test_class_help_without_a_class_lists_the_classes(flag, there, inherited):
    page = help_page(["fit", "-c", "x.yaml", flag])
    assert page.startswith(f"mvt4g fit {flag} CLASS")
    assert f"\n  {there}\n" in page
    assert inherited not in page  # no user names a class that others are made from
    assert help_page(["fit", flag, there]) is None


def test_all_is_for_the_parser():
    assert without_all(["fit", "--help", "all"]) == ["fit", "--help"]
    assert without_all(["fit", "-c", "all"]) == ["fit", "-c", "all"]


def test_help_of_a_misspelt_verb_is_one_line(capfd):
    assert main(["prdict", "--help"]) == 2
    assert "want perhaps predict" in capfd.readouterr().err


def test_the_parsers_own_list_is_there_too(capfd):
    with pytest.raises(SystemExit) as end:
        main(["export-tracks", "--help", "all"])
    assert end.value.code == 0
    assert "--format" in capfd.readouterr().out


def test_a_page_that_is_not_there_leaves_the_parsers(monkeypatch, tmp_path):
    monkeypatch.setattr("mvt4g.cli.pages.FOLDER", tmp_path)
    assert help_page(["fit", "--help"]) is None
    with pytest.raises((InputError, OSError)):
        help_page(["--help"])
