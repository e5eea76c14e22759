"""The rule of trust: a configuration names classes of this project, a few libraries, and modules a user trusts.

A configuration is data. What it names by ``class_path`` is imported and called, so that every name is held against a
list before anything is imported: ``TRUSTED``, less ``DISTRUSTED``, and what ``--trust MODULE`` or the environment
variable ``MVT4G_TRUST`` adds. No key of a file can add to it. A name stands for a class; a function is refused wherever
it is asked for by name.

jsonargparse holds the list (``set_parsing_settings``) at the one place where it imports what a value names, for every
way that a value takes: files, inline YAML, dotted options, short names, ``--model.help``, environment variables. It
holds the place where an object is *defined* against the list too, so that ``mvt4g.cli.os.system`` is ``posix.system``.
"""

import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import PathFinder
from typing import Any

from jsonargparse import Namespace, set_parsing_settings

from mvt4g.formats.parsing.class_paths import DISTRUSTED, TRUSTED, VARIABLE, is_within, trusted_modules
from mvt4g.types import InputError

OPTION = "--trust"

_added: set[str] = set()
"""Modules beside TRUSTED that jsonargparse allows now."""


def take_trust(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take ``--trust MODULE`` and ``--trust=MODULE`` out of a command line, wherever they stand.

    Returns:
        The other arguments, and the modules.

    Raises:
        InputError: If the option has no value.
    """
    others = []
    modules = []
    left = iter(args)
    for arg in left:
        flag, equals, value = arg.partition("=")
        if flag != OPTION:
            others.append(arg)
            continue
        module = value if equals else next(left, "")
        if not module:
            raise InputError(f"{OPTION}: got none, want the name of a module")
        modules.append(module)
    return others, modules


@contextmanager
def trusting(modules: Sequence[str]) -> Iterator[None]:
    """Let configurations name classes of more modules, in this process and in those that it starts.

    Args:
        modules: Added to those of the environment variable.

    Raises:
        InputError: If one is no module's name.
    """
    before = os.environ.get(VARIABLE)
    names = [*dict.fromkeys([*trusted_modules(), *modules])]
    if names:
        os.environ[VARIABLE] = ",".join(names)
    try:
        allow(names)
        for name in names:
            _find_beside_here(name)
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before
        allow(trusted_modules())


def allow(modules: Sequence[str]) -> None:
    """Set which modules a value may name: TRUSTED and these, and no others that were allowed before.

    Raises:
        InputError: If one is no module's name.
    """
    modules = [name.strip() for name in modules]
    for name in modules:
        parts = name.split(".")
        # jsonargparse's own functions would turn the list off.
        if not all(map(str.isidentifier, parts)) or parts[0] == "jsonargparse":
            raise InputError(f"{OPTION}: got {name!r}, want the name of a module, such as its_package")
    # jsonargparse forgets no entry: one that was added before gets the verdict of the lists again.
    allowed_again = [name for name in _added if is_within(name, TRUSTED) and not is_within(name, DISTRUSTED)]
    denied = ["*", *(_added - set(allowed_again)), *DISTRUSTED]
    _added.clear()
    _added.update(modules)
    set_parsing_settings(
        import_path_denylist=denied,
        import_path_allowlist=[*TRUSTED, *allowed_again, *modules],
        instantiate_subclass_spec_in_any=False,  # an option that takes anything takes data
        config_read_mode_urls_enabled=False,
        config_read_mode_fsspec_enabled=False,  # importing LightningCLI lets configurations come over a network
    )


def check_classes(config: Any, where: str = "") -> None:
    """Check that all a parsed configuration names are classes; nothing of it has been called yet.

    Args:
        config: As the parser returned it.
        where: Its dotted key.

    Raises:
        InputError: If a function stands where a class or a value is wanted, naming the option.
    """
    if isinstance(config, dict | Namespace):
        items = vars(config).items() if isinstance(config, Namespace) else config.items()
        for key, value in items:
            place = f"{where}.{key}" if where else str(key)
            if key == "class_path" and isinstance(config, Namespace):
                _check_class(where, value)
            check_classes(value, place)
    elif isinstance(config, list | tuple | set):
        for index, value in enumerate(config):
            check_classes(value, f"{where}.{index}")
    elif callable(config) and not inspect.isclass(config) and not isinstance(config, os.PathLike):
        name = f"{getattr(config, '__module__', None)}.{getattr(config, '__qualname__', config)}"
        raise InputError(f"{where}: got the function {name}, want a value or a class: functions are not called by name")


def imported(path: str) -> Any:
    """Return what lies at a dotted path in the modules that were imported already; None = nothing."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):  # a class may lie within a class
        thing: Any = sys.modules.get(".".join(parts[:count]))
        if thing is not None:
            for name in parts[count:]:
                thing = getattr(thing, name, None)
            return thing
    return None


def _check_class(where: str, path: Any) -> None:
    """Check that a class path that was imported already is that of a class.

    Raises:
        InputError: If it is not.
    """
    if not inspect.isclass(imported(str(path))):
        raise InputError(f"{where}: got {path}, want the class path of a class: functions are not called by name")


def _find_beside_here(module: str) -> None:
    """Let a trusted package be found in the working directory, as ``python -m`` does and a console script does not."""
    package = module.partition(".")[0]
    here = os.getcwd()
    if package in sys.modules or PathFinder.find_spec(package) is not None:
        return
    if PathFinder.find_spec(package, [here]) is not None:
        sys.path.append(here)


def denial(message: str) -> str:
    """Return what to say of a parser's message that a name may not be imported; empty for any other message."""
    before, marker, _ = message.partition("' is not allowed, denied by")
    if not marker:
        return ""
    path = before.rpartition("Importing '")[2]
    wanted = f"got {path}, want a class of mvt4g, torch.optim, lightning.pytorch or torchmetrics"
    if is_within(path, DISTRUSTED):
        module = next(name for name in DISTRUSTED if is_within(path, [name]))
        return f"{wanted}, but of {module} only with {OPTION} {module}: it runs programs or reaches a network"
    package = path.partition(".")[0]
    if package in sys.stdlib_module_names:
        return wanted
    return f"{wanted}; a module that you trust needs {OPTION} {package}"


allow(())  # whoever parses, by whatever way, is under the rule
