"""A sweep ends the same however it was cut short, and a bad one stops before its first run."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from experiments.collect import main as collect
from experiments.launch import carry_out
from experiments.sweep import main
from experiments.sweep_file import SweepFile

ROOT = Path(__file__).parents[2]
COUNTER = """
import sys, time
from pathlib import Path
run = Path(sys.argv[1])
goal = int(run.name.partition("=")[2].rpartition("-")[0])
with (run / "starts").open("a") as file:
    file.write("x")
state = run / "state"
for count in range(int(state.read_text()) if state.exists() else 0, goal):
    time.sleep(float(sys.argv[2]))
    (run / "new").write_text(str(count + 1))
    (run / "new").replace(state)
if goal == 4 and not Path(sys.argv[0]).with_name("mended").exists():
    sys.exit("four is out of order")
(run / "result").write_text(f"counted to {goal}")
"""
"""Stands in for a fit: it counts, keeps its count, and goes on from there."""


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def counting(folder: Path, goals: tuple[int, ...], pause: float = 0.0) -> Path:
    """Write a sweep of counters: each goal with two seeds."""
    script = folder / "counter.py"
    script.write_text(COUNTER)
    content = {
        "folder": str(folder / "runs"),
        "seeds": [0, 1],
        "grid": {"made.up.goal": list(goals)},
        "commands": [{"name": "count", "run": [sys.executable, str(script), "{run}", str(pause)]}],
    }
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def start_sweep(path: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a sweep in a session of its own, so that all of it can be killed."""
    return subprocess.Popen([sys.executable, "-m", "experiments.sweep", path, *options], start_new_session=True)


def contents(folder: Path, name: str) -> dict[str, str]:
    return {path.relative_to(folder).parts[1]: path.read_text() for path in folder.glob(f"runs/*/{name}")}


def wait_for(folder: Path, pattern: str, count: int, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < deadline, f"no {count} of {pattern}"
        time.sleep(0.01)


def test_runs_of_a_file(tmp_path):
    path = tmp_path / "made_up.yaml"
    path.write_text("""
folder: runs/made_up
configs: [configs/debug.yaml]
seeds: [0, 7]
set: {a.b: 1, weights: "base-{seed}.ckpt"}
variants:
  one: {}
  two: {a.b: 2}
grid:
  x.layers: [[0, 1], null]
commands: [fit, test, {name: probe, command: test, configs: [configs/debug.yaml], set: {model.weights: "{checkpoint}"}}]
""")
    runs = SweepFile(path).runs()
    arms = [f"{arm}-layers={layers}" for arm in ("one", "two") for layers in ("0+1", "null")]
    assert [run.name for run in runs] == [f"{arm}-{seed}" for arm in arms for seed in (0, 7)]
    last = runs[-1]
    assert last.folder == Path("runs/made_up/two-layers=null-7")
    fit, test, probe = last.steps
    seeded = {"seed_everything": 7, "model.init_args.training.seed": 7}
    assert fit.options == {**seeded, "a.b": 2, "weights": "base-7.ckpt", "x.layers": None} == test.options
    assert (fit.resumes, test.resumes, probe.resumes) == (False, True, False)
    assert probe.folder == last.folder / "probe"
    assert probe.options == {"model.weights": "{checkpoint}"}, "known once the fit has run"


def test_jobs_of_submitit(tmp_path, capsys):
    path = counting(tmp_path, (2, 4))
    assert main([str(path), "--launcher", "submitit-local", "--only", "*-1"]) == 1
    assert "failed: goal=4-1 (count: exit 1)" in capsys.readouterr().out
    assert contents(tmp_path, "result") == {"goal=2-1": "counted to 2"}


def test_failures_are_listed_and_the_others_go_on(tmp_path, capsys):
    path = counting(tmp_path, (2, 4))
    assert main([str(path), "--jobs", "2"]) == 1
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
    assert process.wait(timeout=60) == 130
    there = contents(tmp_path, "state")
    time.sleep(0.5)
    assert contents(tmp_path, "state") == there
    assert set(there) == {"goal=1000-0", "goal=1000-1"}, "those in the queue never start"


BAD = {
    "misspelt option": ("set: {trainer.max_steps: 2}", "set:\n  trainer.max_stepz: 2", 5, "max_stepz"),
    "misspelt option of a variant": (
        "  head: {}", "  head:\n    model.init_args.training.weight_cor: 1", 8, "weight_cor",
    ),
    "unknown layer": (
        "  head: {}", "  head:\n    model.init_args.tracking_head.init_args.layer: 2", 8, "layer",
    ),
    "unknown layer in the grid": (
        "  head: {}", "  head: {}\ngrid:\n  model.init_args.correspondence_loss.init_args.layers: [[0], [5]]", 9, "5",
    ),
    "options of the trainer that contradict each other": (
        "  head: {}",
        "  head:\n    trainer.callbacks: [{class_path: lightning.pytorch.callbacks.RichProgressBar}]",
        8,
        "RichProgressBar",
    ),
    "no base": (
        "  head: {}", "  head:\n    model.init_args.evaluation.videos.weights.dino_vits16: missing-{seed}.pth", 8,
        "missing-0",
    ),
    "empty grid": ("  head: {}", "  head: {}\ngrid:", 8, "grid"),
    "empty list in the grid": ("  head: {}", "  head: {}\ngrid:\n  a.b: []", 9, "a.b"),
    "two variants of one name": ("  head: {}", "  head: {}\n  head: {}", 8, "'head'"),
    "two seeds of one name": ("seeds: [0, 1]", "seeds: [0, 1, 1]", 3, "2 runs of one name 'head-1'"),
    "two cells of one name": ("  head: {}", "  head: {}\ngrid:\n  a.b: ['x/1', 1]", 8, "b=1-0"),
    "no such file": ("configs/debug.yaml", "configs/debag.yaml", 2, "configs/debag.yaml"),
    "no such command": ("head: {}", "head: {}\ncommands: [fitt]", 8, "'fitt'"),
    "no such entry": ("seeds:", "seedz:", 3, "'seedz'"),
    "not YAML": ("seeds: [0, 1]", "seeds: [0, 1", 4, "want YAML"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "told"), BAD.values(), ids=BAD)
def test_a_bad_file_stops_before_the_first_run(tmp_path, capsys, old, new, line, told):
    good = f"""folder: {tmp_path}/runs
configs: [configs/debug.yaml]
seeds: [0, 1]
set: {{trainer.max_steps: 2}}
# arms
variants:
  head: {{}}
"""
    assert old in good
    path = tmp_path / "sweep.yaml"
    path.write_text(good.replace(old, new))
    assert main([str(path)]) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith(f"sweep: {path}:{line}: ")
    assert told in message
    assert not (tmp_path / "runs").exists()


def test_a_run_of_other_options_is_not_taken_for_this_one(tmp_path, capsys):
    path = counting(tmp_path, (1,))
    assert main([str(path)]) == 0
    record = tmp_path / "runs" / "goal=1-0" / "run.yaml"
    content = yaml.safe_load(record.read_text())
    content["options"]["made.up.goal"] = 3
    record.write_text(yaml.safe_dump(content))
    assert main([str(path)]) == 2
    assert f"{record}: a run of other options lies here: options.made.up.goal (was 3, got 1)" in capsys.readouterr().err


def test_null_is_another_option_than_none(tmp_path, capsys):
    path = counting(tmp_path, (1,))
    text = path.read_text()
    for before, now in (("", "made.up.head: null"), ("made.up.head: null", "")):
        path.write_text(f"{text}set: {{made.up.width: 2, {before}}}\n")
        assert main([str(path)]) == 0
        path.write_text(f"{text}set: {{made.up.width: 2, {now}}}\n")
        assert main([str(path)]) == 2
        was, got = ("'not set'", "None") if now else ("None", "'not set'")
        assert f"options.made.up.head (was {was}, got {got})" in capsys.readouterr().err
        shutil.rmtree(tmp_path / "runs")


def test_a_fit_that_left_no_mark_of_its_end_is_not_done(tmp_path, monkeypatch, capsys):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"folder: {tmp_path}/runs\nconfigs: [configs/debug.yaml]\ncommands: [fit]\n")
    (run,) = SweepFile(path).runs()
    done = f"open({str(run.folder / 'fit.done')!r}, 'w')"
    for program, failed in (("pass", f"fit: left no {run.folder}/fit.done"), (done, None)):
        monkeypatch.setattr("experiments.launch.arguments", lambda run, step, program=program: ["-c", program])
        assert carry_out(run).failed == failed


def test_chosen_runs_alone(tmp_path, capsys):
    path = counting(tmp_path, (1, 2, 3))
    assert main([str(path), "--only", "goal=1", "goal=*-1"]) == 0
    assert contents(tmp_path, "result").keys() == {"goal=1-0", "goal=1-1", "goal=2-1", "goal=3-1"}
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
  without: {{model.init_args.training.weight_corr: 0}}
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
