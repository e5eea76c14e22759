"""Processes that work: what goes wrong in one comes out as one error here."""

import os
import sys
from pathlib import Path

import pytest

from mvt4g.commands.worker_pool import run_in_processes
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


@pytest.mark.parametrize("workers", [0, 2])
def test_no_task_is_no_work(workers: int) -> None:
    assert list(run_in_processes(sha256_of, [], workers)) == []
