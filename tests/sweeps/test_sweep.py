"""A sweep ends the same however it was cut short."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mvt4g.sweeps.collect import main as collect
from mvt4g.sweeps.sweep import main
from tests.sweeps.counting import contents, counting


def start_sweep(path: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a sweep in a session of its own, so that all of it can be killed."""
    return subprocess.Popen([sys.executable, "-m", "mvt4g", "sweep", path, *options], start_new_session=True)


def wait_for(folder: Path, pattern: str, count: int, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < deadline, f"no {count} of {pattern}"
        time.sleep(0.01)


def test_jobs_of_submitit(tmp_path, capsys):
    path = counting(tmp_path, (2, 4))
    assert main([str(path), "--launcher", "submitit-local", "--only", "*-1"]) == 2
    assert "failed: goal=4-1 (count: exit 1)" in capsys.readouterr().out
    assert contents(tmp_path, "result") == {"goal=2-1": "counted to 2"}


def test_failures_are_listed_and_the_others_go_on(tmp_path, capsys):
    path = counting(tmp_path, (2, 4))
    assert main([str(path), "--jobs", "2"]) == 2
    out = capsys.readouterr().out
    assert "[2/4 done, 2 failed]" in out
    for seed in (0, 1):
        log = tmp_path / "runs" / f"goal=4-{seed}" / "log.txt"
        assert f"failed: goal=4-{seed} (count: exit 1), {log}: four is out of order" in out
    assert contents(tmp_path, "result").keys() == {"goal=2-0", "goal=2-1"}
    (tmp_path / "mended").touch()
    record = tmp_path / "runs" / "goal=4-0" / "run.yaml"
    record.write_text(record.read_text().replace("made.up.goal: 4", "made.up.goal: 5"))
    assert main([str(path)]) == 0, "a run that failed may have had other options"
    assert contents(tmp_path, "result").keys() == {"goal=2-0", "goal=2-1", "goal=4-0", "goal=4-1"}
    assert set(contents(tmp_path, "starts").items()) == {
        ("goal=2-0", "x"), ("goal=2-1", "x"), ("goal=4-0", "xx"), ("goal=4-1", "xx"),
    }, "finished runs are not run again"  # fmt: skip


def test_a_killed_sweep_goes_on_where_it_was(tmp_path):
    through, killed = tmp_path / "through", tmp_path / "killed"
    for folder in (through, killed):
        folder.mkdir()
    assert main([str(counting(through, (1, 7, 8)))]) == 0
    path = counting(killed, (1, 7, 8), pause=0.1)
    process = start_sweep(path, "--jobs", "2")
    wait_for(killed, "runs/*/state", 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = contents(killed, "state")
    assert len(contents(killed, "result")) < 6, "killed in the middle"
    assert start_sweep(path, "--jobs", "2").wait() == 0
    assert contents(killed, "result") == contents(through, "result")
    assert {name for name, starts in contents(killed, "starts").items() if starts == "xx"} <= before.keys()
    assert "xx" in contents(killed, "starts").values()


def test_a_run_that_outlived_its_sweep_is_waited_for(tmp_path):
    path = counting(tmp_path, (6,), pause=0.1)
    process = start_sweep(path)
    wait_for(tmp_path, "runs/*/state", 1)
    process.kill()
    process.wait()
    assert main([str(path)]) == 0
    assert contents(tmp_path, "starts")["goal=6-0"] in ("x", "xx")
    assert set(contents(tmp_path, "result")) == {"goal=6-0", "goal=6-1"}


def test_a_sweep_that_is_told_to_stop_stops_its_runs(tmp_path):
    path = counting(tmp_path, (1000, 1001), pause=0.1)
    process = start_sweep(path, "--jobs", "2")
    wait_for(tmp_path, "runs/*/state", 2)
    process.terminate()
    assert process.wait(timeout=60) == 143
    there = contents(tmp_path, "state")
    time.sleep(0.5)
    assert contents(tmp_path, "state") == there
    assert set(there) == {"goal=1000-0", "goal=1000-1"}, "those in the queue never start"


def test_chosen_runs_alone(tmp_path, capsys):
    path = counting(tmp_path, (1, 2, 3))
    assert main([str(path), "--only", "goal=1", "goal=*-1"]) == 0
    assert contents(tmp_path, "result").keys() == {"goal=1-0", "goal=1-1", "goal=2-1", "goal=3-1"}
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "who called it is left as before"
    assert main([str(path), "--only", "goal=9"]) == 2
    assert "--only: got goal=9" in capsys.readouterr().err


def debug_sweep(folder: Path) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(f"""
folder: {folder}/runs
configs: [configs/debug.yaml]
seeds: [0, 1, 2]
set: {{trainer.max_steps: 8, trainer.limit_val_batches: 0}}
variants:
  without: {{model.init_args.objectives: []}}
  with: {{}}
table:
  scores: {{PSNR: [test/psnr, higher], loss: [train/loss, lower]}}
""")
    return path


@pytest.mark.slow
def test_six_runs_killed_in_the_middle_end_as_ones_never_killed(tmp_path):
    through, killed = tmp_path / "through", tmp_path / "killed"
    for folder in (through, killed):
        folder.mkdir()
    assert start_sweep(debug_sweep(through)).wait() == 0
    process = start_sweep(debug_sweep(killed), "--jobs", "2")
    wait_for(killed, "runs/*/checkpoints/step-00000004.ckpt", 1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(killed.glob("runs/*/test/metrics.json"))) < 6, "killed in the middle"
    assert start_sweep(debug_sweep(killed), "--jobs", "2").wait() == 0
    metrics = contents(through, "test/metrics.json")
    assert len(metrics) == 6
    assert contents(killed, "test/metrics.json") == metrics
    assert len(set(metrics.values())) == 6, "negative control: six runs differ"
    for folder in (through, killed):
        assert collect([str(folder / "sweep.yaml")]) == 0
    for table in (".md", ".csv"):
        found, wanted = (folder / "runs" / f"{folder.name}-sweep{table}" for folder in (killed, through))
        assert found.read_bytes() == wanted.read_bytes()
    for path in through.glob("runs/*/checkpoints/step-00000008.ckpt"):
        wanted = torch.load(path, weights_only=True)["state_dict"]
        found = torch.load(killed / path.relative_to(through), weights_only=True)["state_dict"]
        assert all(torch.equal(found[key], value) for key, value in wanted.items())
