"""The page's own files, and how values come into them."""

import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

_FIELD = re.compile(r"\{\{(\w+)\}\}")


def viewer_file(name: str) -> str:
    """Return the text of a file of the viewer."""
    return (resources.files("mvt4g.viz.scene_page") / "viewer" / name).read_text(encoding="utf-8")


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Return a template with every ``{{name}}`` replaced; what comes in is not searched again."""
    return _FIELD.sub(lambda match: fields[match[1]], template)


def script_json(value: Any) -> str:
    """Return JSON that may stand in a ``<script>``: nothing in it ends the element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
