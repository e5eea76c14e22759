"""Ctrl-C and SIGTERM in commands with worker processes: one line, the code, nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mvt4g.callbacks.checkpoints import step_checkpoints

ROOT = Path(__file__).parents[2]
DEBUG = ("-c", "configs/debug.yaml", "--data.init_args.loader.num_workers=2", "--data.init_args.loader.batch_size=1")
COMMANDS = {
    "fit": (*DEBUG, "--trainer.max_steps=4000", "--trainer.val_check_interval=1000", "--run"),
    "test": (*DEBUG, "--data.init_args.num_test=400", "--run"),
    "validate": (*DEBUG, "--data.init_args.num_val=400", "--run"),
    "write-clips": ("--scene", "nano", "--train", "4000", "--workers", "2", "--out"),
}
BEGUN = {
    "fit": "checkpoints/*.ckpt",
    "test": "test/scored/*",
    "validate": "validate/scored/*",
    "write-clips": "train/*",
}
"""What lies in the output once a command is in the middle of its work."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "to_all", "code", "how"),
    [
        (signal.SIGINT, True, 130, "interrupted"),  # by a terminal
        (signal.SIGTERM, True, 143, "terminated"),  # by Slurm, timeout, kill -- -GROUP
        (signal.SIGTERM, False, 143, "terminated"),  # by a supervisor of one process
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_in_one_line(tmp_path, command, signum, to_all, code, how):
    out, errors = tmp_path / "out", tmp_path / "errors"
    words = [sys.executable, "-m", "mvt4g", command, *COMMANDS[command], str(out)]
    with errors.open("wb") as stderr:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
        )
    deadline = time.monotonic() + 300
    while not any(out.glob(BEGUN[command])):
        assert process.poll() is None, errors.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if to_all:
        os.killpg(process.pid, signum)
    else:
        process.send_signal(signum)
    assert process.wait(120) == code, errors.read_text()
    saved = ""
    if command == "fit":
        step, path = max(step_checkpoints(out).items())
        saved = f" at step {step}; {path}"
    assert errors.read_text() == f"mvt4g: {how}{saved}\n"
    assert not list(out.rglob("*.part*"))
    assert not list(out.rglob(".*.lock"))
