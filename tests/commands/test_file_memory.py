"""One option and one variable set the limits of files, for every command and what it starts."""

import os

import pytest

from mvt4g.cli import main
from mvt4g.commands.parsing.file_memory import allowing_file_memory, take_file_memory
from mvt4g.formats.parsing.limits import VARIABLE, file_limits
from mvt4g.types import InputError


def test_the_option_is_taken_from_wherever_it_stands():
    assert take_file_memory(["fit", "--file-memory", "4", "-c", "x"]) == (["fit", "-c", "x"], "4")
    assert take_file_memory(["--file-memory=0.5", "fit"]) == (["fit"], "0.5")
    assert take_file_memory(["fit", "--file", "4"]) == (["fit", "--file", "4"], None)
    for odd in (["--file-memory"], ["--file-memory="], ["--file-memory", "much"], ["--file-memory=0"]):
        with pytest.raises(InputError, match=r"--file-memory: got .*, want the GiB"):
            take_file_memory(odd)


def test_it_holds_for_the_length_of_a_command(monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    with allowing_file_memory("4"):
        assert file_limits().memory == 2**32
    with allowing_file_memory(None):
        assert file_limits().memory == 2**30
    assert os.environ[VARIABLE] == "1"


def test_every_command_takes_it(tmp_path, capsys, monkeypatch):
    path = tmp_path / "c.yaml"
    path.write_text("#" * (2**20 + 1) + "\nrun: x\n")
    for verb in (["fit", "-c", str(path)], ["write-clips", "--out", "x", "--scene", str(path)]):
        assert main(verb) == 2
        assert "c.yaml: got a file of 1.0 MiB, want at most 1.0 MiB; --file-memory" in capsys.readouterr().err
        assert main([*verb, "--file-memory", "4"]) == 2
        assert "file-memory" not in capsys.readouterr().err
    monkeypatch.setenv(VARIABLE, "much")
    assert main(["fit"]) == 2
    assert (
        capsys.readouterr().err
        == f"mvt4g: {VARIABLE}: got 'much', want the GiB that one file may take, 0.0625 to 65536\n"
    )
