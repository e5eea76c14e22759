"""Configurations and values of the command line are read by the project's own YAML reader."""

import os

import pytest

from mvt4g.cli import main

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "verb", [["fit", "-c"], ["write-clips", "--out", "x", "--scene"], ["fit", "-c", "configs/debug.yaml", "--data"]]
)
@pytest.mark.parametrize(
    ("content", "got"),
    [
        (LAUGHS.encode(), "more YAML values"),
        (b"[" * 100_000, "cannot be read as YAML"),
        (b"run: a\nrun: b\n", "key 'run' twice"),
        (b"run: \xe9\n", "no UTF-8"),
        (None, "c.yaml"),
    ],
)
def test_bad_files_are_one_line(tmp_path, capsys, verb, content, got):
    path = tmp_path / "c.yaml"
    if content is None:
        os.mkfifo(path)  # read, it would never end
    else:
        path.write_bytes(content)
    assert main([*verb, str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "c.yaml" in line
    assert got in line
    assert content or verb[0] != "fit" or "got a named pipe, want a regular file" in line
    assert len(line) < 500


@pytest.mark.parametrize("value", ["[" * 100_000, LAUGHS, "{a: 1, a: 2}"])
def test_bad_values_are_one_line(capsys, value):
    assert main(["fit", "-c", "configs/debug.yaml", "--run", "x", "--trainer.callbacks", value]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "trainer.callbacks" in line
