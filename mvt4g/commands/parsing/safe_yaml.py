"""What jsonargparse reads, files and values within the command line, goes through this project's own YAML reader first.

Its parser then sees text of bounded length, depth and number of values, without a key twice, from regular files alone.
"""

import pathlib
from typing import Any

import yaml
from jsonargparse import Path as ConfigPath
from jsonargparse import _loaders_dumpers, get_loader, set_loader

from mvt4g.commands.parsing.config_files import config_text
from mvt4g.commands.parsing.moved_options import moved_in_text
from mvt4g.formats.parsing.yaml_files import parse_yaml, read_yaml_text
from mvt4g.types import InputError

_WANT = "a YAML file of options"
_STARTS_MORE = "\n[{&*!"
"""Without one of these a text is one value, or one key and its value."""
_READ = next(name for name in ("read_text", "get_content") if hasattr(ConfigPath, name))
"""Its name from jsonargparse 4.49 on, and before."""
_load_unchecked = get_loader("yaml")


def read_options(path: str | pathlib.Path) -> str:
    """Return the text of a configuration file.

    Raises:
        InputError: As ``parsing.yaml_files.read_yaml``.
    """
    return read_yaml_text(pathlib.Path(path), _WANT)


def read_safely() -> None:
    """Have jsonargparse read so, from now on and in every parser.

    It calls its own loader past the one that can be set where an option takes anything; libyaml ends the process there
    on 100,000 brackets.
    """
    set_loader("yaml", _load, (yaml.YAMLError,))
    vars(_loaders_dumpers).update(yaml_load=_load)
    setattr(ConfigPath, _READ, _read)


def _load(text: str) -> Any:
    """Load a value as jsonargparse would.

    Raises:
        yaml.YAMLError: If it is no YAML that can be accepted; jsonargparse then takes it for a text, or says so.
    """
    if any(mark in text for mark in _STARTS_MORE):
        try:
            parse_yaml(text, "value", "YAML")
        except InputError as error:
            raise yaml.YAMLError(str(error)) from error
    return _load_unchecked(text)


def _read(path: Any, *mode: str) -> str:
    """Read the file that a configuration or an option names."""
    return _read_unchecked(path, *mode) if str(path) == "-" else moved_in_text(config_text(pathlib.Path(path.absolute)))


_read_unchecked = getattr(ConfigPath, _READ)
