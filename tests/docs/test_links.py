"""Links of the pages: files and headings are there, offline; addresses of the web are held to their form alone."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import PAGES, ROOT

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def links(text: str) -> list[str]:
    """Return where the links of a page go; what looks like a link in code is none."""
    return _LINK.findall(_CODE.sub("", text))


def anchors(text: str) -> set[str]:
    """Return the names of the headings of a page, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        again = next(f"{slug}-{number}" if number else slug for number in range(100)
                     if (f"{slug}-{number}" if number else slug) not in found)  # fmt: skip
        found.add(again)
    return found


@cache
def anchors_of(path: Path) -> set[str]:
    return anchors(path.read_text())


def complaint(page: Path, link: str) -> str | None:
    """Return what is wrong with a link; None = nothing."""
    address = urlsplit(link)
    if address.scheme:
        good = address.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", address.netloc) is not None
        return None if good else "want https and a host"
    target = (page.parent / address.path).resolve() if address.path else page
    if not target.exists():
        return "no such file"
    if not target.is_relative_to(ROOT):
        return "outside the repository"
    if address.fragment and address.fragment not in anchors_of(target):
        return f"no such heading, want one of {', '.join(sorted(anchors_of(target)))}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    found = [(link, complaint(ROOT / page, link)) for link in links((ROOT / page).read_text())]
    assert [(link, what) for link, what in found if what] == []


def test_what_is_wrong_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.docs.test_links.ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# Of `cells` (two)\n\n```\n# no heading\n```\n\n## Twice\n\n## Twice\n")
    good = "[a](other.md) ![b](other.md#of-cells-two) [c](other.md#twice-1) [d](https://arxiv.org/abs/1) `[e](f.md)`"
    bad = "[a](gone.md) [b](other.md#no-heading) [c](http://a.org) [d](https://nohost/x) [e](other.md#twice-2) [f](..)"
    page = tmp_path / "page.md"
    assert len(links(good)) == 4
    assert [complaint(page, link) for link in links(good)] == [None] * 4
    assert len(links(bad)) == 6
    assert all(complaint(page, link) for link in links(bad))
