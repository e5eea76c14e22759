"""The command line on two ranks: scores of validation are those of one process, checkpoints are read by one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[2]
CONFIG = "configs/debug.yaml"
FSDP2 = yaml.safe_load((ROOT / "configs/backbone/wan_1_3b_recammaster.yaml").read_text())["trainer"]["strategy"]


def last_values(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"] if tag.startswith("val/")}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_fit(mvt4g, tmp_path, strategy):
    FSDP2["init_args"]["data_parallel_size"] = 2
    ranks = {"devices": 2, "strategy": FSDP2 if strategy == "fsdp" else "ddp"}
    (tmp_path / "ranks.yaml").write_text(yaml.safe_dump({"trainer": ranks}))
    run = tmp_path / "run"
    command = [sys.executable, "-m", "mvt4g", "fit", "-c", CONFIG, "-c", tmp_path / "ranks.yaml", "--run", run]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = last_values(run)
    assert mvt4g("validate", "-c", CONFIG, "--run", run, "--ckpt_path", "last") == 0
    wanted = last_values(run / "validate")
    assert len(found.keys() & wanted.keys()) > 30
    for key in found.keys() & wanted.keys():
        assert found[key] == pytest.approx(wanted[key], rel=1e-4, abs=1e-5, nan_ok=True), key
    assert torch.load(run / "checkpoints" / "step-00000004.ckpt", weights_only=True)["global_step"] == 4
