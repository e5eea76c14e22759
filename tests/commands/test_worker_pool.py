"""Processes that work: what goes wrong in one comes out as one error here."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mvt4g.commands.worker_pool import _do, run_in_processes
from mvt4g.formats.atomic import appearing_folder
from mvt4g.formats.checksums import sha256_of
from mvt4g.types import InputError


def test_bad_input_of_a_worker_is_raised_here(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    main, threads = sys.modules["__main__"], os.environ.get("MKL_NUM_THREADS")
    with pytest.raises(InputError, match="none: no such file, want a readable file"):
        list(run_in_processes(sha256_of, [tmp_path / "there", tmp_path / "none"], workers=1))
    assert (sys.modules["__main__"], os.environ.get("MKL_NUM_THREADS")) == (main, threads)


def test_a_worker_that_is_killed_is_told() -> None:
    with pytest.raises(InputError, match=r"workers: got 1, of which one was killed \(out of memory\?\), want fewer"):
        list(run_in_processes(os._exit, [9], workers=1))


class Exited(Exception):
    """A process ends."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def end(code: int) -> None:
        raise Exited(code)

    monkeypatch.setattr(os, "_exit", end)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def half_written(place: Path) -> None:
    with appearing_folder(place) as folder:
        (folder / "file").write_text("half")
        signal.raise_signal(signal.SIGTERM)
        (folder / "more").write_text("of it")


@pytest.mark.usefixtures("exits")
def test_sigterm_in_the_middle_of_a_task_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exited, match="143"):
        _do(half_written, tmp_path / "clip")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Exited, match="143"):  # between two tasks, at once
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("workers", [0, 2])
def test_no_task_is_no_work(workers: int) -> None:
    assert list(run_in_processes(sha256_of, [], workers)) == []
