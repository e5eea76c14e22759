"""No input ends in a traceback, a hang, a program run or too much memory; inputs that are left whole succeed."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.area import Area
from tests.fuzz.harness import MARK, STRANGER, Case, carry_out
from tests.fuzz.run import AREAS, ROOT, run_area, table

QUICK = ("trajectories", "queries", "captions", "images", "weights", "sweeps")


@pytest.mark.parametrize("name", QUICK)
def test_a_few_of_what_is_cheap(name: str) -> None:
    (area,) = (area for area in AREAS if area.name == name)
    tally = run_area(area, seed=7, cases=8)
    assert not tally.failures, "\n".join(tally.failures)
    assert tally.counts["valid kept"] == 2


@pytest.mark.slow
def test_the_long_run() -> None:
    """In a process of its own, without the hook that checks types: bad input must be told without it."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", "--seed", "1"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, f"{finished.stderr[-20_000:]}\n{finished.stdout}"


def test_the_long_run_is_long_enough_and_one_case_in_five_is_valid() -> None:
    assert sum(area.cases for area in AREAS) >= 1500
    assert len({area.name for area in AREAS}) == len(AREAS)


def _waste() -> None:
    kept = bytearray(2 * 2**30)
    kept[::4096] = b"x" * len(kept[::4096])
    time.sleep(30)


def _die() -> None:
    os.kill(os.getpid(), 9)


@pytest.mark.parametrize(
    ("fault", "run"),
    [
        ("traceback", lambda: 1 / 0),
        ("traceback", _die),
        ("code run", lambda: Path(MARK).touch()),
        ("code run", lambda: __import__(STRANGER)),
        ("memory", _waste),
        ("output", lambda: sys.exit(sys.stderr.write("x" * 501 + "\n") and 2)),
        ("", lambda: 2),
    ],
)
def test_the_harness_sees_what_it_looks_for(tmp_path: Path, fault: str, run) -> None:
    mutation, outcome = carry_out(lambda folder: Case("odd", run), tmp_path / "case")
    assert mutation == "odd"
    assert outcome.fault == fault
    assert not (tmp_path / "case").exists()


def test_the_harness_sees_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.harness.IDLE_SECONDS", 0.5)
    os.mkfifo(tmp_path / "pipe")
    _, outcome = carry_out(lambda folder: Case("odd", lambda: (tmp_path / "pipe").read_text()), tmp_path / "case")
    assert outcome.fault == "hang"


def test_a_valid_input_that_fails_is_a_failure_and_the_table_says_so() -> None:
    def make(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
        return Case("" if valid else "odd", lambda: 2)

    tally = run_area(Area("made up", 8, lambda folder: None, make), seed=0, cases=8)
    assert len(tally.failures) == 2
    assert "| made up | 8 | 2 | 6 | 0 | 0 | 0 | 0 | 0 | 0 | 2 |" in table({"made up": tally})
