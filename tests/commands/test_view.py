"""The verb view, without a browser: what is refused, and that Ctrl-C is one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mvt4g.cli import main
from mvt4g.formats.scene4d import write_scene4d
from tests.formats.test_scene4d import small_scene

ROOT = Path(__file__).parents[2]


def test_what_cannot_be_shown_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    assert main(["view", str(tmp_path)]) == 2
    assert "scene4d.npz: no such file" in capsys.readouterr().err
    write_scene4d(tmp_path / "scene4d.npz", small_scene())
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["view", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "want the extra: mvt4g[viewer]" in error
    assert error.count("\n") == 1
    assert main(["view", str(tmp_path), "--port", "0"]) == 2
    assert "port" in capsys.readouterr().err


@pytest.mark.slow
def test_it_says_where_and_ends_by_ctrl_c(tmp_path):
    pytest.importorskip("viser", reason="the extra viewer is not installed")
    write_scene4d(tmp_path / "scene4d.npz", small_scene())
    command = [sys.executable, "-m", "mvt4g", "view", str(tmp_path), "--port", "18735"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        line = process.stdout.readline()
        assert line.startswith(f"{tmp_path}/scene4d.npz: http://localhost:")
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert error.count("\n") == 1
