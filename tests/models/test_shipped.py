from pathlib import Path

import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.formats.weights import read_metadata, write_weights
from mvt4g.models import shipped
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.lapped_codec import LappedCodec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.shipped import place_of
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import InputError

MADE_WITH = {"codec": "LappedCodec block=8 keep=6", "num_heads": "2", "prediction": "sample", "steps": "40"}


def small(weights=None, **changes):
    codec = LappedCodec(keep=6)
    sizes = {"dim": 24, "ffn_dim": 24, "num_heads": 2, "num_layers": 1, "in_channels": 6, "out_channels": 6}
    return ReCamMaster(VideoDiTConfig(**sizes | changes, patch_size=(1, 1, 1)), codec.grid, weights=weights)


@pytest.fixture
def builtin(tmp_path, monkeypatch):
    """A package that ships ``builtin:mine``."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    state = {f"model.backbone.{name}": value.half() for name, value in small().state_dict().items()}
    write_weights(tmp_path / "mine.safetensors", state, MADE_WITH)
    return Path("builtin:mine")


def test_weights_of_the_package_are_loaded_by_name(builtin, tmp_path):
    loaded, file = small(builtin), small(tmp_path / "mine.safetensors")
    assert all(torch.equal(value, file.state_dict()[name]) for name, value in loaded.state_dict().items())
    assert loaded.dit.patch_embedding.weight.dtype == torch.float32
    assert loaded.made_with.items() >= MADE_WITH.items()
    assert small().made_with == {}


def test_another_name_is_refused_with_those_that_there_are(builtin):
    with pytest.raises(InputError, match=r"^weights: got builtin:yours, want builtin:mine, or a file$"):
        small(Path("builtin:yours"))
    for odd in ("builtin:", "builtin:../mine", "builtin:mine.safetensors"):
        with pytest.raises(InputError, match="want builtin:mine"):
            place_of(Path(odd))
    assert place_of(Path("other/mine.safetensors")) == Path("other/mine.safetensors")


def test_a_network_of_other_sizes_is_refused_in_one_line(builtin):
    with pytest.raises(InputError, match=r"mine\.safetensors: got a fit of .* want weights of this ReCamM.*mis-shaped"):
        small(builtin, dim=48)


def test_what_shapes_do_not_tell_is_compared(builtin):
    with pytest.raises(InputError, match=r"^backbone\.weights: got weights made with num_heads '2', want '1'"):
        small(builtin, num_heads=1)
    flow = FlowMatching(prediction="sample")
    NovelViewModel(small(builtin), LappedCodec(keep=6), flow)
    with pytest.raises(InputError, match=r"got weights made with codec 'Lapped.*', want 'PatchCodec block=8 keep=6"):
        NovelViewModel(small(builtin), PatchCodec(8, 6), flow)
    with pytest.raises(InputError, match=r"got weights made with prediction 'sample', want 'velocity'"):
        NovelViewModel(small(builtin), LappedCodec(keep=6), FlowMatching())
    NovelViewModel(small(), PatchCodec(8, 6), FlowMatching())  # without weights nothing is compared


def test_a_file_that_says_nothing_is_not_compared(tmp_path):
    write_weights(tmp_path / "own.safetensors", {f"model.backbone.{n}": v for n, v in small().state_dict().items()})
    NovelViewModel(small(tmp_path / "own.safetensors"), PatchCodec(8, 6), FlowMatching())


def test_metadata_of_a_broken_file_is_an_input_error(tmp_path):
    (tmp_path / "cut.safetensors").write_bytes(b"123")
    with pytest.raises(InputError, match=r"cut\.safetensors: got .* want a whole \.safetensors file"):
        read_metadata(tmp_path / "cut.safetensors")
    assert read_metadata(tmp_path / "step.ckpt") == {}
