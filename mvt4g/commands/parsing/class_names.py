"""The public classes of this package by name, read from its sources: nothing is imported."""

import ast
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import mvt4g

_PACKAGE = Path(mvt4g.__file__).parent


@dataclass(frozen=True)
class NamedClass:
    """What a class is, as far as its source says."""

    path: str
    """Class path: module and name."""
    bases: tuple[str, ...]
    """Names of the classes it is made from, without their modules."""
    about: str
    """First line of its docstring."""

    @property
    def name(self) -> str:
        """The class's own name."""
        return self.path.rpartition(".")[2]


@cache
def public_classes() -> tuple[NamedClass, ...]:
    """Return every public class at the top of a module of this package, by module."""
    found = []
    for file in sorted(_PACKAGE.rglob("*.py")):
        parts = [_PACKAGE.name, *file.relative_to(_PACKAGE).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.append(_named_class(".".join(parts), node))
    return tuple(found)


def nearest_class(given: str) -> str | None:
    """Return the class path that was probably meant by a class path or a class's name that does not exist.

    The class's name decides; of classes of one name the path does.
    """
    by_name: dict[str, list[str]] = {}
    for known in public_classes():
        by_name.setdefault(known.name, []).append(known.path)
    near = get_close_matches(given.rpartition(".")[2], by_name, n=1, cutoff=0.75)
    if not near:
        return None
    return get_close_matches(given, by_name[near[0]], n=1, cutoff=0.0)[0]


def classes_made_from(base: str) -> list[NamedClass]:
    """Return the public classes that inherit from a class, directly or not, and that no other of them inherits from.

    Args:
        base: Its name, without its module.
    """
    families = {base}
    members: list[NamedClass] = []
    grown = True
    while grown:  # a class may be read before the one it inherits from
        grown = False
        for known in public_classes():
            if known.name not in families and families.intersection(known.bases):
                families.add(known.name)
                members.append(known)
                grown = True
    inherited = {name for known in members for name in known.bases}
    return [known for known in members if known.name not in inherited]


def _named_class(module: str, node: ast.ClassDef) -> NamedClass:
    about = (ast.get_docstring(node) or "").partition("\n")[0]
    bases = tuple(ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases)
    return NamedClass(f"{module}.{node.name}", bases, about)
