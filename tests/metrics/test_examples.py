"""The examples in docstrings run and say what comes out; every metric has one."""

import doctest
import importlib
import pkgutil
import warnings

import pytest

import mvt4g.metrics
from tests.metrics.test_contract import CASES

MODULES = sorted(
    found.name for found in pkgutil.walk_packages(mvt4g.metrics.__path__, "mvt4g.metrics.") if not found.ispkg
)
FINDER = doctest.DocTestFinder(exclude_empty=True)


def examples(module: str) -> list[doctest.DocTest]:
    return [test for test in FINDER.find(importlib.import_module(module)) if test.examples]


@pytest.mark.parametrize("module", [module for module in MODULES if examples(module)])
def test_examples_run(module):
    for test in examples(module):
        said: list[str] = []
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            doctest.DocTestRunner(verbose=False).run(test, out=said.append)
        assert not said, "".join(said)


def test_every_metric_has_an_example():
    metrics = {type(case.make()) for case in CASES.values()}
    shown = {test.name for module in MODULES for test in examples(module)}
    assert {f"{metric.__module__}.{metric.__name__}" for metric in metrics} <= shown
