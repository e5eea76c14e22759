"""Configuration files as the command line reads them: laid over their bases, with recipes of scenes written out.

``data.init_args.scene`` may be the name of a recipe, which stands for all of its values.
"""

import types
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from mvt4g.errors import InputError
from mvt4g.formats.parsing.layered_yaml import BASE, read_layered
from mvt4g.formats.parsing.yaml_files import read_yaml_text

_WANT = "a YAML file of options"


def read_config(path: Path) -> Any:
    """Return the content of a configuration, its bases below it and the recipe it names written out.

    Raises:
        InputError: As ``read_layered``, or if no recipe has the name.
    """
    return _with_scene(path, read_layered(path, _WANT))


def config_text(path: Path) -> str:
    """Return the text of ``read_config``: the file's own where it has no base and names no recipe.

    Raises:
        InputError: As ``read_config``.
    """
    text = read_yaml_text(path, _WANT)
    if f"{BASE}:" not in text and "scene:" not in text:
        return text
    whole = read_config(path)
    return yaml.safe_dump(whole, sort_keys=False) if isinstance(whole, dict) else text


def _with_scene(path: Path, content: Any) -> Any:
    """Return a configuration with the recipe that its data name written out.

    Raises:
        InputError: If no recipe has the name.
    """
    data = content.get("data") if isinstance(content, dict) else None
    arguments = data.get("init_args") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(arguments, dict):
        return content
    name = arguments.get("scene")
    if not isinstance(name, str):
        return content
    from mvt4g.synthetic.recipes import RECIPES

    if name not in RECIPES:
        raise InputError(f"{path}: data.init_args.scene: got {name:.60}, want values or one of {', '.join(RECIPES)}")
    scene = spec_values(RECIPES[name]())
    return {**content, "data": {**data, "init_args": {**arguments, "scene": scene}}}


def spec_values(spec: Any) -> dict[str, Any]:
    """Return every value of a spec as YAML has them, with the class of an entry that may be of several."""
    hints = typing.get_type_hints(type(spec))
    values = {}
    for field in fields(spec):
        value = getattr(spec, field.name)
        if is_dataclass(value):
            inner = spec_values(value)
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            several = _num_classes(hints[field.name]) > 1
            values[field.name] = {"class_path": kind, "init_args": inner} if several else inner
        else:
            values[field.name] = _as_lists(value)
    return values


def _num_classes(hint: Any) -> int:
    """Return of how many dataclasses an entry may be."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return sum(is_dataclass(kind) for kind in kinds)


def _as_lists(value: Any) -> Any:
    return [_as_lists(entry) for entry in value] if isinstance(value, list | tuple) else value
