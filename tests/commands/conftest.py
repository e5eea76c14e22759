"""A folder of very small clips, written once, and copies of it to spoil."""

import shutil
from pathlib import Path

import pytest

from mvt4g.commands.write_clips import write_clips
from mvt4g.synthetic.spec import PointSpec, SceneSpec

SCENE = SceneSpec(num_frames=2, image_size=(24, 32), num_views=2, points=PointSpec(count=24))


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 4 training, 1 validation and 1 test clip, written in one go."""
    out = tmp_path_factory.mktemp("written") / "clips"
    assert write_clips(out, SCENE, train=4, val=1, test=1, seed=5, workers=0) == 0
    return out


@pytest.fixture
def clips(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "clips"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
