import copy
import json
import os
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from mvt4g.formats.weights import read_weights, tensors_of
from mvt4g.types import InputError

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}


class Payload:
    def __reduce__(self):
        return os.system, ("echo executed",)


def assert_same(found, wanted=TENSORS):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles(zipped, tmp_path):
    torch.save(TENSORS, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    assert_same(read_weights(tmp_path / "net.pth"))


def test_safetensors_whole_and_in_shards(tmp_path):
    save_file(TENSORS, tmp_path / "net.safetensors")
    assert_same(read_weights(tmp_path / "net.safetensors"))
    shards = {"a.weight": "net-00001-of-00002.safetensors", "b": "net-00002-of-00002.safetensors"}
    for name, shard in shards.items():
        save_file({name: TENSORS[name]}, tmp_path / shard)
    index = tmp_path / "net.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    assert_same(read_weights(index))
    index.write_text(json.dumps({"weight_map": {**shards, "c": shards["b"]}}))
    with pytest.raises(InputError, match="differ in 1 names, the first is c"):
        read_weights(index)
    index.write_text(json.dumps({"weight_map": {"a.weight": "../net.safetensors"}}))
    with pytest.raises(InputError, match="want a file beside the index"):
        read_weights(index)
    index.write_text("[]")
    with pytest.raises(InputError, match="got no weight_map"):
        read_weights(index)


def test_a_pickle_that_names_code_is_refused_and_not_run(tmp_path, capfd):
    torch.save({"weight": torch.zeros(1), "payload": Payload()}, tmp_path / "hostile.pth")
    with pytest.raises(
        InputError, match=r"hostile\.pth: got a pickle that names posix\.system \(nothing of it was run"
    ):
        read_weights(tmp_path / "hostile.pth")
    assert capfd.readouterr().out == ""
    torch.load(tmp_path / "hostile.pth", weights_only=False)
    assert capfd.readouterr().out == "executed\n", "an unsafe reader runs it"


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_cut_short_is_refused_by_name(suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    save_file(TENSORS, path) if suffix == ".safetensors" else torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=rf"net\{suffix}: got .*, want a"):
        read_weights(path)


def test_what_is_no_state_dict_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"net\.pth: got list, want a state dict"):
        tensors_of([1], tmp_path / "net.pth")
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ({"a": torch.zeros(1).expand(10**12)}, r"a tensor of shape \(1000000000000,\) over 1 numbers"),
        ({"a": {"b": [torch.zeros(4, 4).to_sparse()]}}, "a tensor of layout torch.sparse_coo on cpu"),
        ({"a": torch.zeros(3, device="meta")}, "a tensor of layout torch.strided on meta"),
    ],
)
def test_tensors_larger_than_their_numbers_are_refused(tmp_path, content, got):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=rf"a\.pth: got {got}, want a file of tensors"):
        read_weights(tmp_path / "a.pth")


def test_compressed_parts_are_refused_and_shared_numbers_are_not(tmp_path):
    whole = torch.arange(6.0)
    torch.save({"a": whole[:3], "b": whole.reshape(2, 3).T}, tmp_path / "a.pth")
    assert read_weights(tmp_path / "a.pth")["b"].shape == (3, 2)
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    with pytest.raises(InputError, match=r"b\.pth: got the compressed part 'a/"):
        read_weights(tmp_path / "b.pth")


def test_parts_that_lie_over_one_another_are_refused(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth", "a") as archive:
        archive.writestr("more", "")
        largest = max(archive.filelist, key=lambda part: part.file_size)
        for number in range(20):
            again = copy.copy(largest)
            again.filename = f"{largest.filename}{number}"
            archive.filelist.append(again)
    with pytest.raises(InputError, match=r"a\.pth: got parts of 8\d\.\d KiB in a file of \d\.\d KiB, want a file of"):
        read_weights(tmp_path / "a.pth")


def test_weights_have_a_limit_that_the_option_raises(tmp_path, monkeypatch):
    monkeypatch.setenv("MVT4G_FILE_MEMORY", "0.0625")
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 2**30 + 1)  # sparse: it takes nothing on the disk
        with pytest.raises(InputError, match=rf"{name}: got weights of 1\.0 GiB, want at most 1\.0 GiB; --file-memory"):
            read_weights(tmp_path / name)
        os.truncate(tmp_path / name, 2**29 + 1)
    index = tmp_path / "a.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "a.pth", "b": "a.safetensors"}}))
    with pytest.raises(InputError, match=r"got weights of 1\.0 GiB, want at most 1\.0 GiB; --file-memory"):
        read_weights(index)


@pytest.mark.parametrize("shard", ["a.safetensors.index.json", 7, "..", ""])
def test_an_index_names_files_of_weights_alone(tmp_path, shard):
    """One that names itself would be read without end."""
    index = tmp_path / "a.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(InputError, match=r"index\.json: got shard"):
        read_weights(index)
