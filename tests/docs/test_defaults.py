"""Tables headed "option of `Class`": the defaults that they state are those of the class."""

import inspect
import re
from typing import Any

import pytest
import yaml

from mvt4g.inference.tracker import TrackerSpec
from mvt4g.models.conditioning.epipolar import EpipolarConditioning
from mvt4g.models.conditioning.lifted_view import LiftedView
from mvt4g.models.tracking.head import TrackingHeadSpec
from tests.docs.pages import GUIDES, ROOT

CLASSES = {kind.__name__: kind for kind in (EpipolarConditioning, LiftedView, TrackerSpec, TrackingHeadSpec)}
_TABLE = re.compile(r"^\| option of `(\w+)` \| default.*\n\|[-|: ]+\n((?:\|.*\n)+)", re.MULTILINE)
TABLES = [(page, *found) for page in GUIDES for found in _TABLE.findall((ROOT / page).read_text())]


def stated(cell: str) -> list[Any]:
    """Return the defaults that a cell states in code or as numbers; a cell of words states none."""
    words = re.match(r"(?:`[\w.-]+`|[\d.]+|null)(?:, (?:`[\w.-]+`|[\d.]+|null))*(?=$|[:;])", cell)
    return [] if words is None else [yaml.safe_load(word.strip("` ")) for word in words[0].split(", ")]


@pytest.mark.parametrize(("page", "name", "rows"), TABLES, ids=lambda part: str(part)[:24])
def test_defaults_are_those_of_the_class(page, name, rows):
    parameters = inspect.signature(CLASSES[name]).parameters
    compared = 0
    for row in rows.splitlines():
        options, default = [cell.strip() for cell in row.strip("|").split("|")[:2]]
        names = [option.rpartition(".")[2] for option in re.findall(r"`([\w.]+)`", options)]
        assert [option for option in names if option not in parameters] == []
        values = stated(default)
        if len(values) == 1:
            values *= len(names)  # of all alike
        for option, value in zip(names, values, strict=False):
            assert parameters[option].default == value, (page, option)
            compared += 1
    assert compared > 0


def test_there_are_tables():
    assert {name for _, name, _ in TABLES} == set(CLASSES)
    assert stated("0.5, null") == [0.5, None]
    assert stated("`true`: maps without what all cells of a clip share") == [True]
    assert stated("the head's") == []
