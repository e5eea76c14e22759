"""How one run is carried out: whose folder it is, when it is done, what it waits for, what it tells its processes."""

import fcntl
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import yaml

from mvt4g.sweeps import launch
from mvt4g.sweeps.launch import carry_out, check_record, is_finished, record
from mvt4g.sweeps.sweep import main
from mvt4g.sweeps.sweep_file import SweepFile
from tests.sweeps.counting import contents, counting


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
        monkeypatch.setattr("mvt4g.sweeps.launch.arguments", lambda run, step, program=program: ["-c", program])
        assert carry_out(run).failed == failed


def test_a_test_of_which_items_failed_is_carried_out_again(tmp_path, monkeypatch):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"folder: {tmp_path}/runs\nconfigs: [configs/debug.yaml]\ncommands: [test]\n")
    (run,) = SweepFile(path).runs()
    metrics = run.folder / "test" / "metrics.json"
    metrics.parent.mkdir(parents=True)
    program = f"open({str(metrics)!r}, 'a').write('once '); raise SystemExit(%d)"
    monkeypatch.setattr("mvt4g.sweeps.launch.arguments", lambda run, step: ["-c", program % 2])
    assert carry_out(run).failed == "test: exit 2"
    assert not is_finished(run)
    monkeypatch.setattr("mvt4g.sweeps.launch.arguments", lambda run, step: ["-c", program % 0])
    assert carry_out(run).failed is None
    assert is_finished(run)
    assert carry_out(run).failed is None
    assert metrics.read_text() == "once once ", "a finished one is left alone"


def test_one_run_in_trouble_is_not_that_of_the_others(tmp_path, monkeypatch, capsys):
    def call(run, *rest, plain=launch._call):
        if run.seed == 0:
            raise RuntimeError("made up")
        return plain(run, *rest)

    monkeypatch.setattr(launch, "_call", call)
    assert main([str(counting(tmp_path, (2,)))]) == 2
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
