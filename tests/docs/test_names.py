"""What pages name in code: files that are there, names that their modules define, and commits of the history."""

import re
import subprocess

import pytest

from tests.docs.pages import GUIDES, PAGES, ROOT
from tests.modules import has_name, is_module

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`((?:mvt4g|configs|experiments|tests|scripts|docs)/[\w./-]+\.(?:py|yaml|md|svg|png))`")
NO_MODULES = {
    "mvt4g.formats.atomic.os.system": "docs/security.md shows it as a name that is refused",
    "mvt4g.verbs": "a group of entry points",
}
_NAME = re.compile(r"`(?:python -m )?((?:mvt4g|experiments)(?:\.\w+)+)(?:\([^`]*)?`")


_COMMIT = re.compile(r"\b[Cc]ommits?\s+`?([0-9a-f]{7})\b")


def unknown(dotted: str) -> bool:
    """Return whether a dotted name is no module, and none that its module has; what a class holds is not looked at."""
    module, *names = dotted.split(".")
    for name in names:
        if not has_name(module, name):
            return True
        module = f"{module}.{name}"
        if not is_module(module):
            return False
    return False


@pytest.mark.parametrize("page", GUIDES, ids=str)
def test_files_and_names_are_there(page):
    text = _FENCE.sub("", (ROOT / page).read_text())
    assert [file for file in _FILE.findall(text) if not (ROOT / file).is_file()] == []
    assert [name for name in _NAME.findall(text) if unknown(name) and name not in NO_MODULES] == []


def test_commits_that_figures_are_of_are_in_the_history():
    """A commit that was rewritten before it landed tells a reader nothing."""
    if not (ROOT / ".git").exists():
        pytest.skip("no history here")
    listed = subprocess.run(["git", "rev-list", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    history = {commit[:7] for commit in listed.stdout.split()}
    if len(history) < 600:
        pytest.skip("a part of the history alone")
    named = {(page, commit) for page in PAGES for commit in _COMMIT.findall((ROOT / page).read_text())}
    assert len(named) > 20
    assert [(page, commit) for page, commit in sorted(named) if commit not in history] == []


def test_what_is_not_there_is_found():
    assert not unknown("mvt4g.synthetic.generate.generate_clip")
    assert not unknown("mvt4g.models.backbones.ReCamMaster")
    assert unknown("mvt4g.synthetic.generate.generate_clips")
    assert unknown("mvt4g.synthetics")
    assert unknown("mvt4g.diffusion.samplers.walk"), "a method of a class there"
