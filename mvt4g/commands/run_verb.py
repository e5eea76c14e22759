"""Call the function of a verb: its typed arguments are the options of the command line."""

import importlib
import json
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mvt4g.commands.parsing.config_files import read_config
from mvt4g.commands.parsing.messages import unwrapped
from mvt4g.commands.parsing.parser import OneLineParser, parse
from mvt4g.commands.verbs import COMMANDS, TAKES_A_PATH
from mvt4g.types import InputError


def run_command(verb: str, args: Sequence[str]) -> int:
    """Call the function of a verb among COMMANDS with what its command line says, and return its exit code.

    An argument without a default is positional, one of ``SceneSpec`` also takes a recipe's name.

    Raises:
        InputError: If an option does not exist or has no such value, and what the function raises.
    """
    function = verb_function(verb)
    parser, args = verb_parser(verb, args)
    settings, lines = parse(parser, args, function)
    sys.stdout.writelines(f"mvt4g: {line}\n" for line in lines)
    with unwrapped():
        arguments = vars(parser.instantiate(settings))
    return function(**arguments)


def verb_function(verb: str) -> Callable[..., int]:
    """Import the function of a verb among COMMANDS."""
    module, name, _ = COMMANDS[verb]
    function: Callable[..., int] = getattr(importlib.import_module(module), name)
    return function


def verb_parser(verb: str, args: Sequence[str]) -> tuple[OneLineParser, list[str]]:
    """Return the parser of a verb, and its command line without the name of a recipe, which the parser has taken.

    Raises:
        InputError: If a recipe does not exist.
    """
    function = verb_function(verb)
    parser = OneLineParser(prog=f"mvt4g {verb}", description=(function.__doc__ or "").partition("\n\n")[0])
    args = list(args)
    scenes = {}
    for argument, kind in typing.get_type_hints(function).items():
        if getattr(kind, "__name__", "") == "SceneSpec":
            args, scenes[argument] = _take_recipe(args, argument, kind)
            parser.add_argument(f"--{argument}", type=kind, default=scenes[argument])
    parser.add_function_arguments(function, skip=set(scenes), as_positional=verb in TAKES_A_PATH)
    return parser, args


def _take_recipe(args: list[str], argument: str, kind: Any) -> tuple[list[str], Any]:
    """Take a recipe's name out of a command line, or the scene out of a datamodule's YAML file it names.

    Returns:
        The other arguments, and what they change: the recipe, or the spec's defaults.
    """
    from mvt4g.synthetic.recipes import RECIPES

    flag = f"--{argument}"
    words: list[str] = []
    for arg in args:
        words += arg.split("=", 1) if arg.startswith(f"{flag}=") else [arg]
    if flag not in words[:-1]:
        return args, kind()
    place = words.index(flag)
    value = words[place + 1]
    if value in RECIPES:
        return [*words[:place], *words[place + 2 :]], RECIPES[value]()
    if not Path(value).is_file():
        if value.lstrip().startswith("{"):  # values, which the parser reads
            return args, kind()
        raise InputError(f"{flag}: got {value}, want a YAML file or one of {', '.join(RECIPES)}")
    try:
        content = read_config(Path(value))
        scene = content["data"]["init_args"][argument] if "data" in content else content
    except (KeyError, TypeError) as error:
        raise InputError(f"{value}: got no data.init_args.{argument} in it, want a YAML file of a scene") from error
    words[place + 1] = json.dumps(scene)
    return words, kind()
