"""Ctrl-C and SIGTERM in commands that train nothing: one line, the code, nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "test": (
        "-c",
        "configs/debug.yaml",
        "--trainer.enable_progress_bar=null",
        "--data.init_args.num_test=400",
        "--run",
    ),
    "write-clips": ("--scene", "nano", "--train", "4000", "--workers", "1", "--out"),
}


def begun(command: str, out: Path, told: Path) -> bool:
    """Say whether a command is in the middle of its work."""
    return "test: batch 1/" in told.read_text() if command == "test" else any(out.glob("train/*"))


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code", "how"), [(signal.SIGINT, 130, "interrupted"),
                                                     (signal.SIGTERM, 143, "terminated")])  # fmt: skip
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_at_once(tmp_path, command, signum, code, how):
    out, told, errors = tmp_path / "out", tmp_path / "told", tmp_path / "errors"
    words = [sys.executable, "-m", "mvt4g", command, *COMMANDS[command], str(out)]
    with told.open("wb") as stdout, errors.open("wb") as stderr:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            words, cwd=ROOT, env=environment, stdout=stdout, stderr=stderr, start_new_session=True
        )
    deadline = time.monotonic() + 300
    while not begun(command, out, told):
        assert process.poll() is None, errors.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # A terminal sends Ctrl-C to all processes of a command, a scheduler may send SIGTERM to the first one alone.
    os.killpg(process.pid, signum) if signum == signal.SIGINT else process.send_signal(signum)
    assert process.wait(60) == code, errors.read_text()
    assert errors.read_text() == f"mvt4g: {how}\n"
    assert not list(out.rglob("*.part*"))
    assert not list(out.rglob(".*.lock"))
