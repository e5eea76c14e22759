"""A page that shows many scene pages, each loaded when it is opened."""

import html
import json
import os
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mvt4g import __version__
from mvt4g.formats.atomic import appearing
from mvt4g.types import InputError
from mvt4g.viz.scene_page.template import fill, script_json, viewer_file

_HEAD_CHARACTERS = 200_000
"""Beginning of a scene page in which its facts are looked for: a picture of some kB among them."""


def write_gallery(pages: Sequence[Path], path: Path, title: str = "Scenes") -> Path:
    """Write a page of thumbnails that opens scene pages in frames, one alone or several that move together.

    Scenes are named by paths relative to the gallery: the folder can be moved or put on a server as a whole.

    Args:
        pages: Files of ``write_scene_page``, in the order to show.
        path: Where the gallery goes.
        title: What it is called.

    Raises:
        InputError: If there is no page, one of them is no scene page, or the gallery cannot be written.
    """
    if not pages:
        raise InputError(f"{path}: got no scene page to show, want at least one")
    scenes = []
    for page in pages:
        # Path.relative_to goes down only; a page may lie beside the gallery's folder.
        relative = Path(os.path.relpath(page.resolve(), path.resolve().parent))
        scenes.append({"href": quote(relative.as_posix()), **_facts(page)})
    fields = {
        "version": __version__,
        "title": html.escape(title),
        "style": viewer_file("gallery.css"),
        "scenes": script_json(scenes),
        "script": viewer_file("gallery.js"),
    }
    with appearing(path) as temporary:
        temporary.write_text(fill(viewer_file("gallery.html"), fields), encoding="utf-8")
    return path


def _facts(page: Path) -> dict[str, str]:
    """Return title, subtitle and picture that a scene page names in its head."""
    try:
        with page.open(encoding="utf-8") as file:
            head = file.read(_HEAD_CHARACTERS)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{page}: cannot be read ({error}), want a page of write_scene_page") from error
    reader = _FactsReader()
    reader.feed(head)
    try:
        facts = json.loads(reader.facts)
        return {name: str(facts[name]) for name in ("title", "subtitle", "poster")}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{page}: got no facts of a scene in its head, want a page of write_scene_page") from error


class _FactsReader(HTMLParser):
    """Reads the element that ``page.html`` keeps the facts in."""

    facts = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        fields = dict(attrs)
        if tag == "meta" and fields.get("name") == "mvt4g-scene":
            self.facts = fields.get("content") or ""
