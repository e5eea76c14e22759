import dataclasses

import pytest
from jsonargparse import ArgumentParser

from mvt4g.synthetic.spec import CameraSpec, ObjectSpec, SceneSpec
from mvt4g.types import InputError


def test_yaml_builds_a_nested_recipe():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--scene", type=SceneSpec, default=SceneSpec())
    objects, looks = "objects: {thrown: [2, 3], kinds: [box]}", "looks: {shadows: false}"
    yaml = f"{{scene: {{num_views: 4, image_size: [32, 48], {objects}, {looks}}}}}"
    scene = parser.instantiate(parser.parse_string(yaml)).scene
    assert scene.num_views == 4
    assert tuple(scene.image_size) == (32, 48)
    assert (tuple(scene.objects.thrown), tuple(scene.objects.kinds)) == ((2, 3), ("box",))
    assert not scene.looks.shadows
    assert scene.cameras == CameraSpec()


def test_recipes_have_the_sizes_of_the_design():
    assert SceneSpec() == SceneSpec.tiny()
    assert (SceneSpec.tiny().num_frames, SceneSpec.tiny().image_size, SceneSpec.tiny().num_views) == (5, (64, 64), 3)
    assert (SceneSpec.nano().num_frames, SceneSpec.nano().image_size) == (3, (48, 48))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"num_frames": 0}, "num_frames"),
        ({"num_views": 0}, "num_views"),
        ({"image_size": (1, 64)}, "image_size"),
        ({"fps": 0.0}, "fps"),
        ({"objects": ObjectSpec(resting=(2, 1))}, "objects.resting"),
        ({"objects": ObjectSpec(restitution=1.0)}, "restitution"),
        ({"cameras": CameraSpec(radius=(9.0, 7.0))}, "cameras.radius"),
    ],
)
def test_bad_values_are_named(change, name):
    with pytest.raises(InputError, match=name):
        dataclasses.replace(SceneSpec(), **change)
