import pytest
import torch
from einops import rearrange
from torch.nn import functional as F

from mvt4g.geometry.rotary import rotate_pairs
from mvt4g.models.backbones import ReDirector
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.types import Cameras, InputError
from tests.models.small_backbones import (
    GRID,
    ask,
    loud_redirector,
    make_loud,
    relative_difference,
    small_config,
    small_inputs,
)
from tests.models.twin_check import check_against_twin
from tests.reference import redirector


def inputs_with_image(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return small_inputs(seed=seed) | {"image": torch.randn(2, 4, 9, generator=generator)}


@pytest.mark.parametrize(("head_dim", "image"), [(24, True), (32, False)])
def test_forward_and_taps_equal_the_twin(head_dim, image):
    inputs = inputs_with_image() if image else inputs_with_image() | {"image": None}
    check_against_twin(redirector, loud_redirector(head_dim), inputs)


@torch.no_grad()
def test_every_input_shows():
    """The twin test would be empty if these were small."""
    backbone, inputs, other = loud_redirector(), inputs_with_image(), inputs_with_image(seed=1)
    plain = ask(backbone, **inputs).velocity
    pose, intrinsics = inputs["cameras"].cam_from_world, inputs["cameras"].intrinsics
    target_only, reference_only, late = pose.clone(), pose.clone(), pose.clone()
    target_only[:, 1] = other["cameras"].cam_from_world[:, 1]
    reference_only[:, 0, 1:] = other["cameras"].cam_from_world[:, 0, 1:]
    late[:, 1, 0] = other["cameras"].cam_from_world[:, 1, 0]
    zoomed = intrinsics.clone()
    zoomed[:, :, 1:, :2, :2] *= 2
    changes = {
        "target path": {"cameras": Cameras(target_only, intrinsics)},
        "where the target starts": {"cameras": Cameras(late, intrinsics)},
        "reference path after its first frame": {"cameras": Cameras(reference_only, intrinsics)},
        "intrinsics after the first frame": {"cameras": Cameras(pose, zoomed)},
        "reference latents": {"reference_latents": other["reference_latents"]},
        "sigma": {"timestep": other["timestep"]},
        "text": {"text": other["text"]},
        "image": {"image": other["image"]},
        "no image": {"image": None},
    }
    effects = {
        name: relative_difference(ask(backbone, **(inputs | change)).velocity, plain)
        for name, change in changes.items()
    }
    assert min(effects.values()) > 0.1, effects


@torch.no_grad()
def test_phases_and_shared_rotary_times_show():
    backbone, inputs = loud_redirector(), inputs_with_image()
    plain = ask(backbone, **inputs).velocity
    assert backbone.frame_positions(3, torch.device("cpu")).tolist() == [0, 1, 2, 0, 1, 2]
    backbone.frame_positions = lambda frames, device: torch.arange(2 * frames, device=device)
    assert relative_difference(ask(backbone, **inputs).velocity, plain) > 0.1
    del backbone.frame_positions
    for phase in ("rope_phase_qk", "rope_phase_vo"):
        without = loud_redirector()
        for block in without.dit.blocks:
            setattr(block.self_attn, phase, None)
        assert relative_difference(ask(without, **inputs).velocity, plain) > 0.1, phase


@torch.no_grad()
def test_the_camera_features_come_out_of_the_last_frames_as_they_went_in():
    """The last block works on the target's frames alone: its phases must be those of the same tokens."""
    backbone, inputs = loud_redirector(num_layers=1), inputs_with_image()
    plain = ask(backbone, **inputs).velocity
    whole, forward = [], backbone.dit.forward

    def all_frames(*arguments, num_output_frames, **named):
        whole.append(output := forward(*arguments, **named))
        return output

    backbone.dit.forward = all_frames
    ask(backbone, **inputs)
    torch.testing.assert_close(whole[0].latents[:, :, :3], plain, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_taps_are_what_attention_uses():
    backbone, inputs = loud_redirector(), inputs_with_image()
    seen = {}
    attention = backbone.dit.blocks[0].self_attn
    attention.v.register_forward_hook(lambda _, __, value: seen.update(value=value))
    attention.o.register_forward_pre_hook(lambda _, args: seen.update(attended=args[0]))
    attention.rope_phase_vo.register_forward_hook(lambda _, __, phase: seen.update(phase=phase))
    tap = ask(backbone, **inputs, tap_layers=[0]).taps[0]
    assert tap.rotary.shape == (2, 2, 3, 2, 3, 2, 12), "an angle a clip and head"
    query, key = (
        rearrange(rotate_pairs(part, tap.rotary).flip(1), "b v f h w k d -> b k (v f h w) d")
        for part in (tap.query, tap.key)
    )
    value = rotate_pairs(rearrange(seen["value"], "b f h w (k d) -> b f h w k d", k=2), -seen["phase"])
    value = rearrange(value, "b f h w k d -> b k (f h w) d")
    attended = rearrange(F.scaled_dot_product_attention(query, key, value), "b k l d -> b l (k d)")
    torch.testing.assert_close(attended, seen["attended"].flatten(1, 3), rtol=1e-4, atol=1e-4)
    time, space = tap.rotary[..., :4], tap.rotary[..., 4:]
    assert torch.equal(time, time[:1, :1, :, :, :, :1].expand_as(time)), "time pairs are not turned by cameras"
    assert relative_difference(space[:, 0], space[:, 1]) > 0.1


@torch.no_grad()
def test_it_starts_as_its_base():
    """Zero phases: Wan2.1-Fun-Control-Camera on both views' frames, bit for bit."""
    torch.manual_seed(0)
    backbone = ReDirector(loud_redirector().dit.config, GRID, null_text_length=3)
    make_loud(backbone.dit.head)
    inputs = inputs_with_image()
    started = ask(backbone, **inputs).velocity
    for block in backbone.dit.blocks:
        assert not block.self_attn.rope_phase_qk[1].weight.any()
        block.self_attn.rope_phase_qk = block.self_attn.rope_phase_vo = None
    torch.testing.assert_close(ask(backbone, **inputs).velocity, started)
    assert relative_difference(ask(loud_redirector(), **inputs).velocity, started) > 0.1


@torch.no_grad()
def test_plucker_changes_nothing_at_step_zero():
    trained, inputs = loud_redirector(), inputs_with_image()
    extended = ReDirector(trained.dit.config, GRID, [PluckerConditioning()], null_text_length=3)
    gaps = extended.load_state_dict(trained.state_dict(), strict=False)
    assert not gaps.unexpected_keys
    assert all("plucker" in name for name in gaps.missing_keys)
    assert torch.equal(ask(extended, **inputs).velocity, ask(trained, **inputs).velocity)
    make_loud(extended.dit.blocks[0].plucker)
    assert relative_difference(ask(extended, **inputs).velocity, ask(trained, **inputs).velocity) > 0.1


def test_gradients_reach_every_parameter():
    backbone, inputs = loud_redirector(plucker=True), inputs_with_image()
    ask(backbone, **(inputs | {"text": None})).velocity.square().sum().backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []
    assert [name for name, parameter in backbone.named_parameters() if not parameter.grad.any()] == []


@torch.no_grad()
def test_bf16_weights_and_autocast_run_and_agree():
    backbone, inputs = loud_redirector(), inputs_with_image()
    plain = ask(backbone, **inputs).velocity
    with torch.autocast("cpu", torch.bfloat16):
        mixed = ask(backbone, **inputs, tap_layers=[0])
    assert mixed.taps[0].rotary.dtype == torch.float32
    assert 0 < relative_difference(mixed.velocity, plain) < 0.2
    assert 0 < relative_difference(ask(backbone.bfloat16(), **inputs).velocity, plain) < 0.2


@torch.no_grad()
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 2, 2), (4, 6, 2), (7, 2, 10)])
def test_any_length_and_size(frames, height, width):
    """What the originals hard-code: 21 latent frames of 60 x 104."""
    backbone, inputs = loud_redirector(), inputs_with_image()
    latents = torch.randn(2, 5, frames, height, width)
    cameras = inputs["cameras"][:, :, :1]
    still = (-1, -1, 2 * frames - 1, -1, -1)
    cameras = Cameras(cameras.cam_from_world.expand(still), cameras.intrinsics.expand(still))
    changed = inputs | {"target_latents": latents, "reference_latents": latents, "cameras": cameras}
    assert ask(backbone, **changed).velocity.shape == latents.shape


def test_bad_configurations_are_named():
    with pytest.raises(InputError, match=r"control_channels: got null, want 48"):
        ReDirector(small_config(), GRID, null_text_length=3)
    with pytest.raises(InputError, match=r"control_channels: got 47, want 48, those of the packed rays"):
        ReDirector(small_config(control_channels=47), GRID, null_text_length=3)
    with pytest.raises(InputError, match=r"in_channels: got 4, want at least the latents' 5"):
        ReDirector(small_config(control_channels=48, in_channels=4), GRID, null_text_length=3)


def test_image_tokens_of_another_width_are_named():
    with pytest.raises(InputError, match="image: got tokens of width 8, want 9"):
        ask(loud_redirector(), **(inputs_with_image() | {"image": torch.zeros(2, 4, 8)}))
    with pytest.raises(InputError, match="image: got tokens of width 9, want no image"):
        ask(loud_redirector(image_dim=None), **inputs_with_image())
