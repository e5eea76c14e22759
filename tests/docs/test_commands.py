"""Command blocks of the pages: every command parses, its configuration is whole, and what it names is there."""

import argparse
import importlib.util
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mvt4g.benchmark import generate
from mvt4g.benchmark.verbs import BENCHMARK
from mvt4g.cli import main
from mvt4g.commands.info import split_options
from mvt4g.commands.parsing.parser import OneLineParser
from mvt4g.commands.tune import fit_options
from mvt4g.sweeps.verbs import COLLECT, REPORT, SWEEP
from tests.docs.pages import GUIDES, PAGES, ROOT, Block, blocks, commands
from tests.fuzz.option_walk import Parsed, Stop, start

TRAINER = ("fit", "validate", "test", "predict")
SWEEPS = {"sweep": SWEEP, "collect": COLLECT, "report": REPORT}
OTHER_PROGRAMS = ("source", "cd", "git", "pip")
RUNS = {
    "runs/mine/config.yaml": "configs/experiment/demo.yaml",
    "runs/demo/fit/config.yaml": "configs/experiment/demo.yaml",
    "runs/tracker/config.yaml": "configs/experiment/tracking.yaml",
    "runs/tuned/config.yaml": "configs/warp.yaml",
    "runs/recam/config.yaml": "configs/backbone/wan_1_3b_recammaster.yaml",
}
"""What the configuration of a run on the pages is made of."""
BLOCKS = [block for page in GUIDES for block in blocks(page, "bash")]
COMMANDS = {tuple(command): block.page for block in BLOCKS for command in commands(block)}
"""Every command once, with a page it stands on."""
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


class Reached(Exception):
    """A verb's options are parsed."""


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_command_is_understood(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["mvt4g"])
    check(list(words), monkeypatch)


def check(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check a command as far as that goes without running it."""
    program, *rest = words
    if program == "make":
        assert rest[0] in TARGETS
    elif program == "python":
        assert rest[0] == "-m"
        assert importlib.util.find_spec(rest[1]) is not None
        assert [word for word in rest if word.endswith(".yaml") and not Path(word).is_file()] == []
    elif program == "mvt4g" and rest[0] in TRAINER:
        with pytest.raises(Stop) as stop:
            start([RUNS.get(word, word) for word in rest], Parsed)
        assert stop.value.config.run or any(word in RUNS for word in rest)  # a run remembers its folder
    elif program == "mvt4g" and rest[0] in SWEEPS:
        check_sweep(rest, monkeypatch)
    elif program == "mvt4g" and rest[0] == "benchmark":
        check_benchmark(rest[1:], monkeypatch)
    elif program == "mvt4g" and rest[0] == "info":
        _, words = split_options(rest[1:])
        if words:
            with pytest.raises(Stop):
                start(["fit", *words, "--run", "none"], Parsed)
    elif program == "mvt4g" and rest[0] == "tune":
        with pytest.raises(Stop):
            start(["fit", *fit_options(rest[1:])], Parsed)
    elif program == "mvt4g":
        check_verb(rest, monkeypatch)
    else:
        assert program in OTHER_PROGRAMS


def check_sweep(rest: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse the command line of a sweep's verb, with no way to start a run."""
    parse = argparse.ArgumentParser.parse_args

    def stop(*given: Any) -> None:
        parse(*given)
        raise Reached

    def start_nothing(*_: object, **__: object) -> None:
        raise AssertionError("a process was to start")

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(subprocess.Popen, "__init__", start_nothing)
    with pytest.raises(Reached):
        SWEEPS[rest[0]](rest[1:])
    assert [word for word in rest if word.endswith(".yaml") and not Path(word).is_file()] == []


def check_benchmark(rest: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse the command line of a subcommand of benchmark; generate's is that of predict but for its own options."""
    if rest[0] == "generate":
        options, others = generate.parser().parse_known_args(rest[1:])
        run = str(generate.plan_of(options, others).folder)
        with pytest.raises(Stop):
            start(["predict", "--run", run, *[RUNS.get(word, word) for word in others]], Parsed)
        return
    parse = argparse.ArgumentParser.parse_args

    def stop(*given: Any) -> None:
        parse(*given)
        raise Reached

    def stop_before_it_is_built(*_: object) -> None:
        raise Reached

    if rest[0] == "score":  # jsonargparse's, whose parse_args is another
        monkeypatch.setattr(OneLineParser, "instantiate", stop_before_it_is_built)
    else:
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(Reached):
        BENCHMARK(rest)


def check_verb(rest: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse a verb's command line and stop before its function is called."""

    def stop(*_: object) -> None:
        raise Reached

    monkeypatch.setattr(OneLineParser, "instantiate", stop)
    with pytest.raises(Reached):
        main(rest)


@pytest.mark.parametrize(
    "line",
    [
        "mvt4g fit -c configs/debug.yaml --run x --trainer.max_step 3",
        "mvt4g fit -c configs/no_such.yaml --run x",
        "mvt4g write-clips --out x --trian 3",
        "mvt4g sweep experiments/no_such.yaml --dry-run",
        "mvt4g sweep experiments/ablation/nano.yaml --job 2",
        "python -m mvt4g.no_such_module",
        "mvt4g benchmark generate -c configs/debug.yaml --out x --seed 3",
        "make no-such-target",
        "curl there",
    ],
)
def test_a_wrong_command_is_found(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["mvt4g"])
    (words,) = commands(Block(Path("page.md"), "bash", line + "  # why\n", False))
    with pytest.raises((AssertionError, ValueError, ModuleNotFoundError, pytest.fail.Exception)):
        check(words, monkeypatch)


def test_commands_are_read_as_a_shell_reads_them():
    text = "G=--a.b\nmvt4g fit $G.c 'd e' \\\n   --f  # why\n\n# nothing\n"
    assert commands(Block(Path("page.md"), "bash", text, False)) == [["mvt4g", "fit", "--a.b.c", "d e", "--f"]]


def test_pages_have_commands():
    assert len(COMMANDS) > 25
    assert {words[1] for words in COMMANDS if words[0] == "mvt4g"} >= {*TRAINER, "write-clips", "precompute"} - {
        "validate"
    }


def test_every_page_is_in_the_site_once():
    navigation = re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2])
    assert sorted(navigation) == sorted(str(page) for page in PAGES if page.parts[0] != "experiments")
