"""What pages name in code: files that are there, and names that their modules define."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import GUIDES, ROOT

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`((?:mvt4g|configs|experiments|tests|scripts|docs)/[\w./-]+\.(?:py|yaml|md|svg|png))`")
NO_MODULES = {
    "mvt4g.formats.atomic.os.system": "docs/security.md shows it as a name that is refused",
    "mvt4g.verbs": "a group of entry points",
}
_NAME = re.compile(r"`(?:python -m )?((?:mvt4g|experiments)(?:\.\w+)+)(?:\([^`]*)?`")


def unknown(dotted: str) -> bool:
    """Return whether a dotted name is no module, and none that its module's text defines."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        rest = parts[count:]
        if place.is_dir():
            return bool(rest) and not re.search(rf"\b{rest[0]}\b", module_text(place / "__init__.py"))
        if place.with_suffix(".py").is_file():
            text = module_text(place.with_suffix(".py"))
            return bool(rest) and not re.search(rf"\b(?:class|def|as) {rest[0]}\b", text)
    return True


def module_text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


@pytest.mark.parametrize("page", GUIDES, ids=str)
def test_files_and_names_are_there(page):
    text = _FENCE.sub("", (ROOT / page).read_text())
    assert [file for file in _FILE.findall(text) if not (ROOT / file).is_file()] == []
    assert [name for name in _NAME.findall(text) if unknown(name) and name not in NO_MODULES] == []


def test_what_is_not_there_is_found():
    assert not unknown("mvt4g.synthetic.generate.generate_clip")
    assert not unknown("mvt4g.models.backbones.ReCamMaster")
    assert unknown("mvt4g.synthetic.generate.generate_clips")
    assert unknown("mvt4g.synthetics")
