"""What a file that stands on others says."""

import re

import pytest

from mvt4g.errors import InputError
from mvt4g.formats.parsing.layered_yaml import MOST_BASES, read_layered


def read(folder, **texts):
    for name, text in texts.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return read_layered(folder / "top.yaml", "options")


def test_the_top_wins_mappings_merge_and_lists_are_replaced(tmp_path):
    found = read(
        tmp_path,
        low="{a: 1, b: {c: 2, d: [1, 2], e: 5}, x: low}",
        middle="base: low.yaml\nb: {d: [3], f: 6}\nx: middle",
        top="base: middle.yaml\nb: {e: null}\ny: top",
    )
    assert found == {"a": 1, "b": {"c": 2, "d": [3], "e": None, "f": 6}, "x": "middle", "y": "top"}


def test_of_several_bases_the_later_wins(tmp_path):
    assert read(tmp_path, a="{x: 1, y: 1}", b="{x: 2}", top="base: [a.yaml, b.yaml]\nz: 3") == {"x": 2, "y": 1, "z": 3}


def test_arguments_of_another_class_go(tmp_path):
    low = "{m: {class_path: A, init_args: {x: 1, y: 2}}}"
    assert read(tmp_path, low=low, top="base: low.yaml\nm: {class_path: B, init_args: {z: 3}}") == {
        "m": {"class_path": "B", "init_args": {"z": 3}}
    }
    same = {"m": {"class_path": "A", "init_args": {"x": 9, "y": 2}}}
    assert read(tmp_path, top="base: low.yaml\nm: {class_path: A, init_args: {x: 9}}") == same
    assert read(tmp_path, top="base: low.yaml\nm: {init_args: {x: 9}}") == same
    named_above = read(tmp_path, low="{m: {init_args: {x: 1}}}", top="base: low.yaml\nm: {class_path: B}")
    assert named_above == {"m": {"class_path": "B", "init_args": {"x": 1}}}


def test_names_are_relative_to_the_file_that_says_them(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "low.yaml").write_text("{x: 1}")
    (tmp_path / "below" / "middle.yaml").write_text("base: low.yaml\n")
    assert read(tmp_path, top="base: below/middle.yaml\ny: 2") == {"x": 1, "y": 2}


def test_a_file_without_a_base_is_as_it_is(tmp_path):
    assert read(tmp_path, top="[1, 2]") == [1, 2]
    assert read(tmp_path, top="{data: {base: 3}}") == {"data": {"base": 3}}, "of the top level alone"


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"top": "base: top.yaml"}, "top.yaml: base: got top.yaml, which stands on this file"),
        ({"top": "base: low.yaml", "low": "base: ./top.yaml"}, "low.yaml: base: got ./top.yaml, which stands"),
        ({"top": "base: no.yaml"}, "no.yaml: no such file, want options"),
        ({"top": "base: 3"}, "top.yaml: base: got 3, want the name of a YAML file"),
        ({"top": "base: [low.yaml, {}]", "low": "{}"}, "top.yaml: base: got {}, want"),
        ({"top": "base: low.yaml", "low": "{a: ["}, "low.yaml: line 2: cannot be read as YAML"),
        ({"top": "base: low.yaml\nbase: low.yaml", "low": "{}"}, "'base'"),
    ],
)
def test_bad_bases_are_named(tmp_path, texts, told):
    with pytest.raises(InputError, match=re.escape(told)):
        read(tmp_path, **texts)


def test_a_long_chain_is_refused(tmp_path):
    chain = {f"f{number}": f"base: f{number + 1}.yaml" for number in range(MOST_BASES + 2)}
    with pytest.raises(InputError, match=f"more than {MOST_BASES} files"):
        read(tmp_path, top="base: f0.yaml", **chain)
