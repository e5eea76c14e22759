"""Files that appear whole: permissions of the user's umask, whoever wrote them; nothing is left of a failure."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mvt4g.formats.atomic import appearing, appearing_folder, is_leftover, nearest_existing
from mvt4g.types import InputError


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def private(path: Path) -> None:
    """Write as safetensors does, with permissions of its own."""
    save_file({"a": torch.zeros(2)}, path)
    path.chmod(0o600)


def test_a_file_has_the_permissions_of_the_umask(tmp_path, umask):
    with appearing(tmp_path / "weights.safetensors") as temporary:
        private(temporary)
    assert mode(tmp_path / "weights.safetensors") == 0o666 & ~umask
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


def test_files_of_a_folder_too_at_any_depth(tmp_path, umask):
    with appearing_folder(tmp_path / "clip") as temporary:
        assert not list(temporary.iterdir())
        private(temporary / "latents.safetensors")
        (temporary / "views").mkdir()
        private(temporary / "views" / "0.safetensors")
    assert {mode(path) for path in (tmp_path / "clip").rglob("*") if path.is_file()} == {0o666 & ~umask}


@pytest.mark.parametrize("make", [appearing, appearing_folder])
def test_a_failure_leaves_nothing_and_the_umask_as_it_was(tmp_path, umask, make):
    def fail() -> None:
        with make(tmp_path / "there") as temporary:
            assert is_leftover(temporary)
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail()
    assert not list(tmp_path.iterdir())
    assert os.umask(umask) == umask


def test_names_that_no_file_can_have_are_refused(tmp_path: Path) -> None:
    for path, got in (
        (Path("/"), "got a folder to write to"),
        (tmp_path / ("x" * 300), "File name too long"),
        (tmp_path / "a\0b", "got a NUL character"),
    ):
        with pytest.raises(InputError, match=got), appearing(path) as temporary:
            temporary.write_text("x")


def test_the_nearest_place_that_exists(tmp_path):
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "a").touch()
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path / "a"
