"""The lock of a run folder: one writer, who it is, and whose lock may be taken over."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys

import pytest

from mvt4g.formats import run_lock as module
from mvt4g.formats.run_lock import Holder, run_lock
from mvt4g.types import InputError, RunStopped

BORN = module._born(os.getpid())


def write(folder, **changes) -> None:
    holder = {"host": module._host(), "pid": os.getpid(), "born": BORN, "since": "2026-01-02 03:04:05",
              "command": "fit"} | changes  # fmt: skip
    (folder / ".fit.lock").write_text(json.dumps(holder))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    with run_lock(tmp_path, "fit"):
        with pytest.raises(RunStopped, match=rf"another fit of process {os.getpid()} on .* since 20\d\d-"):
            run_lock(tmp_path, "fit").__enter__()
        with run_lock(tmp_path, "test"):
            assert {path.name for path in tmp_path.iterdir()} == {".fit.lock", ".test.lock"}
    assert not list(tmp_path.iterdir())


def test_a_folder_that_only_held_the_lock_goes_with_it(tmp_path):
    with run_lock(tmp_path / "new", "fit"):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    with run_lock(tmp_path / "new", "fit"):
        (tmp_path / "new" / "kept").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["kept"]


@pytest.mark.parametrize("gone", [{"pid": "dead"}, {"born": BORN + 1}], ids=["ended", "its number came again"])
def test_the_lock_of_a_dead_process_is_taken_over_with_a_line(tmp_path, capsys, gone):
    write(tmp_path, **{key: dead_pid() if value == "dead" else value for key, value in gone.items()})
    with run_lock(tmp_path, "fit"):
        assert json.loads((tmp_path / ".fit.lock").read_text())["pid"] == os.getpid()
    assert "which is gone, and is taken over" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{", '{"host": 1}', "[]", '"text"', '{"pid": "x"}'])
def test_a_lock_that_nobody_can_read_is_nobodys(tmp_path, content):
    (tmp_path / ".fit.lock").write_text(content)
    with run_lock(tmp_path, "fit"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_silent_holder_elsewhere_is_taken_over_and_one_that_lives_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SILENT_S", 0.1)
    write(tmp_path, host="elsewhere")
    with run_lock(tmp_path, "fit"):
        pass
    write(tmp_path, host="elsewhere")
    times = iter(range(100))
    monkeypatch.setattr(module, "_changed", lambda path: next(times))
    with pytest.raises(RunStopped, match="on elsewhere since 2026-01-02 03:04:05"):
        run_lock(tmp_path, "fit").__enter__()
    assert (tmp_path / ".fit.lock").exists()


def test_a_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    with run_lock(tmp_path, "fit"):
        os.utime(tmp_path / ".fit.lock", (0, 0))
        for _ in range(500):
            if module._changed(tmp_path / ".fit.lock"):
                break
            multiprocessing.Event().wait(0.01)
        assert module._changed(tmp_path / ".fit.lock")


def take(folder, start, answers, enough) -> None:
    """Try the lock when all others do; who has it keeps it until every other one has its answer."""
    start.wait(60)
    try:
        with run_lock(folder, "fit"):
            answers.put("taken")
            enough.wait(60)
    except RunStopped:
        answers.put("refused")


def test_of_many_that_take_over_at_once_one_does(tmp_path):
    context = multiprocessing.get_context("fork")
    write(tmp_path, pid=dead_pid())
    start, answers, enough = context.Barrier(6), context.Queue(), context.Event()
    processes = [context.Process(target=take, args=(tmp_path, start, answers, enough), daemon=True) for _ in range(6)]
    for process in processes:
        process.start()
    try:
        assert sorted(answers.get(timeout=60) for _ in processes) == ["refused"] * 5 + ["taken"]
    finally:
        enough.set()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 6
    assert not list(tmp_path.iterdir())


def test_a_holder_is_gone_only_if_this_host_can_tell():
    assert Holder(module._host(), dead_pid(), 0, "", "fit").gone
    assert not Holder("elsewhere", dead_pid(), 0, "", "fit").gone
    assert not Holder(module._host(), os.getpid(), BORN, "", "fit").gone


@pytest.mark.parametrize("pid", [0, -1, 10**30])
def test_a_number_of_no_single_process_is_nobody_s(tmp_path, pid):
    """Signal 0 to process -1 asks for all of them, and 0 for one's own group."""
    write(tmp_path, pid=pid)
    with run_lock(tmp_path, "fit"):
        pass


def test_a_folder_in_the_place_of_a_lock_is_one_line(tmp_path):
    (tmp_path / ".fit.lock").mkdir()
    with pytest.raises(InputError, match=r"\.fit\.lock: cannot be removed \(.*\), want no such file"):
        run_lock(tmp_path, "fit").__enter__()


def test_one_writer_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with run_lock(tmp_path, "fit"), pytest.raises(RunStopped, match="another fit of process"):
        run_lock(tmp_path, "fit").__enter__()
    assert not list(tmp_path.iterdir())
