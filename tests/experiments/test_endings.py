"""Programs that call the command line end as it does."""

import os
import signal
import sys
import threading
import time

import pytest

from experiments import endings

SAVES = """
import signal, sys, time, pathlib

def save(signum, frame):
    pathlib.Path(sys.argv[2]).write_text("saved")
    print("mvt4g: terminated at step 2", file=sys.stderr)
    sys.exit(143)

signal.signal(signal.SIGTERM, save)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""
"""A command that saves when it is told to stop."""


def test_bad_input_keeps_its_line_and_its_code(capfd):
    with pytest.raises(SystemExit) as left:
        endings.told(lambda: endings.call("no-such-verb"))
    assert left.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("mvt4g: got command 'no-such-verb', want")


def test_a_killed_command_is_one_line(monkeypatch, capfd):
    monkeypatch.setattr(endings, "COMMAND", (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"))
    assert endings.told(lambda: endings.call("fit")) == 1
    assert capfd.readouterr().err == "mvt4g: fit: killed by SIGKILL\n"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_waits_for_what_the_command_saves(tmp_path, monkeypatch, capfd, signum, code):
    begun, saved = tmp_path / "begun", tmp_path / "saved"
    monkeypatch.setattr(endings, "COMMAND", (sys.executable, "-c", SAVES))

    def stop_once_begun():
        while not begun.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signum)

    stopper = threading.Thread(target=stop_once_begun)
    stopper.start()
    with pytest.raises(SystemExit) as left:
        endings.told(lambda: endings.call(str(begun), str(saved)))
    stopper.join()
    assert left.value.code == code
    assert saved.read_text() == "saved"
    assert capfd.readouterr().err == "mvt4g: terminated at step 2\n", "the command's own line, and no other"
