"""The command line on two ranks: scores of validation are those of one process, checkpoints are read by one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mvt4g.commands.parsing.config_files import read_config
from mvt4g.formats.video import write_video

ROOT = Path(__file__).parents[2]
CONFIG = "configs/debug.yaml"
FSDP2 = read_config(ROOT / "configs/backbone/wan_1_3b_recammaster.yaml")["trainer"]["strategy"]


def last_values(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"] if tag.startswith("val/")}


def command(*args: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, which starts its other ranks."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "mvt4g", *map(str, args)]
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_fit(mvt4g, tmp_path, strategy):
    FSDP2["init_args"]["data_parallel_size"] = 2
    ranks = {"devices": 2, "strategy": FSDP2 if strategy == "fsdp" else "ddp"}
    (tmp_path / "ranks.yaml").write_text(yaml.safe_dump({"trainer": ranks}))
    run = tmp_path / "run"
    done = command("fit", "-c", CONFIG, "-c", tmp_path / "ranks.yaml", "--run", run)
    assert done.returncode == 0, done.stderr
    found = last_values(run)
    assert mvt4g("validate", "-c", CONFIG, "--run", run, "--ckpt_path", "last") == 0
    wanted = last_values(run / "validate")
    assert len(found.keys() & wanted.keys()) > 30
    for key in found.keys() & wanted.keys():
        assert found[key] == pytest.approx(wanted[key], rel=1e-4, abs=1e-5, nan_ok=True), key
    assert torch.load(run / "checkpoints" / "step-00000004.ckpt", weights_only=True)["global_step"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("clips", [1, 3])
def test_scores_of_any_number_of_clips_are_those_of_one_process(mvt4g, trained_run, tmp_path, clips):
    """Three batches of one clip on two ranks, and one clip, of which the second rank has none."""
    words = ["test", "-c", CONFIG, "--ckpt_path", trained_run, f"--data.init_args.num_test={clips}"]
    words += ["--data.init_args.loader.batch_size=1"]
    done = command(*words, "--run", tmp_path / "two", "--trainer.devices=2", "--trainer.strategy=ddp")
    assert done.returncode == 0, done.stderr
    assert mvt4g(*words, "--run", tmp_path / "one") == 0
    found, wanted = (json.loads((tmp_path / run / "test" / "metrics.json").read_text()) for run in ("two", "one"))
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert (found[key] is None) == (value is None), key
        if value is not None:
            assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key
    tables = [[row.split(",") for row in (tmp_path / run / "test" / "scores.csv").read_text().splitlines()]
              for run in ("two", "one")]  # fmt: skip
    for two, one in zip(*tables, strict=True):
        assert two[0] == one[0]
        for left, right in zip(two[1:6], one[1:6], strict=True):
            assert left == right or float(left) == pytest.approx(float(right), rel=1e-4, abs=1e-6), one[0]
    names = [[row.partition(",")[0] for row in (tmp_path / run / "test" / "videos.csv").read_text().splitlines()]
             for run in ("two", "one")]  # fmt: skip
    assert names[0] == names[1]
    assert len(names[0]) == 1 + clips


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_predict_makes_every_video_once(trained_run, tmp_path, count):
    (tmp_path / "videos").mkdir()
    for number in range(count):
        write_video(tmp_path / "videos" / f"clip{number}.mp4", torch.rand(3, 3, 32, 32), fps=8)
    size = "--data.init_args.size={height: 32, width: 32, num_frames: 3, temporal_stride: 1}"
    words = ["predict", "-c", CONFIG, "-c", "configs/data/davis.yaml", "--ckpt_path", trained_run, size]
    words += ["--data.init_args.video", tmp_path / "videos", "--run", tmp_path / "run"]
    done = command(*words, "--trainer.devices=2", "--trainer.strategy=ddp")
    assert done.returncode == 0, done.stderr
    assert f"predict: {count} made" in done.stdout
    assert len(list((tmp_path / "run").glob("predict/*/arc_left-s0/provenance.json"))) == count


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "strategy"), [("validate", "ddp"), ("test", "fsdp")])
def test_scores_killed_on_both_ranks_go_on(trained_run, tmp_path, verb, strategy):
    FSDP2["init_args"]["data_parallel_size"] = 2
    ranks = {"devices": 2, "strategy": FSDP2 if strategy == "fsdp" else "ddp"}
    (tmp_path / "ranks.yaml").write_text(yaml.safe_dump({"trainer": ranks}))
    words = [verb, "-c", CONFIG, "-c", tmp_path / "ranks.yaml", "--ckpt_path", trained_run]
    words += ["--data.init_args.loader.batch_size=1", "--data.init_args.num_test=12", "--data.init_args.num_val=12"]
    through, killed = tmp_path / "through", tmp_path / "killed"
    done = command(*words, "--run", through)
    assert done.returncode == 0, done.stderr

    program = [sys.executable, "-m", "mvt4g", *map(str, words), "--run", str(killed)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        program, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 400
    while len(list(killed.glob(f"{verb}/scored/[!.]*.pt"))) < 4:
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    done = command(*words, "--run", killed)
    assert done.returncode == 0, done.stderr
    assert not (killed / verb / "scored").exists()
    if verb == "validate":
        values = last_values(killed / verb)
        assert len(values) > 30
        assert values == pytest.approx(last_values(through / verb), abs=0, rel=0, nan_ok=True)
        return
    told = next(line for line in done.stdout.splitlines() if line.startswith("test: ") and "before" in line)
    made, before = (int(word) for word in told.split() if word.isdigit())
    assert made + before == 12
    assert before >= 4
    for name in ("metrics.json", "scores.csv", "videos.csv"):
        assert (killed / verb / name).read_bytes() == (through / verb / name).read_bytes(), name
