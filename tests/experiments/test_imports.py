"""Programs of ``experiments`` import names that are there: nothing else looks at those that no test runs."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "experiments").rglob("*.py"))


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of every import of ours that is not tried first."""
    tried: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            tried.update(ast.walk(node))
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.module is None or node in tried:
            continue
        if node.module.split(".")[0] in ("mvt4g", "experiments"):
            for alias in node.names:
                yield node.module, alias.name


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names that a file defines or imports at its top level."""
    names: set[str] = set()
    # Walk all but bodies of functions and classes, whose names are not the module's.
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue
        if isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        waiting.extend(ast.iter_child_nodes(node))
    return frozenset(names)


def is_there(module: str, name: str) -> bool:
    """Say whether a module of ours has a name, or is a package that has a module of it."""
    place = ROOT.joinpath(*module.split("."))
    if place.is_dir():
        initial = place / "__init__.py"
        has_module = (place / name).is_dir() or (place / f"{name}.py").is_file()
        return has_module or (initial.is_file() and name in names_in(initial))
    path = place.with_suffix(".py")
    return path.is_file() and name in names_in(path)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_that_programs_import_are_there(path):
    missing = []
    for module, name in imported(ast.parse(path.read_text())):
        if not is_there(module, name):
            missing.append(f"{module}.{name}")
    assert not missing


def test_a_name_that_is_gone_is_found():
    tree = ast.parse("from mvt4g.inference.reader import read_run, read_rum\nfrom mvt4g import types, tapes")
    assert [name for module, name in imported(tree) if not is_there(module, name)] == ["read_rum", "tapes"]
