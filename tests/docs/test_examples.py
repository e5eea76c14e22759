"""Examples of files and of Python on the pages: the files are read, the code compiles and imports what is there."""

import ast
import importlib
from pathlib import Path

import pytest
import torch

from mvt4g.formats.captions import read_captions
from mvt4g.formats.track_files import read_queries
from mvt4g.formats.trajectory_json import read_trajectory, read_views
from tests.docs.pages import GUIDES, blocks

FILES = blocks(Path("docs/files.md"), "json", "csv")
CODE = [block for page in GUIDES for block in blocks(page, "python")]


def written(folder: Path, number: int) -> Path:
    path = folder / f"example.{FILES[number].language}"
    path.write_text(FILES[number].text)
    return path


def test_camera_paths_are_read(tmp_path):
    trajectory = read_trajectory(written(tmp_path, 0))
    assert trajectory.image_size == (480, 640)
    looks = trajectory.world_from_cam[:, :3, 2]  # the optical axis turns to the right, 5 degrees a frame
    angles = torch.rad2deg(torch.atan2(looks[:, 0], looks[:, 2]))
    torch.testing.assert_close(angles, torch.tensor([0.0, 5.0, 10.0]), atol=0.01, rtol=0)
    assert set(read_views(written(tmp_path, 1))) == {"reference", "target"}


def test_query_points_are_read_alike_from_both_forms(tmp_path):
    torch.testing.assert_close(read_queries(written(tmp_path, 2)), read_queries(written(tmp_path, 3)))


def test_captions_are_read(tmp_path):
    captions = read_captions(written(tmp_path, 4))
    assert captions.of("dog") == "A dog runs on a beach."
    assert captions.of("train/f18_aperture10/scene1") == "A man in a red coat, walking."
    assert len(FILES) == 5


@pytest.mark.parametrize("block", CODE, ids=lambda block: str(block.page))
def test_code_imports_what_is_there(block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mvt4g"):
            module = importlib.import_module(str(node.module))
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []
