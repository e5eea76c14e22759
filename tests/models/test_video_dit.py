from dataclasses import replace

import pytest
import torch

from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.block_taps import BlockTaps
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.fingerprints import fingerprint
from mvt4g.models.layers.rope import rotary_angles
from mvt4g.models.video_dit import DiTBlock, VideoDiT, VideoDiTConfig
from mvt4g.types import InputError, LatentGrid
from tests.models.small_backbones import make_loud, relative_difference, small_config

BLOCK_KEYS = {
    *(f"self_attn.{part}.{kind}" for part in "qkvo" for kind in ("weight", "bias")),
    *(f"cross_attn.{part}.{kind}" for part in "qkvo" for kind in ("weight", "bias")),
    *(f"{attention}.norm_{part}.weight" for attention in ("self_attn", "cross_attn") for part in "qk"),
    *(f"{part}.{kind}" for part in ("norm3", "ffn.0", "ffn.2") for kind in ("weight", "bias")),
    "modulation",
}


FUN_CAMERA_14B = {"in_channels": 32, "image_dim": 1280, "control_channels": 1536}


@pytest.mark.parametrize(
    ("config", "tensors", "parameters", "md5"),
    [
        (VideoDiTConfig.wan_1_3b(), 825, 1_418_996_800, "9269f8db9040a9d860eaca435be61814"),
        (VideoDiTConfig.wan_14b(), 1095, 14_288_491_584, "aafcfd9672c3a2456dc46e1cb6e52c70"),
        (VideoDiTConfig.wan_fun_camera_1_3b(), 989, 1_616_313_152, "ac6a5aa74f4a0aab6f64eb9a72f19901"),
        (replace(VideoDiTConfig.wan_14b(), **FUN_CAMERA_14B), 1309, 16_898_128_704, "b61c605c2adbd23124d152ed28e049ae"),
    ],
    ids=["T2V 1.3B", "T2V 14B", "Fun Control-Camera 1.3B", "Fun Control-Camera 14B"],
)
def test_names_and_shapes_are_those_of_the_official_checkpoints(config, tensors, parameters, md5):
    with torch.device("meta"):
        dit = VideoDiT(config)
    assert len(dit.state_dict()) == tensors
    assert sum(parameter.numel() for parameter in dit.parameters()) == parameters
    assert fingerprint(dit.state_dict()) == md5


def test_the_backbones_add_what_their_checkpoints_add():
    with torch.device("meta"):
        recammaster = ReCamMaster(VideoDiTConfig.wan_1_3b(), LatentGrid(4, 8, 16))
        extended = ReCamMaster(VideoDiTConfig.wan_1_3b(), LatentGrid(4, 8, 16), [PluckerConditioning()])
        redirector = ReDirector(VideoDiTConfig.wan_fun_camera_1_3b(), LatentGrid(4, 8, 16))
    assert len(recammaster.dit.state_dict()) == 945
    assert sum(parameter.numel() for parameter in recammaster.dit.parameters()) == 1_490_420_800
    assert fingerprint(recammaster.dit.state_dict()) == "eba39c71759fed170880aaf589b469ba"
    added = set(extended.dit.state_dict()) - set(recammaster.dit.state_dict())
    assert added == {f"blocks.{layer}.plucker.{kind}" for layer in range(30) for kind in ("weight", "bias")}
    assert extended.camera_encoders["plucker"].pack.weight.shape == (1536, 6 * 4 * 64, 1, 2, 2)
    overlay = {name: value for name, value in redirector.dit.state_dict().items() if ".self_attn." in name}
    assert len(overlay) == 360
    assert sum(value.numel() for value in overlay.values()) == 329_840_640
    assert overlay["blocks.29.self_attn.rope_phase_vo.1.weight"].shape == (504, 1536)


def test_a_block_has_the_27_tensors_of_the_original():
    assert set(DiTBlock(small_config()).state_dict()) == BLOCK_KEYS
    assert len(BLOCK_KEYS) == 27


def tapped(dit, layer, *args, **options):
    """Return the output, and the queries and keys of one block."""
    found = {}
    return dit(*args, **options, taps=BlockTaps([layer], found.__setitem__)), found[layer]


@torch.no_grad()
def test_output_frames_alone_equal_those_of_the_whole():
    dit = make_loud(VideoDiT(small_config())).eval()
    latents, text = torch.randn(2, 5, 6, 4, 6), torch.randn(2, 3, 6)
    angles = rotary_angles(24, torch.arange(6), 2, 3)[None, :, :, :, None]
    sigma = torch.tensor([0.2, 0.9])
    whole, whole_tap = tapped(dit, 1, latents, sigma, text, angles, {})
    part, tap = tapped(dit, 1, latents, sigma, text, angles, {}, num_output_frames=2)
    torch.testing.assert_close(part.latents, whole.latents[:, :, :2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(tap.query, whole_tap.query)
    assert tap.key.shape == (2, 6, 2, 3, 2, 24)


@torch.no_grad()
def test_text_is_padded_and_its_padding_is_attended():
    dit = make_loud(VideoDiT(small_config()))
    short, zeros = torch.randn(1, 3, 6), torch.zeros(1, 4, 6)
    embedded = dit.embed_text(short)
    assert embedded.shape == (1, 7, 48)
    torch.testing.assert_close(embedded, dit.embed_text(torch.cat([short, zeros], dim=1)))
    assert embedded[:, 3:].any()


@torch.no_grad()
def test_timestep_is_sigma_times_a_thousand():
    dit = make_loud(VideoDiT(small_config()))
    time, block_time = dit.embed_time(torch.tensor([0.0, 0.5]))
    frequencies = 10000 ** (-torch.arange(8) / 8)
    for row, sigma in enumerate((0.0, 0.5)):
        sinusoid = torch.cat([(1000 * sigma * frequencies).cos(), (1000 * sigma * frequencies).sin()])
        torch.testing.assert_close(time[row], dit.time_embedding(sinusoid), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(block_time[row].flatten(), dit.time_projection(time[row]))
    assert relative_difference(time[0], time[1]) > 0.1


@torch.no_grad()
def test_time_embedding_stays_fp32_under_autocast():
    dit = make_loud(VideoDiT(small_config()))
    sigma = torch.tensor([0.7])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = dit.embed_time(sigma)
    for got, want in zip(mixed, dit.embed_time(sigma), strict=True):
        assert torch.equal(got, want)


def test_activation_checkpointing_gives_the_same_gradients_from_fewer_tensors():
    """Taps as well: what is read of them is part of the graph."""
    plain, kept = gradients_and_kept_numbers(activation_checkpointing=False)
    again, kept_less = gradients_and_kept_numbers(activation_checkpointing=True)
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient)
    assert kept_less < kept / 3


def gradients_and_kept_numbers(**changes):
    torch.manual_seed(0)
    dit, kept = make_loud(VideoDiT(small_config(**changes))), []
    latents, text = torch.randn(2, 5, 6, 4, 6), torch.randn(2, 3, 6)
    angles = rotary_angles(24, torch.arange(6), 2, 3)[None, :, :, :, None]
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda x: x):
        output, tap = tapped(dit, 0, latents, torch.tensor([0.2, 0.9]), text, angles, {})
    (output.latents.square().sum() + tap.query.square().sum()).backward()
    return {name: parameter.grad for name, parameter in dit.named_parameters()}, sum(kept)


def test_a_camera_input_may_not_hide_a_part_of_the_block():
    block = DiTBlock(small_config())
    with pytest.raises(InputError, match="'ffn' twice"):
        block.add_conditioning("ffn", torch.nn.Identity())
