"""A fit on two ranks: one killed, both killed, one told to stop; it ends as one that ran through, bit for bit."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from mvt4g.callbacks.checkpoints import step_checkpoints
from tests.smoke.test_resume import differing, scalars, training_state
from tests.smoke.test_two_ranks import FSDP2

ROOT = Path(__file__).parents[2]
STEPS = 16
OPTIONS = (
    "--ckpt_path", "last", "--checkpoint_every", "2", "--trainer.max_steps", str(STEPS),
    "--trainer.val_check_interval", "10",
    "--data.init_args.loader.batch_size", "1", "--trust", "tests",
    "--trainer.callbacks+={class_path: tests.smoke.test_stopped.Spoil}",
)  # fmt: skip


def start(
    run: Path, errors: Path, *words: str, strategy: object = "ddp", **environment: str
) -> subprocess.Popen[bytes]:
    ranks = run.parent / "ranks.yaml"
    ranks.write_text(yaml.safe_dump({"trainer": {"devices": 2, "strategy": strategy}}))
    command = [
        sys.executable,
        "-m",
        "mvt4g",
        "fit",
        "-c",
        "configs/debug.yaml",
        "-c",
        ranks,
        "--run",
        run,
        *OPTIONS,
        *words,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=errors.open("wb"), start_new_session=True)


def second_rank(first: int) -> int:
    """Return the process of the second rank, which the first one started."""
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    (rank,) = [int(pid) for pid in children if b"LOCAL_RANK=1" in Path(f"/proc/{pid}/environ").read_bytes()]
    return rank


def wait_for(run: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 400
    while max(step_checkpoints(run), default=0) < step:
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def wait_until_ended(pid: int) -> None:
    deadline = time.monotonic() + 60
    while not has_ended(pid):
        assert time.monotonic() < deadline, "a rank is left alone"
        time.sleep(0.1)


@pytest.mark.slow
def test_ranks_killed_and_stopped(tmp_path):
    through, killed, errors = tmp_path / "through", tmp_path / "killed", tmp_path / "errors"
    assert start(through, errors).wait(600) == 0, errors.read_text()

    process = start(killed, errors)
    wait_for(killed, 2, process)
    other = second_rank(process.pid)
    os.kill(other, signal.SIGKILL)  # one rank
    code = process.wait(120)
    assert code in (1, -signal.SIGKILL), "Lightning kills the first rank if it sees the second one gone before"
    if code == 1:
        assert re.search(r"^mvt4g: rank 1 with code -9 ended", errors.read_text(), re.MULTILINE)

    process = start(killed, errors)
    wait_for(killed, 6, process)
    other = second_rank(process.pid)
    process.kill()  # the other one
    process.wait()
    wait_until_ended(other)

    process = start(killed, errors)
    wait_for(killed, 8, process)
    os.killpg(process.pid, signal.SIGKILL)  # both
    process.wait()

    process = start(killed, errors)
    wait_for(killed, 12, process)
    other = second_rank(process.pid)
    os.kill(process.pid, signal.SIGTERM)  # one is told, both stop
    assert process.wait(120) == 143
    wait_until_ended(other)
    (line,) = [line for line in errors.read_text().splitlines() if line.startswith("mvt4g: terminated")]
    step = max(step_checkpoints(killed))
    assert line == f"mvt4g: terminated at step {step}; {killed}/checkpoints/step-{step:08d}.ckpt"

    assert start(killed, errors).wait(600) == 0, errors.read_text()
    wanted = training_state(through, STEPS)
    assert wanted["/global_step"] == STEPS
    assert differing(training_state(killed, STEPS), wanted) == []
    assert scalars(killed) == scalars(through)
    assert [*step_checkpoints(killed)] == [STEPS - 2, STEPS]


@pytest.mark.slow
def test_ranks_that_slice_the_parameters_killed(tmp_path):
    """One of them, then both; FSDP2 by gloo on the CPU."""
    through, killed, errors = tmp_path / "through", tmp_path / "killed", tmp_path / "errors"
    FSDP2["init_args"]["data_parallel_size"] = 2
    steps = 6
    words = ("--trainer.max_steps", str(steps), "--trainer.val_check_interval", str(steps))
    assert start(through, errors, *words, strategy=FSDP2).wait(600) == 0, errors.read_text()

    process = start(killed, errors, *words, strategy=FSDP2)
    wait_for(killed, 2, process)
    os.kill(second_rank(process.pid), signal.SIGKILL)
    assert process.wait(120) in (1, -signal.SIGKILL), errors.read_text()

    process = start(killed, errors, *words, strategy=FSDP2)
    wait_for(killed, 4, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    assert start(killed, errors, *words, strategy=FSDP2).wait(600) == 0, errors.read_text()
    wanted = training_state(through, steps)
    assert wanted["/global_step"] == steps
    assert differing(training_state(killed, steps), wanted) == []
    assert [*step_checkpoints(killed)] == [steps - 2, steps]


@pytest.mark.slow
def test_nan_on_one_rank_stops_both_with_its_clip(tmp_path):
    run, errors = tmp_path / "run", tmp_path / "errors"
    process = start(run, errors, SPOIL_STEP="3", SPOIL_RANK="1")
    assert process.wait(600) == 1
    (line,) = [line for line in errors.read_text().splitlines() if line.startswith("mvt4g: step")]
    assert line.startswith("mvt4g: step 3: train/loss_corr is nan, for data that is not finite: ")
    assert "(video); the last checkpoint is step-00000002.ckpt" in line
