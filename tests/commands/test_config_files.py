"""Configurations that say differences, as the command line reads them."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from mvt4g.cli import main
from mvt4g.commands.parsing.config_files import config_text, read_config, spec_values
from mvt4g.synthetic.recipes import RECIPES

CONFIGS = Path(__file__).parents[2] / "configs"


def plain(value):
    """Strip class paths and turn tuples into lists, as YAML has them."""
    if isinstance(value, dict):
        return plain(value["init_args"]) if "class_path" in value else {key: plain(v) for key, v in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_written_out_whole(name):
    values = spec_values(RECIPES[name]())
    assert yaml.safe_load(yaml.safe_dump(values)) == values
    assert plain(values) == plain(dataclasses.asdict(RECIPES[name]()))
    assert values["cameras"]["class_path"].startswith("mvt4g.synthetic.camera_specs.")


def test_a_file_that_says_no_difference_is_read_as_it_stands(tmp_path):
    text = "model: {a: 1}  # a remark\n"
    (tmp_path / "a.yaml").write_text(text)
    assert config_text(tmp_path / "a.yaml") == text


def test_nano_is_the_demo_but_for_what_it_says():
    nano, demo = (read_config(CONFIGS / "experiment" / f"{name}.yaml") for name in ("nano", "demo"))
    dit = nano["model"]["init_args"]["backbone"]["init_args"]["dit"]
    assert dit == {"dim": 96, "ffn_dim": 384, "num_heads": 4, "num_layers": 4, "query_gain": 3.0}
    assert nano["model"]["init_args"]["training"] == demo["model"]["init_args"]["training"]
    assert demo["data"]["init_args"]["cache_dir"] == "cache/clips"


def test_the_command_line_resolves_bases_and_recipes(tmp_path, capfd):
    (tmp_path / "mine.yaml").write_text(f"""
base: {CONFIGS}/experiment/nano.yaml
trainer: {{max_steps: 7}}
data: {{init_args: {{scene: parallax_nano}}}}
""")
    args = ["fit", "-c", str(tmp_path / "mine.yaml"), "--run", "run", "--data.init_args.scene.num_views=4"]
    with pytest.raises(SystemExit):
        main([*args, "--print_config"])
    found = yaml.safe_load(capfd.readouterr().out)
    assert found["trainer"]["max_steps"] == 7
    assert found["trainer"]["log_every_n_steps"] == 10, "of the lowest base"
    scene = plain(spec_values(RECIPES["parallax_nano"]()))
    assert plain(found["data"]["init_args"]["scene"]) == {**scene, "num_views": 4}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "data: {init_args: {scene: movi_g}}",
            "data.init_args.scene: got movi_g, want values or one of tiny",
        ),
        ("base: no.yaml", "no.yaml: no such file, want a YAML file of options"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path, capfd, text, told):
    (tmp_path / "mine.yaml").write_text(text)
    assert main(["fit", "-c", str(tmp_path / "mine.yaml"), "--run", "run"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert told in line
