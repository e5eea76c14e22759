"""A resumed fit ends as one that ran through, bit for bit: weights, their average, optimizer and schedule."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

CONFIG = "configs/debug.yaml"
ROOT = Path(__file__).parents[2]
STEPS = 12
LONGER = (
    "fit", "-c", CONFIG, "--ckpt_path", "last", "--checkpoint_every", "3", "--trainer.max_steps", str(STEPS),
    "--trainer.accumulate_grad_batches", "2", "--trainer.val_check_interval", "8",
    "--data.init_args.loader.num_workers", "2",
)  # fmt: skip


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}.ckpt"


def training_state(run: Path, step: int) -> dict[str, Any]:
    content = torch.load(checkpoint(run, step), weights_only=True)
    kept = {key: content[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step")}
    return dict(leaves({**kept, "average": content["callbacks"]["EMA"]}))


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict | list | tuple):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(value, f"{name}/{key}")
    else:
        yield name, tree


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    same = {key: torch.equal(value, other[key]) if isinstance(value, torch.Tensor) else value == other[key]
            for key, value in one.items() if key in other}  # fmt: skip
    return [key for key in one.keys() | other.keys() if not same.get(key, False)]


def test_resumed_fit(mvt4g, trained_run, tmp_path):
    assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path, "--trainer.max_steps", "2") == 0
    half_way = training_state(tmp_path, 2)
    assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path, "--ckpt_path", "last") == 0
    wanted = training_state(trained_run, 4)
    assert differing(training_state(tmp_path, 4), wanted) == []
    assert len(differing(half_way, wanted)) > len(wanted) / 2, "negative control: training goes on after step 2"
    assert scalars(tmp_path) == scalars(trained_run), "curves hold every step once, as if the fit had never ended"
    assert len(scalars(tmp_path)["train/loss"]) == 4
    assert not list(tmp_path.rglob("*.part*"))


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Return every point of every curve in a run's folder, in the order of the files."""
    # NaN as a word, which equals itself
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    events.Reload()
    return {
        tag: [(point.step, "nan" if math.isnan(point.value) else point.value) for point in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def start_fit(run: Path) -> subprocess.Popen[bytes]:
    """Start or resume a fit with two workers, in a session of its own so that all of it can be killed."""
    return subprocess.Popen([sys.executable, "-m", "mvt4g", *LONGER, "--run", run], cwd=ROOT, start_new_session=True)


def kill_after(step: int, process: subprocess.Popen[bytes], run: Path, timeout_s: float = 300) -> None:
    """Kill the process and its workers as soon as there is a checkpoint of this step or a later one."""
    deadline = time.monotonic() + timeout_s
    while last_step(run) < step and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert step <= last_step(run) < STEPS, "killed in the middle"


def last_step(run: Path) -> int:
    return max((int(path.stem.removeprefix("step-")) for path in run.glob("checkpoints/step-*.ckpt")), default=0)


@pytest.mark.slow
def test_killed_fit(tmp_path):
    through, killed = tmp_path / "through", tmp_path / "killed"
    assert start_fit(through).wait() == 0
    kill_after(3, start_fit(killed), killed)
    kill_after(9, start_fit(killed), killed)
    assert start_fit(killed).wait() == 0
    wanted = training_state(through, STEPS)
    assert wanted["/global_step"] == STEPS
    assert differing(training_state(killed, STEPS), wanted) == []
    assert not list(killed.rglob("*.part*"))
