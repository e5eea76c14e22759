"""Objects out of a configuration file, without the command line's parser: type hints say what a value becomes.

It understands what the options of models, codecs, heads, samplers and adapters are made of: plain values, paths, lists
and tuples, dataclasses, ``{class_path, init_args}`` of a class, and factories that are given as one. Classes are under
the rule of ``formats/parsing/class_paths.py``.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from mvt4g.formats.parsing.class_paths import named_class
from mvt4g.ranges import check_value
from mvt4g.types import InputError

CLASS_KEYS = ("class_path", "init_args")


def build_value(hint: Any, value: Any, where: str) -> Any:
    """Return what a configuration's value means where a type is wanted.

    Args:
        hint: The type hint of the option.
        value: As YAML holds it.
        where: Key of the configuration, for messages.

    Raises:
        InputError: Naming the key, if the value is none of the type, or a class on the way is not allowed, does not
            exist, takes no such argument or refuses its arguments.
    """
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Annotated:
        return build_value(arguments[0], value, where)
    if origin in (Union, types.UnionType):
        built = _one_of(arguments, value, where)
    elif origin is Literal:
        built = _literal(arguments, value, where)
    elif origin is Callable:
        built = _factory(arguments[-1], value, where)
    elif inspect.isclass(origin) and issubclass(origin, Sequence | Set):
        built = _sequence(origin, arguments, value, where)
    else:
        built = value if hint is Any else _of_class(hint, value, where)
    return built


def build_class(spec: Any, kind: type, where: str) -> Any:
    """Return the object of a class that a configuration names by ``class_path``, with its ``init_args``.

    Args:
        spec: ``{class_path, init_args}``.
        kind: What the class must be a subclass of.
        where: Key of the configuration, for messages.

    Raises:
        InputError: As ``build_value``.
    """
    found, arguments = _named_class(spec, kind, where)
    return _call(found, build_arguments(found, arguments, f"{where}.init_args"), where)


def build_arguments(
    function: Callable[..., Any],
    given: Mapping[str, Any],
    where: str,
) -> dict[str, Any]:
    """Return the keyword arguments of a class or function that a mapping of a configuration gives.

    Args:
        function: Its parameters have type hints.
        given: By name; what is left out keeps its default.
        where: Key of the configuration, for messages.

    Raises:
        InputError: If it takes no such argument, and as ``build_value``.
    """
    initialise = function.__init__ if inspect.isclass(function) else function
    hints = typing.get_type_hints(initialise, include_extras=True)
    names = [name for name in inspect.signature(function).parameters if name in hints]
    for name in given:
        if name not in names:
            raise InputError(f"{where}: got option {name!r}, want one of {', '.join(names)}")
    built = {}
    for name, value in given.items():
        built[name] = build_value(hints[name], value, f"{where}.{name}")
        check_value(f"{where}.{name}", built[name], hints[name])
    return built


def mapping_at(content: Any, key: str, where: str) -> dict[str, Any]:
    """Return the mapping under a key of a mapping; an empty one where there is none, or null.

    Raises:
        InputError: If the value is no mapping.
    """
    found = content.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InputError(f"{where}.{key}: got {found!r:.80}, want options by name")
    return found


def _one_of(kinds: Sequence[Any], value: Any, where: str) -> Any:
    """Return the value as the first of several types that takes it."""
    if value is None and type(None) in kinds:
        return None
    faults = []
    for kind in kinds:
        # None was taken above: from here on a message tells of what the value could have been.
        if kind is type(None):
            continue
        try:
            return build_value(kind, value, where)
        except InputError as error:
            faults.append(error)
    raise faults[0]


def _literal(allowed: Sequence[Any], value: Any, where: str) -> Any:
    if value not in allowed:
        raise InputError(f"{where}: got {value!r:.80}, want one of {', '.join(map(repr, allowed))}")
    return value


def _sequence(origin: Any, kinds: Sequence[Any], value: Any, where: str) -> Any:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise InputError(f"{where}: got {value!r:.80}, want a list")
    of_any_length = origin is not tuple or kinds[-1] is Ellipsis
    each = [kinds[0]] * len(value) if of_any_length else list(kinds)
    if len(each) != len(value):
        raise InputError(f"{where}: got {len(value)} values, want {len(each)}")
    built = []
    for i, (kind, part) in enumerate(zip(each, value, strict=True)):
        built.append(build_value(kind, part, f"{where}.{i}"))
    return built if issubclass(list, origin) else origin(built)


def _of_class(hint: Any, value: Any, where: str) -> Any:
    """Return a plain value, a dataclass, or an object of a class that the value names."""
    if not inspect.isclass(hint):
        raise InputError(f"{where}: got {value!r:.80}, want what only the command line's parser can make of it")
    if hint in (bool, int, str, float, type(None)):
        return _plain(hint, value, where)
    if issubclass(hint, Path):
        if not isinstance(value, str):
            raise InputError(f"{where}: got {value!r:.80}, want a path")
        return Path(value)
    if dataclasses.is_dataclass(hint) and not _names_a_class(value):
        if not isinstance(value, dict):
            raise InputError(f"{where}: got {value!r:.80}, want options by name")
        return _call(hint, build_arguments(hint, value, where), where)
    return build_class(value, hint, where)


def _plain(kind: type, value: Any, where: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and is_number:
        return float(value)
    if kind is float and isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 takes 1e-4 for text
        except ValueError as error:
            raise InputError(f"{where}: got {value!r}, want a number") from error
    if kind is int and is_number and (isinstance(value, int) or value.is_integer()):
        return int(value)
    if kind in (bool, str, type(None)) and type(value) is kind:
        return value
    raise InputError(f"{where}: got {value!r:.80}, want a value of type {kind.__name__}")


def _factory(result: Any, spec: Any, where: str) -> Callable[..., Any]:
    """Return a class as a factory: what the caller passes comes first, ``init_args`` are there already."""
    spec = {"class_path": spec} if isinstance(spec, str) else spec
    kind = result if inspect.isclass(result) else object
    found, arguments = _named_class(spec, kind, where)
    return partial(found, **build_arguments(found, arguments, f"{where}.init_args"))


def _named_class(spec: Any, kind: type, where: str) -> tuple[type, dict[str, Any]]:
    if not _names_a_class(spec):
        raise InputError(f"{where}: got {spec!r:.80}, want a class: class_path and init_args")
    found = named_class(spec["class_path"], f"{where}.class_path")
    if not issubclass(found, kind):
        raise InputError(f"{where}.class_path: got {spec['class_path']}, want a {kind.__name__}")
    return found, mapping_at(spec, "init_args", where)


def _names_a_class(value: Any) -> bool:
    return isinstance(value, dict) and "class_path" in value and set(value) <= set(CLASS_KEYS)


def _call(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    where: str,
) -> Any:
    """Call a class with checked arguments.

    Raises:
        InputError: As it raised it, and in place of a ``TypeError`` for an argument that is missing.
    """
    missing = []
    for name, parameter in inspect.signature(function).parameters.items():
        # *arguments and **options may be left out, though they have no default.
        is_open = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not is_open and name not in arguments:
            missing.append(name)
    if missing:
        want = f"all that {function.__qualname__} must be given"
        raise InputError(f"{where}: got no {', '.join(missing)}, want {want}")
    return function(**arguments)
