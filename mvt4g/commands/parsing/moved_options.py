"""Options that have another place than before and are still understood where they were.

``model.init_args.optimizer`` is ``training.optimizer`` of the system that trains the DiT, and
``tracker_training.optimizer`` of the tracker. A configuration laid over another one does not name the system: whether
it is the tracker is read off all that the command line names.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mvt4g.commands.parsing.config_files import config_text
from mvt4g.formats.parsing.moved_classes import with_moved_classes
from mvt4g.formats.parsing.yaml_files import parse_yaml
from mvt4g.types import InputError

_TRACKER = "MultiViewTracking"
_OPTION = re.compile(r"^(--model\.(?:init_args\.)?)(optimizer(?:[.=].*)?)$", re.DOTALL)
_place = "training"
"""Which of the system's options holds the optimizer in the command line that is being parsed."""


def note_system(args: Sequence[str]) -> None:
    """Note whether a command line's model is the tracker.

    Args:
        args: As after ``mvt4g``.
    """
    global _place  # the reader of files, which needs it, is called by jsonargparse
    _place = "tracker_training" if any(_names_tracker(arg) for arg in args) else "training"


def moved_argument(arg: str) -> str:
    """Return an argument of the command line under the names that option and class have now."""
    return _OPTION.sub(lambda found: f"--model.init_args.{_place}.{found[2]}", with_moved_classes(arg))


def moved_in_text(text: str) -> str:
    """Return the text of a configuration with options and classes where they are now; another text as it is."""
    text = with_moved_classes(text)
    if "optimizer" not in text:
        return text
    try:
        content = parse_yaml(text, "configuration", "YAML")
    except InputError:
        return text  # the parser says what is wrong with it
    arguments = _arguments(content)
    if "optimizer" not in arguments:
        return text
    optimizer = arguments.pop("optimizer")
    spec = arguments.setdefault(_place, {})
    if not isinstance(spec, dict) or "optimizer" in spec:
        return text
    spec["optimizer"] = optimizer
    return yaml.safe_dump(content, sort_keys=False)


def _arguments(content: Any) -> dict[str, Any]:
    """Return what a configuration gives to its model, {} where that is nothing of its own."""
    model = content.get("model") if isinstance(content, dict) else None
    arguments = model.get("init_args") if isinstance(model, dict) else None
    return arguments if isinstance(arguments, dict) else {}


def _names_tracker(arg: str) -> bool:
    """Say whether an argument names the tracker, by itself or as a configuration file that does."""
    if _TRACKER in arg:
        return True
    path = Path(os.path.expanduser(arg.partition("=")[2] or arg))
    if path.suffix not in (".yaml", ".yml"):
        return False
    try:
        return _TRACKER in config_text(path)
    except InputError:
        return False  # the parser says what is wrong with it
