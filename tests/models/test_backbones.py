import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from einops import rearrange
from torch.nn import functional as F

from mvt4g.geometry.rotary import rotate_pairs
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import Cameras, InputError, LatentGrid
from tests.models.small_backbones import (
    GRID,
    ask,
    loud_backbone,
    make_loud,
    relative_difference,
    small_config,
    small_inputs,
)
from tests.models.twin_check import check_against_twin
from tests.reference import recammaster


@pytest.mark.parametrize(("head_dim", "plucker", "text"), [(24, True, True), (32, True, False), (16, False, True)])
def test_forward_and_taps_equal_the_twin(head_dim, plucker, text):
    inputs = small_inputs() if text else small_inputs() | {"text": None}
    check_against_twin(recammaster, loud_backbone(head_dim, plucker), inputs)


@torch.no_grad()
def test_every_input_shows():
    """The twin test would be empty if these were small."""
    backbone, inputs = loud_backbone(), small_inputs()
    other = small_inputs(seed=1)
    plain = ask(backbone, **inputs).velocity
    pose, intrinsics = inputs["cameras"].cam_from_world, inputs["cameras"].intrinsics
    target_only, reference_only, late = pose.clone(), pose.clone(), pose.clone()
    late[:, 1, 0] = other["cameras"].cam_from_world[:, 1, 0]
    target_only[:, 1] = other["cameras"].cam_from_world[:, 1]
    reference_only[:, 0, 1:] = other["cameras"].cam_from_world[:, 0, 1:]
    changes = {
        "target path": {"cameras": Cameras(target_only, intrinsics)},
        "where the target starts": {"cameras": Cameras(late, intrinsics)},
        "reference path after its first frame": {"cameras": Cameras(reference_only, intrinsics)},
        "intrinsics": {"cameras": Cameras(pose, other["cameras"].intrinsics * torch.tensor([2.0, 2, 1])[:, None])},
        "reference latents": {"reference_latents": other["reference_latents"]},
        "sigma": {"timestep": other["timestep"]},
        "text": {"text": other["text"]},
        "no text": {"text": None},
    }
    effects = {
        name: relative_difference(ask(backbone, **(inputs | change)).velocity, plain)
        for name, change in changes.items()
    }
    assert min(effects.values()) > 0.1, effects


@torch.no_grad()
@pytest.mark.parametrize("length", [2, 7])
def test_a_clip_whose_text_is_dropped_gets_the_null_text(length):
    """Shorter and longer than the null text's 3 tokens."""
    backbone, inputs = loud_backbone(), small_inputs()
    inputs["text"] = torch.randn(2, length, 6)
    own, null = ask(backbone, **inputs).velocity, ask(backbone, **(inputs | {"text": None})).velocity
    mixed = ask(backbone, **inputs, drop_text=torch.tensor([False, True])).velocity
    torch.testing.assert_close(mixed, torch.stack([own[0], null[1]]))
    assert relative_difference(null[1], own[1]) > 0.1


@torch.no_grad()
def test_rotary_time_runs_on_and_shows():
    backbone, inputs = loud_backbone(), small_inputs()
    assert backbone.frame_positions(3, torch.device("cpu")).tolist() == [0, 1, 2, 3, 4, 5]
    plain = ask(backbone, **inputs).velocity
    backbone.frame_positions = lambda frames, device: torch.arange(frames, device=device).repeat(2)
    assert relative_difference(ask(backbone, **inputs).velocity, plain) > 0.1


@torch.no_grad()
def test_plucker_changes_nothing_at_step_zero():
    """Beside a relative-pose conditioning that is already trained."""
    trained = loud_backbone(plucker=False)
    extended = ReCamMaster(small_config(), GRID, [PluckerConditioning()], null_text_length=3)
    gaps = extended.load_state_dict(trained.state_dict(), strict=False)
    assert not gaps.unexpected_keys
    assert {name.rpartition(".")[0] for name in gaps.missing_keys} == {
        "camera_encoders.plucker.pack",
        "dit.blocks.0.plucker",
        "dit.blocks.1.plucker",
    }
    inputs = small_inputs()
    assert torch.equal(ask(extended, **inputs).velocity, ask(trained, **inputs).velocity)
    make_loud(extended.dit.blocks[0].plucker)
    assert relative_difference(ask(extended, **inputs).velocity, ask(trained, **inputs).velocity) > 0.1


@torch.no_grad()
def test_recammaster_starts_as_its_plain_dit():
    torch.manual_seed(0)
    backbone, inputs = ReCamMaster(small_config(), GRID, [PluckerConditioning()], null_text_length=3), small_inputs()
    torch.nn.init.normal_(backbone.dit.head.head.weight)
    joint = torch.cat([inputs["target_latents"], inputs["reference_latents"]], dim=2)
    for block in backbone.dit.blocks:
        block.camera_inputs, block.projector = (), torch.nn.Identity()
    angles = backbone._angles(3, 4, 6, torch.device("cpu"))
    plain = backbone.dit(joint, inputs["timestep"], inputs["text"], angles, {}).latents[:, :, :3]
    fresh = ReCamMaster(small_config(), GRID, [PluckerConditioning()], null_text_length=3)
    fresh.load_state_dict(backbone.state_dict(), strict=False)
    torch.testing.assert_close(ask(fresh, **inputs).velocity, plain)


def test_a_fresh_network_predicts_zero():
    torch.manual_seed(0)
    backbone = ReCamMaster(small_config(), GRID, null_text_length=3)
    assert not ask(backbone, **small_inputs()).velocity.any()


@torch.no_grad()
def test_taps_are_what_attention_uses():
    backbone, inputs = loud_backbone(), small_inputs()
    seen = {}
    attention = backbone.dit.blocks[1].self_attn
    attention.v.register_forward_hook(lambda _, __, value: seen.update(value=value))
    attention.o.register_forward_pre_hook(lambda _, args: seen.update(attended=args[0]))
    output = ask(backbone, **inputs, tap_layers=[1])
    tap = output.taps[1]
    query, key = (
        rearrange(rotate_pairs(part, tap.rotary).flip(1), "b v f h w k d -> b k (v f h w) d")
        for part in (tap.query, tap.key)
    )
    value = rearrange(seen["value"], "b f h w (k d) -> b k (f h w) d", k=2)
    attended = rearrange(F.scaled_dot_product_attention(query, key, value), "b k l d -> b l (k d)")
    got = seen["attended"].flatten(1, 3)
    torch.testing.assert_close(attended[:, : got.shape[1]], got, rtol=1e-4, atol=1e-5)
    unrotated = rearrange(tap.query.flip(1), "b v f h w k d -> b k (v f h w) d")
    wrong = rearrange(F.scaled_dot_product_attention(unrotated, key, value), "b k l d -> b l (k d)")
    assert relative_difference(wrong[:, : got.shape[1]], got) > 0.1


def test_tap_says_where_and_when():
    backbone = loud_backbone()
    tap = ask(backbone, **small_inputs(), tap_layers=(1,)).taps[1]
    assert tap.layer == 1
    assert tap.query.shape == tap.key.shape == (2, 2, 3, 2, 3, 2, 24)
    assert tap.rotary.shape == (1, 2, 3, 2, 3, 1, 12)
    assert tap.frame_times.tolist() == [0, 2, 4]
    assert tap.stride == backbone.tap_shape.stride == 4
    # View 0 is the reference, which sits 3 latent frames after the target; the first pair turns one radian a frame.
    assert tap.rotary[0, :, :, 0, 0, 0, 0].tolist() == [[3, 4, 5], [0, 1, 2]]
    tap.query.sum().backward()
    assert backbone.dit.blocks[1].self_attn.q.weight.grad.any()


@torch.no_grad()
def test_taps_are_read_one_by_one_and_none_is_kept():
    backbone, inputs = loud_backbone(num_layers=3), small_inputs()
    kept = ask(backbone, **inputs, tap_layers=[0, 2])
    read, alive = [], []

    def read_tap(tap):
        read.append((tap.layer, tap.query.clone(), tap.key.clone()))
        alive.append([weakref.ref(tap.query), weakref.ref(tap.key)])
        assert all(held() is None for earlier in alive[:-1] for held in earlier)

    output = ask(backbone, **inputs, tap_layers=[0, 2], read_tap=read_tap)
    assert output.taps == {}
    assert [layer for layer, _, _ in read] == [0, 2]
    assert torch.equal(output.velocity, kept.velocity)
    for layer, query, key in read:
        assert torch.equal(query, kept.taps[layer].query)
        assert torch.equal(key, kept.taps[layer].key)


def test_taps_leave_the_output_alone():
    backbone, inputs = loud_backbone(), small_inputs()
    assert torch.equal(ask(backbone, **inputs).velocity, ask(backbone, **inputs, tap_layers=[0, 1]).velocity)


@torch.no_grad()
def test_world_frame_does_not_matter():
    backbone, inputs = loud_backbone(), small_inputs()
    cameras = inputs["cameras"]
    world_from_other = cameras.cam_from_world[:1, :1, :1].clone()
    world_from_other[..., :3, 3] += 5
    moved = Cameras(cameras.cam_from_world @ world_from_other, cameras.intrinsics)
    plain = ask(backbone, **inputs).velocity
    assert relative_difference(ask(backbone, **(inputs | {"cameras": moved})).velocity, plain) < 1e-4


@torch.no_grad()
def test_bf16_weights_and_autocast_run_and_agree():
    backbone, inputs = loud_backbone(), small_inputs()
    plain = ask(backbone, **inputs).velocity
    with torch.autocast("cpu", torch.bfloat16):
        mixed = ask(backbone, **inputs, tap_layers=[0])
    assert mixed.velocity.dtype == torch.float32
    assert mixed.taps[0].rotary.dtype == torch.float32
    assert 0 < relative_difference(mixed.velocity, plain) < 0.2
    low = ask(backbone.bfloat16(), **inputs).velocity
    assert 0 < relative_difference(low, plain) < 0.2


@torch.no_grad()
def test_bf16_throughout_drifts_little_from_fp32_at_the_same_rounded_time():
    """What the originals run: weights, tokens and t in bf16, weights as large as training starts from."""
    torch.manual_seed(0)
    backbone, inputs = ReCamMaster(small_config(num_layers=4), GRID, null_text_length=3), small_inputs()
    torch.nn.init.normal_(backbone.dit.head.head.weight, std=0.02)
    sigma = torch.tensor([0.99593, 0.8123])
    rounded = (1000 * sigma).bfloat16().float() / 1000
    plain = ask(backbone, **(inputs | {"timestep": rounded})).velocity
    low = ask(backbone.bfloat16(), **(inputs | {"timestep": rounded})).velocity
    assert 1e-4 < relative_difference(low, plain) < 0.02
    loud = loud_backbone()
    by_time = [ask(loud, **(inputs | {"timestep": time})).velocity for time in (rounded, sigma)]
    assert relative_difference(*by_time) > 0.02, "another time would show"


def test_gradients_reach_every_parameter():
    backbone, inputs = loud_backbone(), small_inputs()
    ask(backbone, **(inputs | {"text": None})).velocity.square().sum().backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []
    assert [name for name, parameter in backbone.named_parameters() if not parameter.grad.any()] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: {"tap_layers": [2]}, r"tap layer: got 2, want 0 to 1 \(2 layers\)"),
        (lambda i: {"tap_layers": [-1]}, "tap layer: got -1"),
        (lambda i: {"cameras": i["cameras"][:, :, :4]}, r"num_frames: got 4, want 2\*m \+ 1"),
        (lambda i: {"cameras": i["cameras"][:, :, :3]}, "cameras: got 3 frames, want 5 for 3 latent frames"),
        (lambda i: {"cameras": i["cameras"][:, :1]}, "cameras: got 1 views, want 2"),
        (
            lambda i: {name: i[name][..., :3] for name in ("target_latents", "reference_latents")},
            r"video size: got 8x6 \(h x w\), want multiples of 4",
        ),
        (
            lambda i: {"cameras": loud_backbone().encode_cameras(i["cameras"][:, :, :3], 2, 4, 6)},
            r"cameras: got some encoded for \(4, 2, 3\) tokens, want \(6, 2, 3\)",
        ),
        (lambda i: {"text": torch.zeros(2, 8, 6)}, "text: got shape .* want at most 7 tokens of width 6"),
        (lambda i: {"text": torch.zeros(2, 7, 5)}, "text: got shape"),
    ],
)
def test_bad_inputs_are_named(change, message):
    inputs = small_inputs()
    with pytest.raises(InputError, match=message):
        ask(loud_backbone(), **(inputs | change(inputs)))


def test_bad_configurations_are_named():
    with pytest.raises(InputError, match="'plucker' twice"):
        ReCamMaster(small_config(), GRID, [PluckerConditioning(), PluckerConditioning()], 3)
    with pytest.raises(InputError, match="null_text_length: got 8, want 1 to text_len 7"):
        ReCamMaster(small_config(), GRID)
    with pytest.raises(InputError, match="patch_size"):
        ReCamMaster(small_config(patch_size=(2, 2, 2)), GRID, (), 3)
    with pytest.raises(InputError, match="head_dim: got 7"):
        ReCamMaster(small_config(head_dim=7), GRID, (), 3)


def test_tiny_and_nano_sizes():
    for config, head_dim in ((VideoDiTConfig.tiny(), 32), (VideoDiTConfig.nano(), 24)):
        backbone = ReCamMaster(config, LatentGrid(1, 4, 16), [PluckerConditioning()])
        assert backbone.tap_shape.head_dim == head_dim
        assert backbone.tap_shape.stride == 8
        assert backbone.num_layers == config.num_layers


def test_one_frame_clip():
    """One video frame is one latent frame whatever the temporal stride."""
    backbone, inputs = loud_backbone(), small_inputs()
    one = {name: inputs[name][:, :, :1] for name in ("target_latents", "reference_latents", "cameras")}
    velocity = ask(backbone, **(inputs | one)).velocity
    assert velocity.shape == (2, 5, 1, 4, 6)
    assert np.isfinite(velocity.detach().numpy()).all()


def test_config_is_frozen_and_checked():
    with pytest.raises(InputError, match=r"dit\.num_heads: got 5, want a divisor of dim 128"):
        replace(VideoDiTConfig.tiny(), num_heads=5)
    with pytest.raises(InputError, match="num_layers: got 0"):
        replace(VideoDiTConfig.tiny(), num_layers=0)
