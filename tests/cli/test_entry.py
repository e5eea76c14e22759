"""What the command line answers by itself: help, version, verbs that do not exist, verbs of other packages."""

from pathlib import Path

import pytest

from mvt4g import __version__
from mvt4g.cli import main
from mvt4g.cli.entry import known_verb
from mvt4g.commands.outside_verbs import outside_verbs
from mvt4g.commands.verbs import COMMANDS, PARSE_THEMSELVES, TRAINER_COMMANDS
from mvt4g.errors import InputError

PACKAGE = """
from pathlib import Path
from mvt4g.commands.outside_verbs import Verb
from mvt4g.errors import InputError

def polish(argv):
    if argv == ["bad"]:
        raise InputError("bad: got nothing, want something")
    print("polished", *argv)
    return 3 if argv else 0

POLISH = Verb(polish, "make it shine\\n\\n  mvt4g polish WHAT\\n")
FIT = Verb(polish, "take the name of a command")
NO_VERB = 3
"""
ENTRY_POINTS = """
[mvt4g.verbs]
polish = outside_package:POLISH
fit = outside_package:FIT
strange = outside_package:NO_VERB
absent = no_such_package:VERB
"""


@pytest.fixture
def outside_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package with verbs where Python finds packages, as an installer would."""
    (tmp_path / "outside_package.py").write_text(PACKAGE)
    record = tmp_path / "outside_package-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-package\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_the_version(capfd):
    assert main(["--version"]) == 0
    assert capfd.readouterr() == (f"mvt4g {__version__}\n", "")


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["--trust=any", "--help"]])
def test_the_overview_names_every_command(args, capfd):
    assert main(args) == 0
    page = capfd.readouterr().out
    for verb in (*COMMANDS, *PARSE_THEMSELVES, *TRAINER_COMMANDS):
        assert f"\n  {verb} " in page


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("prdict", "got command 'prdict', want perhaps predict"),
        ("write_clips", "got command 'write_clips', want perhaps write-clips"),
        ("zzzzz", "got command 'zzzzz', want one of fit, validate, test, predict, write-clips"),
        ("", "got no command, want one of fit"),
    ],
)
def test_a_verb_that_does_not_exist_is_one_line(verb, told, capfd):
    with pytest.raises(InputError, match=told):
        known_verb(verb)
    assert main([verb] if verb else []) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"mvt4g: {told}")


@pytest.mark.usefixtures("outside_package")
class TestOutsideVerbs:
    def test_it_runs_with_what_follows_it(self, capfd):
        assert main(["polish", "the", "--lens"]) == 3
        assert capfd.readouterr() == ("polished the --lens\n", "")

    def test_options_of_every_command_are_taken_out(self, capfd):
        assert main(["--file-memory", "3", "polish", "--trust", "json"]) == 0
        assert capfd.readouterr().out == "polished\n"

    def test_its_error_is_one_line(self, capfd):
        assert main(["polish", "bad"]) == 2
        assert capfd.readouterr() == ("", "mvt4g: bad: got nothing, want something\n")

    def test_its_help_is_its_own_page(self, capfd):
        assert main(["polish", "--help"]) == 0
        assert capfd.readouterr().out == "make it shine\n\n  mvt4g polish WHAT\n"

    def test_the_overview_tells_of_it_and_of_broken_ones(self, capfd):
        assert main(["--help"]) == 0
        lines = capfd.readouterr().out.splitlines()
        assert "  polish          make it shine" in lines
        assert any(
            line.startswith("  absent          absent: got no_such_package:VERB, which cannot") for line in lines
        )

    def test_a_name_of_ours_cannot_be_taken(self):
        assert "fit" not in outside_verbs()
        assert "polish" in outside_verbs()

    @pytest.mark.parametrize(
        ("verb", "told"),
        [
            ("absent", "absent: got no_such_package:VERB, which cannot be imported (ModuleNotFoundError("),
            ("strange", "strange: got outside_package:NO_VERB, want a callable that has a text `help`"),
        ],
    )
    def test_a_broken_one_is_one_line(self, verb, told, capfd):
        assert main([verb]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"mvt4g: {told}")

    def test_a_near_name_is_told(self):
        with pytest.raises(InputError, match="want perhaps polish"):
            known_verb("polihs")
