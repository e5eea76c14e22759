"""Programs of ``experiments`` import names that are there: nothing else looks at those that no test runs."""

import ast
from collections.abc import Iterator

import pytest

from tests.modules import ROOT, has_name

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


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_that_programs_import_are_there(path):
    missing = []
    for module, name in imported(ast.parse(path.read_text())):
        if not has_name(module, name):
            missing.append(f"{module}.{name}")
    assert not missing


def test_a_name_that_is_gone_is_found():
    tree = ast.parse("from mvt4g.inference.reader import read_run, read_rum\nfrom mvt4g import types, tapes")
    assert [name for module, name in imported(tree) if not has_name(module, name)] == ["read_rum", "tapes"]
