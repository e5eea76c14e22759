"""``mvt4g sweep | collect | report`` as the command line knows them, and from an installed wheel."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mvt4g.cli import main
from mvt4g.sweeps import collect, report, sweep, verbs
from tests.sweeps.test_collect import SCORES, sweep_of

ROOT = Path(__file__).parents[2]
OF_EVERY_COMMAND = {"--trust"}
PARSERS = {verbs.SWEEP: sweep.parser, verbs.COLLECT: collect.parser, verbs.REPORT: report.parser}


def option_names(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings if name.startswith("--")} - {"--help"}


@pytest.mark.parametrize("verb", PARSERS, ids=lambda verb: verb.help.split()[4 if "run every" in verb.help else 0])
def test_a_page_tells_of_the_options_there_are(verb):
    told = set(re.findall(r"--[a-z-]+", verb.help.partition("Example:")[0]))
    assert told - OF_EVERY_COMMAND == option_names(PARSERS[verb]())


def test_the_command_line_finds_them(capfd):
    assert main(["--help"]) == 0
    page = capfd.readouterr().out
    for verb in ("sweep", "collect", "report"):
        assert re.search(rf"^  {verb} +\w", page, re.MULTILINE)
        assert main([verb, "--help"]) == 0
        assert f"mvt4g {verb} FILE.yaml" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["sweep"], "the following arguments are required: file"),
        (["sweep", "a.yaml", "--job", "2"], "unrecognized arguments: --job 2"),
        (["sweep", "a.yaml", "--jobs", "0"], "argument --jobs: got 0, want a whole number from 1 to 1024"),
        (["sweep", "a.yaml", "--jobs", "1025"], "got 1025, want"),
        (["sweep", "a.yaml", "--threads", "9" * 5000], "argument --threads: got 9999"),
        (["sweep", "a.yaml", "--threads", "²"], "got ², want"),
        (["sweep", "a.yaml", "--launcher", "moon"], "invalid choice: 'moon'"),
        (["collect", "no.yaml"], "no.yaml: no such file, want a sweep file"),
        (["report", "no.yaml"], "no.yaml: no such file, want a sweep file"),
    ],
)
def test_a_bad_command_line_is_one_line(args, told, capfd):
    assert main(args) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("mvt4g: ")
    assert told in line


def test_trust_is_handed_to_every_run(tmp_path, capfd):
    """A program sees the module in its environment, where a command of the suite looks for it."""
    path = tmp_path / "sweep.yaml"
    path.write_text(f"""
folder: {tmp_path}/runs
grid: {{made.up: [1, 2]}}
commands: [{{name: tell, run: [sh, -c, 'echo "trusts $MVT4G_TRUST" > {{run}}/told']}}]
""")
    assert main(["sweep", str(path), "--trust", "json", "--trust=wave"]) == 0
    told = [file.read_text() for file in sorted(tmp_path.glob("runs/*/told"))]
    assert told == ["trusts json,wave\n"] * 2
    assert "MVT4G_TRUST" not in os.environ, "the caller's own environment is as it was"


def test_the_check_before_the_first_run_trusts_what_the_runs_will(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "sweep.yaml"
    path.write_text(f"""
folder: {tmp_path}/runs
configs: [configs/debug.yaml]
set: {{model.init_args.training.optimizer: {{class_path: tests.sweeps.own_optimizer.Own, init_args: {{lr: 0.1}}}}}}
commands: [fit]
""")
    assert main(["sweep", str(path), "--dry-run"]) == 2
    assert "--trust tests" in capfd.readouterr().err
    assert main(["sweep", str(path), "--dry-run", "--trust", "tests"]) == 0


@pytest.mark.slow
def test_they_work_from_an_installed_wheel_in_an_empty_folder(tmp_path):
    """Of the checkout nothing is there but the wheel; the packages that it needs are those of this environment."""
    wheels, installed, folder = tmp_path / "wheels", tmp_path / "installed", tmp_path / "empty"
    folder.mkdir()
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "build", "--quiet", "--wheel", "--out-dir", wheels, ROOT], check=True)
    (wheel,) = wheels.glob("*.whl")
    install = [*uv, "pip", "install", "--quiet", "--no-deps", "--target", installed, wheel]
    subprocess.run(install, check=True)
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def call(*args: str) -> str:
        command = [sys.executable, str(installed / "bin" / "mvt4g"), *args]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = [sys.executable, "-c", "import mvt4g; print(mvt4g.__file__)"]
    found = subprocess.run(where, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()).parent == installed / "mvt4g"
    made = sweep_of(folder, [*SCORES])
    shutil.copyfile(ROOT / "configs" / "debug.yaml", folder / "debug.yaml")
    made.path.write_text(made.path.read_text().replace("configs/debug.yaml", "debug.yaml"))
    assert "plain-0: finished" in call("sweep", "sweep.yaml", "--dry-run")
    assert "| plain | 12.00 ± 2.00 |" in call("collect", "sweep.yaml")
    assert "html" in call("report", "sweep.yaml")
    assert {path.suffix for path in (folder / "runs").iterdir() if path.is_file()} == {".md", ".csv", ".png", ".html"}
