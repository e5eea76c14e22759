"""Weights come from local files, whole and safe, or not at all."""

import hashlib
import pickle
import re

import pytest
import torch
from torch import nn

from mvt4g.metrics.networks.weights import load_strict, read_state_dict
from mvt4g.types import InputError


class Payload:
    """What a hostile pickle looks like: unpickling it would call ``print``."""

    def __reduce__(self):
        return print, ("executed",)


@pytest.fixture
def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".safetensors"])
def test_every_kind_of_file_gives_the_same_tensors(net, suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    if suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file(net.state_dict(), path)
    else:
        torch.save(net.state_dict(), path)
    found = read_state_dict(path)
    assert found.keys() == net.state_dict().keys()
    assert all(torch.equal(found[key], value) for key, value in net.state_dict().items())


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_a_wrapped_state_dict_is_taken_out(net, wrapper, tmp_path):
    torch.save({wrapper: net.state_dict(), "epoch": 3}, tmp_path / "net.pth")
    assert read_state_dict(tmp_path / "net.pth").keys() == net.state_dict().keys()


def test_a_file_cannot_run_code(tmp_path, capsys):
    path = tmp_path / "hostile.pth"
    torch.save({"weight": torch.zeros(1), "payload": Payload()}, path)
    with pytest.raises(InputError, match=r"hostile\.pth: got a pickle that names print "):
        read_state_dict(path)
    assert capsys.readouterr().out == ""
    torch.load(path, weights_only=False)
    assert capsys.readouterr().out == "executed\n", "the payload is one that an unsafe reader runs"


@pytest.mark.parametrize("content", [b"", b"no tensors here", pickle.dumps([1, 2])], ids=["empty", "text", "pickle"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_file_of_weights_is_refused_by_name(content, suffix, tmp_path):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(f"{path}: got ")):
        read_state_dict(path)


@pytest.mark.parametrize("content", [{}, {"weight": 1.0}, torch.zeros(2)], ids=["empty", "number", "tensor"])
def test_what_is_no_state_dict_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"odd\.pth: got \w+, want a state dict"):
        read_state_dict(tmp_path / "odd.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.pth: no such file"):
        read_state_dict(tmp_path / "absent.pth")


def test_the_checksum_is_compared(net, tmp_path):
    path = tmp_path / "net.pth"
    torch.save(net.state_dict(), path)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_state_dict(path, sha256=right.upper())
    with pytest.raises(InputError, match=rf"net\.pth: got sha256 {right}, want 0000"):
        read_state_dict(path, sha256="0" * 64)


def test_strict_loading_copies_every_weight(net):
    twin = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    load_strict(twin, net.state_dict(), "net.pth")
    assert all(torch.equal(twin.state_dict()[key], value) for key, value in net.state_dict().items())


def test_every_fault_is_named_and_nothing_is_loaded(net):
    before = {key: value.clone() for key, value in net.state_dict().items()}
    weights = net.state_dict() | {"2.weight": torch.zeros(1), "0.weight": torch.zeros(4, 5)}
    del weights["1.bias"]
    wanted = (
        r"net\.pth: got weights that do not fit Sequential: 1 missing: 1\.bias; 1 unexpected: 2\.weight; "
        r"1 mis-shaped: 0\.weight \(4, 5\) for \(4, 3\)"
    )
    with pytest.raises(InputError, match=wanted):
        load_strict(net, weights, "net.pth")
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())


def test_long_lists_are_cut(net):
    with pytest.raises(InputError, match=r"8 unexpected: x0, x1, x2, x3, x4 and 3 more"):
        load_strict(net, net.state_dict() | {f"x{n}": torch.zeros(1) for n in range(8)}, "net.pth")
