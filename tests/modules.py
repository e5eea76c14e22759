"""Names that modules of ours have, read off their text: nothing is imported."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


def is_module(module: str) -> bool:
    """Say whether a dotted name is a module or a package of ours."""
    place = ROOT.joinpath(*module.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def has_name(module: str, name: str) -> bool:
    """Say whether a module of ours has a name, or is a package that has a module of it."""
    if is_module(f"{module}.{name}"):
        return True
    place = ROOT.joinpath(*module.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return path.is_file() and name in names_in(path)


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
