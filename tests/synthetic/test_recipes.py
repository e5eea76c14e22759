import dataclasses
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.synthetic.camera_specs import LinearCameras, RecamCameras, RingCameras
from mvt4g.synthetic.object_specs import DroppedObjects, SurfaceSpec
from mvt4g.synthetic.recipes import RECIPES
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import InputError

CONFIGS = Path(__file__).parents[2] / "configs" / "data"


def plain(value):
    """Strip class paths and turn tuples into lists, as YAML has them."""
    if isinstance(value, dict):
        return plain(value["init_args"]) if "class_path" in value else {key: plain(v) for key, v in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("below", "name"), [(None, "movi_e"), ("movi_e", "kubric_4d"), ("kubric_4d", "recam"), ("recam", "movi_f")]
)
def test_a_config_is_the_recipe_alone_and_over_another(below, name):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(KubricDataModule, "data")
    files = [CONFIGS / f"{recipe}.yaml" for recipe in (below, name) if recipe]
    parsed = parser.parse_args([f"--config={file}" for file in files]).as_dict()["data"]
    assert parsed["class_path"].endswith("KubricDataModule")
    assert plain(parsed["init_args"]["scene"]) == plain(dataclasses.asdict(RECIPES[name]()))


def test_all_recipes_are_there_and_scale():
    assert list(RECIPES) == ["tiny", "nano", "movi_e", "movi_f", "kubric_4d", "recam"]
    for recipe in RECIPES.values():
        small = dataclasses.replace(recipe(), num_frames=2, image_size=(16, 16), num_views=2)
        assert (small.objects, small.cameras) == (recipe().objects, recipe().cameras)


def test_the_sizes_are_those_of_the_public_sets():
    sizes = {name: (r.num_frames, r.fps, r.image_size) for name, r in ((n, make()) for n, make in RECIPES.items())}
    assert sizes["movi_e"] == (24, 12.0, (256, 256))
    assert sizes["movi_f"] == (24, 12.0, (512, 512))
    assert sizes["kubric_4d"] == (60, 24.0, (384, 576))
    assert sizes["recam"][:2] == (81, 15.0)
    assert RECIPES["kubric_4d"]().num_views == 16


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"objects": DroppedObjects(static=(3, 2))}, r"scene\.objects\.static: got \(3, 2\)"),
        ({"objects": DroppedObjects(dynamic=(-1, 2))}, r"scene\.objects\.dynamic: got -1"),
        ({"objects": DroppedObjects(static_region=((0.0, 1.0), (0.0, 1.0), (2.0, 1.0)))}, "static_region"),
        ({"objects": DroppedObjects(kinds=())}, "at least one kind"),
        ({"objects": DroppedObjects(surfaces=SurfaceSpec(restitution=(0.5, 1.5)))}, r"surfaces\.restitution"),
        ({"objects": DroppedObjects(surfaces=SurfaceSpec(friction=(0.5, 0.1)))}, r"surfaces\.friction"),
        ({"cameras": LinearCameras(travel=(2.0, 1.0))}, r"cameras\.travel"),
        ({"cameras": RingCameras(counts=(4,))}, "rings"),
        ({"cameras": RecamCameras(lenses=())}, r"cameras\.lenses"),
    ],
)
def test_bad_values_are_named(change, name):
    with pytest.raises(InputError, match=name):
        dataclasses.replace(SceneSpec(), **change)
