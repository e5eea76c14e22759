"""The table of docs/metrics.md has every metric, under a name that can be imported and with options that it has."""

import importlib.util
import re
from pathlib import Path

from tests.metrics.test_contract import CASES

PAGE = Path(__file__).parents[2].joinpath("docs", "metrics.md").read_text()
FIRST_CELLS = re.findall(r"^\| (`.+?) \|", PAGE, flags=re.MULTILINE)
NAMES = [name for cell in FIRST_CELLS for name in re.findall(r"`([a-z_0-9.]+)\.([A-Z]\w*)(\([^`]*\))?`", cell)]


def test_every_metric_is_in_the_table():
    told = {name for _, name, _ in NAMES}
    assert {type(case.make()).__name__ for case in CASES.values()} - {"VideoNames"} <= told


def is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_names_and_options_are_true():
    packages = ("mvt4g.metrics", "mvt4g.metrics.pose_estimators")
    made = 0
    for module, name, options in NAMES:
        (found,) = [p for p in packages if is_there(f"{p}.{module}")]
        made_of = getattr(importlib.import_module(f"{found}.{module}"), name)
        if options:
            eval(f"{name}{options}", {name: made_of})
            made += 1
    assert made >= 4


def test_directions_are_those_of_the_classes():
    words = {"higher": True, "lower": False, "–": None}
    compared = 0
    for row in PAGE.splitlines():
        names = re.findall(r"`([a-z_0-9.]+)\.([A-Z]\w*)(?:\([^`]*\))?`", row.split(" | ")[0])
        better = row.removesuffix(" |").rpartition(" | ")[2]
        if len(names) == 1 and better in words:
            metric = getattr(importlib.import_module(f"mvt4g.metrics.{names[0][0]}"), names[0][1])
            assert metric.higher_is_better is words[better], row
            compared += 1
    assert compared >= 20
