"""YAML files that say differences: ``base: other.yaml`` (or a list) names the files that one goes on top of.

Names are relative to the place of the file that says them; later bases win over earlier ones, and the file's own values
over all of them. Two mappings are merged, unless each names another class; a list is replaced whole.
"""

import os
from pathlib import Path
from typing import Any

from mvt4g.errors import InputError
from mvt4g.formats.parsing.yaml_files import read_yaml

BASE = "base"
MOST_BASES = 16
"""Files that may stand one on the other."""


def read_layered(path: Path, want: str) -> Any:
    """Return the content of a YAML file, laid over its bases.

    Args:
        path: Of the file.
        want: What it should be, for messages.

    Raises:
        InputError: If a file cannot be read, or a file would stand on itself.
    """
    return _read(path, want, ())


def _read(path: Path, want: str, above: tuple[Path, ...]) -> Any:
    """Return the content of a file, laid over its bases.

    Args:
        path: Of the file.
        want: What it should be.
        above: Absolute paths of the files that stand on it.
    """
    content = read_yaml(path, want)
    if not isinstance(content, dict) or BASE not in content:
        return content
    own = {key: value for key, value in content.items() if key != BASE}
    names = content[BASE] if isinstance(content[BASE], list) else [content[BASE]]
    chain = (*above, Path(os.path.abspath(path)))
    whole: Any = {}
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"{path}: {BASE}: got {name!r:.60}, want the name of a YAML file, or a list of names")
        below = path.parent / name
        if Path(os.path.abspath(below)) in chain:
            raise InputError(f"{path}: {BASE}: got {name}, which stands on this file, want another")
        if len(chain) > MOST_BASES:
            raise InputError(f"{path}: {BASE}: got more than {MOST_BASES} files one on the other, want fewer")
        whole = _laid_over(whole, _read(below, want, chain))
    return _laid_over(whole, own)


def _laid_over(below: Any, above: Any) -> Any:
    """Return one value laid over another."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    if "class_path" in below and above.get("class_path", below["class_path"]) != below["class_path"]:
        # What lies below are arguments of another class.
        return above
    merged = dict(below)
    for key, value in above.items():
        merged[key] = _laid_over(below[key], value) if key in below else value
    return merged
