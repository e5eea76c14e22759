import pytest

from mvt4g.synthetic.generate import SceneSpec, generate_clip


@pytest.fixture(scope="session")
def clips():
    return [generate_clip(SceneSpec.tiny(), 0, index) for index in range(4)]
