"""A generated clip of wider than high pictures, for layouts to be written from."""

from dataclasses import replace

import pytest

from mvt4g.synthetic.generate import SceneSpec, generate_clip


@pytest.fixture(scope="session")
def clip():
    return generate_clip(replace(SceneSpec.nano(), image_size=(36, 48)), 0, 1)
