import dataclasses
from pathlib import Path

import pytest
import torch

from experiments.steps_to_quality.world import body_crosses, measure, same_cell_shares
from mvt4g.commands.parsing.parser import OneLineParser
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.synthetic.camera_specs import LinearCameras, RecamCameras, RingCameras
from mvt4g.synthetic.object_specs import DroppedObjects, SurfaceSpec
from mvt4g.synthetic.recipes import RECIPES
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import Cameras, InputError, MultiViewClip

CONFIGS = Path(__file__).parents[2] / "configs" / "data"


def plain(value):
    """Strip class paths and turn tuples into lists, as YAML has them."""
    if isinstance(value, dict):
        return plain(value["init_args"]) if "class_path" in value else {key: plain(v) for key, v in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("below", "name"),
    [
        (None, "movi_e"), ("movi_e", "kubric_4d"), ("kubric_4d", "recam"), ("recam", "movi_f"),
        ("movi_f", "parallax"), ("parallax", "parallax_nano"), ("parallax_nano", "movi_e"),
    ],
)  # fmt: skip
def test_a_config_is_the_recipe_alone_and_over_another(below, name):
    parser = OneLineParser()
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(KubricDataModule, "data")
    files = [CONFIGS / f"{recipe}.yaml" for recipe in (below, name) if recipe]
    parsed = parser.parse_args([f"--config={file}" for file in files]).as_dict()["data"]
    assert parsed["class_path"].endswith("KubricDataModule")
    assert plain(parsed["init_args"]["scene"]) == plain(dataclasses.asdict(RECIPES[name]()))


def test_all_recipes_are_there_and_scale():
    assert list(RECIPES) == ["tiny", "nano", "movi_e", "movi_f", "kubric_4d", "recam", "parallax", "parallax_nano"]
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
        ({"objects": DroppedObjects(dynamic=(-1, 2))}, r"scene\.objects\.dynamic: got \(-1, 2\), want each at least 0"),
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


@pytest.mark.parametrize("name", ["parallax", "parallax_nano"])
def test_points_of_parallax_leave_their_cell_and_a_body_crosses(name):
    found = measure(name, 16)
    assert found["same cell across views"] < 0.2
    assert found["same cell in time"] < 0.6
    assert found["clips with a body that crosses"] > 0.9


def test_the_small_scenes_are_too_easy():
    """Negative control: what the recipe is for."""
    found = measure("nano", 8)
    assert found["same cell across views"] > 0.4
    assert found["same cell in time"] > 0.7


def test_same_cell_shares_by_hand():
    """Two views of two frames and one point; seen in (0, 0), (0, 1), (1, 1): there in cells 0, 0 and 1."""
    tracks = torch.tensor([[[[1.0, 1.0]], [[7.0, 1.0]]], [[[50.0, 1.0]], [[9.0, 1.0]]]])
    visible = torch.tensor([[[True], [True]], [[False], [True]]])
    clip = MultiViewClip(
        video=torch.zeros(2, 2, 3, 16, 16),
        cameras=Cameras(torch.eye(4).expand(2, 2, 4, 4), torch.eye(3).expand(2, 2, 3, 3)),
        tracks=tracks, visible=visible, point_instance=torch.ones(1, dtype=torch.int64),
    )  # fmt: skip
    assert same_cell_shares([clip]) == (0.0, 1.0)
    assert not body_crosses(clip)
    tracks[0, 1, 0, 0] = 17.0
    assert same_cell_shares([clip]) == (0.0, 0.0)
    assert body_crosses(clip)
