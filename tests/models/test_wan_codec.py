import hashlib
import sys

import numpy as np
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from safetensors.torch import save_file
from torch import nn

from mvt4g.models.codec import PatchCodec
from mvt4g.models.wan_codec import LATENT_MEAN, LATENT_STD, WanCodec, build_vae, original_name
from mvt4g.types import InputError, LatentGrid
from tests.models.tiny_wan_vae import original_weights, random_vae, write_vae
from tests.reference import wan_vae

TOLERANCE = 5e-5


def fingerprint(weights):
    parts = [*weights, *(f"{key}:{'_'.join(map(str, value.shape))}" for key, value in weights.items())]
    return hashlib.md5(",".join(sorted(parts)).encode()).hexdigest()


def a_video(frames, height=16, width=24, seed=0):
    return torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(seed))


def slow_latents(weights, video):
    mean = wan_vae.encode(weights, (2 * video - 1).movedim(1, 0).double().numpy())
    std, centre = (np.reshape(values, (-1, 1, 1, 1)) for values in (LATENT_STD, LATENT_MEAN))
    return torch.from_numpy((mean - centre) / std)


def slow_video(weights, latents):
    std, centre = (np.reshape(values, (-1, 1, 1, 1)) for values in (LATENT_STD, LATENT_MEAN))
    return torch.from_numpy(wan_vae.decode(weights, latents.double().numpy() * std + centre)).movedim(1, 0) / 2 + 0.5


def distance(got, want):
    return ((got.double() - want.double()).abs().max() / want.double().std()).item()


@pytest.fixture(scope="module")
def weights():
    return {name: value.double().numpy() for name, value in original_weights(random_vae()).items()}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_vae(tmp_path_factory.mktemp("vae") / "Wan2.1_VAE.pth")


@pytest.fixture(scope="module")
def codec(path):
    return WanCodec(path)


def test_full_size_has_the_fingerprint_of_the_released_file():
    with torch.device("meta"):
        own = build_vae().state_dict()
    original = {original_name(name): value for name, value in own.items()}
    assert len(original) == len(own) == 194
    assert sum(value.numel() for value in original.values()) == 126_892_531
    assert fingerprint(original) == "ccc42284ea13e1ad04693284c7a09be6"
    assert fingerprint(own) == "ed4ea5824d55ec3107b09815e318123a"


def test_names_are_mapped_as_diffusers_maps_them():
    own = random_vae().state_dict()
    back = convert_wan_vae_to_diffusers({original_name(name): value for name, value in own.items()})
    assert back.keys() == own.keys()
    assert all(torch.equal(back[name], value) for name, value in own.items())


@pytest.mark.parametrize("frames", [1, 5, 13, 17, pytest.param(81, marks=pytest.mark.slow)])
def test_both_ways_equal_the_slow_twin(codec, weights, frames):
    video = a_video(frames)
    latents, want = codec.encode(video), slow_latents(weights, video)
    assert latents.shape == (16, (frames - 1) // 4 + 1, 2, 3)
    assert distance(latents, want) < TOLERANCE
    assert distance(codec.decode(latents), slow_video(weights, latents)) < TOLERANCE


def test_what_the_twin_checks_shows(codec, weights, monkeypatch):
    """Each thing that could be wrong moves the result by ten thousand times the tolerance."""
    video = a_video(9)
    latents, decoded = slow_latents(weights, video), None
    decoded = slow_video(weights, latents)
    still = video[:1].expand(9, -1, -1, -1)
    assert distance(slow_latents(weights, still), latents) > 0.1, "later frames count"
    assert distance(latents * torch.tensor(LATENT_STD).reshape(-1, 1, 1, 1), latents) > 0.1, "normalisation counts"
    with monkeypatch.context() as patch:
        patch.setattr(wan_vae, "causal_conv", flipped_in_time(wan_vae.causal_conv))
        assert distance(slow_latents(weights, video), latents) > 0.1, "the direction of time counts"
    with monkeypatch.context() as patch:
        patch.setattr(wan_vae, "up", up_seeing_the_first_frame)
        assert distance(slow_video(weights, latents), decoded) > 0.1, "that the first frame stands apart counts"


def flipped_in_time(convolve):
    return lambda x, weights, name: convolve(x[:, ::-1], weights, name)[:, ::-1]


def up_seeing_the_first_frame(x, weights, name):
    if f"{name}.time_conv.weight" in weights:
        rest = wan_vae.causal_conv(x, weights, f"{name}.time_conv")[:, 1:]
        rest = rest.reshape(2, len(x), *rest.shape[1:]).transpose(1, 2, 0, 3, 4)
        x = np.concatenate([x[:, :1], rest.reshape(len(x), -1, *x.shape[2:])], axis=1)
    without = {key: value for key, value in weights.items() if "time_conv" not in key}
    return UP(x, without, name)


UP = wan_vae.up


def test_grid_shapes_and_batches(codec):
    assert codec.grid == LatentGrid(temporal_stride=4, spatial_stride=8, channels=16)
    video = torch.stack([torch.stack([a_video(5, seed=2 * b + v) for v in range(2)]) for b in range(2)])
    latents = codec.encode(video)
    assert latents.shape == (2, 2, 16, 2, 2, 3)
    assert torch.equal(latents[1, 0], codec.encode(video[1, 0]))
    decoded = codec.decode(latents)
    assert decoded.shape == video.shape
    assert torch.equal(decoded[0, 1], codec.decode(latents[0, 1]))
    assert decoded.min() >= 0
    assert decoded.max() <= 1


@pytest.mark.parametrize("kind", ["original.safetensors", "own.safetensors", "prefixed.pth", "folder"])
def test_every_kind_of_file_gives_the_same_latents(codec, kind, tmp_path):
    vae, video = random_vae(), a_video(5)
    original = original_weights(vae)
    file = tmp_path / kind
    if kind == "original.safetensors":
        save_file(original, file)
    elif kind == "own.safetensors":
        save_file(vae.state_dict(), file)
    elif kind == "prefixed.pth":
        torch.save({f"model.{name}": value for name, value in original.items()}, file)
    else:
        vae.save_pretrained(file)
    other = WanCodec(file)
    assert torch.equal(other.encode(video), codec.encode(video))
    assert other.identity == codec.identity


def test_identity_tells_codecs_apart(codec, path, tmp_path):
    assert codec.identity == WanCodec(path, dtype="bfloat16").identity
    assert codec.identity != WanCodec(write_vae(tmp_path / "other.pth", seed=1)).identity
    assert codec.identity != PatchCodec().identity != PatchCodec(scale="whitened").identity
    assert PatchCodec().identity == PatchCodec(block=4).identity != PatchCodec(keep=15).identity


def test_bf16_weights_give_fp32_latents_close_by(codec, path):
    video, low = a_video(5), WanCodec(path, dtype="bfloat16")
    with torch.autocast("cpu", torch.bfloat16):
        latents, decoded = low.encode(video), low.decode(codec.encode(video))
        assert torch.equal(codec.encode(video), codec.encode(video.double().float())), "autocast does not reach it"
    want = codec.encode(video)
    assert latents.dtype == decoded.dtype == torch.float32
    error = (latents - want).norm() / want.norm()
    assert 1e-4 < error < 0.05


def test_tiles(codec, path):
    video = a_video(5, height=64, width=48)
    whole = codec.encode(video)
    assert torch.equal(WanCodec(path, tile=(64, 48)).encode(video), whole), "one tile is the whole frame"
    tiled = WanCodec(path, tile=(48, 32), tile_stride=(32, 24))
    latents = tiled.encode(video)
    assert latents.shape == whole.shape
    assert 1e-4 < (latents - whole).norm() / whole.norm() < 0.5
    assert tiled.decode(whole).shape == video.shape
    assert not torch.equal(tiled.decode(whole), codec.decode(whole))


def test_it_is_never_trained_and_never_saved(codec, path, tmp_path):
    assert not any(parameter.requires_grad for parameter in codec.parameters())
    both = nn.ModuleDict({"codec": codec, "net": nn.Linear(2, 2)})
    state = both.state_dict()
    assert sorted(state) == ["net.bias", "net.weight"]
    other = nn.ModuleDict({"codec": WanCodec(path), "net": nn.Linear(2, 2)})
    other.load_state_dict(state)
    assert torch.equal(other["net"].weight, both["net"].weight)
    assert torch.equal(other["codec"].encode(a_video(1)), codec.encode(a_video(1)))
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"net\.bias\""):
        other.load_state_dict({"net.weight": state["net.weight"]})
    with pytest.raises(RuntimeError, match="Unexpected"):
        other.load_state_dict({**state, "net.more": state["net.weight"]})


@pytest.mark.parametrize("frames", [2, 4, 16, 80])
def test_a_length_that_the_vae_would_cut_is_refused(codec, frames):
    with pytest.raises(InputError, match=rf"num_frames: got {frames}, want 4\*m \+ 1"):
        codec.encode(torch.zeros(frames, 3, 16, 16))


def test_bad_sizes_are_named(codec, path):
    with pytest.raises(InputError, match=r"video size: got \(16, 20\) .* want multiples of 8"):
        codec.encode(torch.zeros(1, 3, 16, 20))
    with pytest.raises(InputError, match="latents: got 15 channels, want 16"):
        codec.decode(torch.zeros(15, 1, 2, 2))
    with pytest.raises(InputError, match=r"tile: got \(20, 16\), want multiples of 8"):
        WanCodec(path, tile=(20, 16))
    with pytest.raises(InputError, match=r"tile_stride: got \(16, 24\), want at most the tile's \(16, 16\)"):
        WanCodec(path, tile=(16, 16), tile_stride=(16, 24))


def spoil(weights, kind):
    if kind == "missing":
        del weights["conv2.bias"]
    elif kind == "unexpected":
        weights["conv3.bias"] = torch.zeros(1)
    elif kind == "mis-shaped":
        weights["conv2.bias"] = torch.zeros(3)
    else:
        weights["decoder.conv1.bias"][0] = torch.nan
    return weights


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"1 missing: post_quant_conv\.bias$"),
        ("unexpected", r"1 unexpected: conv3\.bias$"),
        ("mis-shaped", r"1 mis-shaped: post_quant_conv\.bias \(3,\) for \(16,\)$"),
        ("nan", r"not finite in decoder\.conv_in\.bias"),
    ],
)
def test_weights_that_do_not_fit_are_named(kind, message, tmp_path):
    torch.save(spoil(original_weights(random_vae()), kind), tmp_path / "vae.pth")
    with pytest.raises(InputError, match=rf"vae\.pth: got .*{message}"):
        WanCodec(tmp_path / "vae.pth")


def test_files_of_something_else_are_named(path, tmp_path):
    torch.save({"blocks.0.weight": torch.zeros(2)}, tmp_path / "dit.pth")
    with pytest.raises(
        InputError, match=r"dit\.pth: got weights of another network than AutoencoderKLWan: 194 missing"
    ):
        WanCodec(tmp_path / "dit.pth")
    (tmp_path / "short.pth").write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"short\.pth: got .*want a file of tensors"):
        WanCodec(tmp_path / "short.pth")
    with pytest.raises(InputError, match="no such file"):
        WanCodec(tmp_path / "absent.pth")
    with pytest.raises(InputError, match=r"got 0 \.safetensors there, want one"):
        WanCodec(tmp_path)


def test_without_diffusers_it_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(InputError, match=r"WanCodec needs diffusers .*pip install mvt4g\[wan\]"):
        WanCodec(path)
