"""Tensors in files: what is written is in the file, and a nameless one goes with its tensor."""

from pathlib import Path

import torch

from mvt4g.formats import file_tensors
from mvt4g.formats.file_tensors import file_tensor, roomy


def test_what_is_written_is_there_again(tmp_path):
    path = tmp_path / "deep" / "numbers.bin"
    tensor = file_tensor(path, (2, 3))
    assert not tensor.any()
    tensor[1] = torch.tensor([1.0, 2.0, 3.0])
    assert path.stat().st_size == 24
    assert file_tensor(path, (2, 3)).tolist() == [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
    # Lengthened, it keeps what it had.
    assert file_tensor(path, (3, 3))[1].tolist() == [1.0, 2.0, 3.0]


def test_a_large_one_lies_in_a_file_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(file_tensors, "LARGE", 100)
    monkeypatch.setattr(file_tensors.tempfile, "tempdir", str(tmp_path))
    mapped = "mvt4g-video-"
    small = roomy(2, 3)
    assert mapped not in Path("/proc/self/maps").read_text()
    large = roomy(5, 5)
    large[:] = 1.0
    assert mapped in Path("/proc/self/maps").read_text()
    assert not [*tmp_path.iterdir()]
    assert (small.shape, float(large.sum())) == ((2, 3), 25.0)
