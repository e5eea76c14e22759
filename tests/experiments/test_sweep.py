"""A sweep ends the same however it was cut short, and a bad one stops before its first run."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import yaml

from experiments import launch
from experiments.collect import main as collect
from experiments.launch import arguments, carry_out, check_record, record
from experiments.sweep import main
from experiments.sweep_file import SweepFile
from mvt4g.callbacks.checkpoints import checkpoint_path

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
    "an option that a seed sets": ("set: {trainer.max_steps: 2}", "set:\n  seed_everything: 7", 5, "seeds alone"),
    "an option around one that a seed sets": (
        "  head: {}", "  head:\n    model.init_args.training: {warmup_steps: 3}", 8, "seeds alone",
    ),
    "seeds that set nothing": ("# arms", "seed_options: []", 5, "head-0 and head-1 would do the same"),
    "a name that is no text": ("  head: {}", "  head: {}\n  off: {a.b: 1}", 8, "got the name off"),
    "a date": ("set: {trainer.max_steps: 2}", "set:\n  trainer.max_time: 2024-01-01", 5, "datetime.date(2024, 1, 1)"),
    "a folder that is a file": ("/runs\n", "/sweep.yaml\n", 1, "want a folder"),
    "a name outside of the run": (
        "  head: {}", "  head: {}\ncommands:\n  - {name: ../../esc, run: [echo]}", 9, "'../../esc'",
    ),
    "two commands of one name": (
        "  head: {}", "  head: {}\ncommands:\n  - {name: a, run: [echo]}\n  - {name: a, run: [ls]}", 10, "name 'a'",
    ),
    "a program in one text": ("  head: {}", "  head: {}\ncommands: [{name: a, run: echo hi}]", 8, "a list of words"),
    "configurations in one text": (
        "  head: {}", "  head: {}\ncommands: [{name: a, command: test, configs: configs/debug.yaml}]", 8,
        "list of texts",
    ),
    "a checkpoint of no fit": (
        "  head: {}", "  head: {}\ncommands:\n  - {name: a, command: test, set: {w.x: '{checkpoint}'}}", 9,
        "a fit before",
    ),
    "two mistakes": (
        "set: {trainer.max_steps: 2}\n# arms\nvariants:\n  head: {}",
        "set:\n  model.init_args.training.weight_cor: 1\nvariants:\n  head:\n    trainer.max_stepz: 2",
        5,
        "weight_cor",
    ),
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


def test_a_record_of_before_programs_were_kept_is_that_of_the_same_run(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"folder: {tmp_path}/runs\nconfigs: [configs/debug.yaml]\ncommands: [fit]\n")
    (run,) = SweepFile(path).runs()
    kept = record(run)
    del kept["steps"]["fit"]["program"]
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").touch()
    (run.folder / "run.yaml").write_text(yaml.safe_dump(kept))
    check_record(run)


def test_a_fit_that_left_no_mark_of_its_end_is_not_done(tmp_path, monkeypatch, capsys):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"folder: {tmp_path}/runs\nconfigs: [configs/debug.yaml]\ncommands: [fit]\n")
    (run,) = SweepFile(path).runs()
    done = f"open({str(run.folder / 'fit.done')!r}, 'w')"
    for program, failed in (("pass", f"fit: left no {run.folder}/fit.done"), (done, None)):
        monkeypatch.setattr("experiments.launch.arguments", lambda run, step, program=program: ["-c", program])
        assert carry_out(run).failed == failed


def test_steps_after_a_fit_of_another_name_take_its_checkpoint(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"""
folder: {tmp_path}/runs
configs: [configs/debug.yaml]
commands:
  - {{name: base, command: fit, configs: [configs/debug.yaml], set: {{seed_everything: "{{seed}}"}}}}
  - test
  - {{name: probe, command: test, set: {{made.up: "{{checkpoint}}"}}}}
""")
    (run,) = SweepFile(path).runs()
    base, last = run.folder / "base", checkpoint_path(run.folder / "base", 4)
    last.parent.mkdir(parents=True)
    last.touch()
    fit, test, probe = (arguments(run, step) for step in run.steps)
    assert fit[fit.index("--ckpt_path") + 1] == "last"
    assert test[test.index("--ckpt_path") + 1] == str(base)
    assert f"--made.up={last}" in probe
    assert "--ckpt_path" not in probe


def test_one_run_in_trouble_is_not_that_of_the_others(tmp_path, monkeypatch, capsys):
    def call(run, *rest, plain=launch._call):
        if run.seed == 0:
            raise RuntimeError("made up")
        return plain(run, *rest)

    monkeypatch.setattr(launch, "_call", call)
    assert main([str(counting(tmp_path, (2,)))]) == 1
    assert "failed: goal=2-0 (RuntimeError: made up)" in capsys.readouterr().out
    assert contents(tmp_path, "result").keys() == {"goal=2-1"}


def test_waiting_for_another_sweep_is_told_and_can_be_stopped(tmp_path, capsys):
    run, *_ = SweepFile(counting(tmp_path, (2,))).runs()
    run.folder.mkdir(parents=True)
    stop = threading.Event()
    with (run.folder / ".lock").open("w") as lock, ThreadPoolExecutor() as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = pool.submit(carry_out, run, None, stop)
        while not (told := capsys.readouterr().out):
            time.sleep(0.01)
        stop.set()
        assert waiting.result(timeout=10).failed == "stopped"
    assert told == "goal=2-0: waiting for a process of another sweep that is at work on it\n"
    assert not (run.folder / "starts").exists()
    assert carry_out(run).failed is None, "once the other has let go"


def test_the_trainer_hears_nothing_of_a_slurm_job(tmp_path, monkeypatch):
    path, heard = tmp_path / "sweep.yaml", "import os; print(sorted(key for key in os.environ if 'SLURM' in key))"
    path.write_text(f"""
folder: {tmp_path}/runs
configs: [configs/debug.yaml]
commands: [validate, {{name: program, run: [python, -c, "{heard}"]}}]
""")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setattr(launch, "arguments", lambda run, step: list(step.program) or ["-c", heard])
    (run,) = SweepFile(path).runs()
    assert carry_out(run).failed is None
    lines = (run.folder / "log.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("$")] == ["[]", "['SLURM_NTASKS']"]


def test_jobs_of_slurm(tmp_path, monkeypatch, capsys):
    path = counting(tmp_path, (2,))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([str(path), "--launcher", "slurm"]) == 2
    assert "--launcher: got slurm, but Could not detect" in capsys.readouterr().err
    (tmp_path / "srun").write_text("#!/bin/sh")
    (tmp_path / "srun").chmod(0o755)
    for bad in ("slurm_partitionn=gpu", "timeout_min=soon"):
        assert main([str(path), "--launcher", "slurm", "--slurm", bad]) == 2
        assert "--slurm: got {" in capsys.readouterr().err
    launcher = launch.SubmititLauncher(tmp_path / "submitit", 3, None, "slurm", {"slurm_partition": "gpu"})
    settings = launcher.executor._executor.parameters
    assert (settings["array_parallelism"], settings["partition"], settings["time"]) == (3, "gpu", 24 * 60)
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main([str(path), "--launcher", "slurm"]) == 2
    assert "without submitit" in capsys.readouterr().err


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
