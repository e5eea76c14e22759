"""``mvt4g benchmark`` as the command line knows it: its subcommands, their pages, and what is none of them."""

import re

import pytest

from mvt4g.benchmark import verbs
from mvt4g.cli import main
from mvt4g.cli.pages import FOLDER


def test_the_command_line_finds_it(capfd):
    assert main(["--help"]) == 0
    assert re.search(r"^  benchmark +score novel-view videos", capfd.readouterr().out, re.MULTILINE)
    assert main(["benchmark", "--help"]) == 0
    page = capfd.readouterr().out
    assert re.findall(r"^  (\w+)  ", page, re.MULTILINE) == verbs.offered_subcommands()


def test_every_subcommand_that_is_there_has_its_page_and_no_other_has():
    pages = {path.stem.removeprefix("benchmark-") for path in FOLDER.glob("benchmark-*.txt")}
    assert pages == {*verbs.offered_subcommands()}


@pytest.mark.parametrize("name", verbs.offered_subcommands())
def test_the_page_of_a_subcommand_is_printed(name, capfd):
    assert main(["benchmark", name, "--help"]) == 0
    page = capfd.readouterr().out
    assert page.startswith(f"mvt4g benchmark {name}: ")
    assert len(page.splitlines()) <= 62
    others = [line for line in page.splitlines() if not line.startswith("  mvt4g benchmark ")]
    assert max(map(len, others)) <= 110


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "got no subcommand, want one of "),
        (["zzz"], "got subcommand 'zzz', want one of "),
    ],
)
def test_what_is_no_subcommand_is_one_line(args, told, capfd):
    assert main(["benchmark", *args]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"mvt4g: {told}")
