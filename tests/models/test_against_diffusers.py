"""Ours against diffusers' WanTransformer3DModel, same weights: plain, and with the backbones built around its blocks.

Weights are loud (``make_loud``): with small random ones, wrong rotary angles would change a thousandth. Loud, too, are
the errors of diffusers' fp32 sinusoid at great times (3e-5 at t = 997); the original has fp64, and theirs is given it.
"""

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch.nn import functional as F

from mvt4g.geometry.plucker import plucker_rays
from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.layers.rope import rotary_angles
from mvt4g.models.video_dit import VideoDiT, VideoDiTConfig
from mvt4g.models.weight_names import from_diffusers, to_diffusers
from tests.models.small_backbones import (
    GRID,
    ask,
    loud_backbone,
    loud_redirector,
    make_loud,
    relative_difference,
    small_config,
    small_inputs,
)

TEXT_LEN = 512
"""Where diffusers parts image from text tokens, whatever the model's size."""
NOT_IN_BASE = ("cam_encoder", "projector", "rope_phase_qk", "rope_phase_vo", "control_adapter")


def theirs(config):
    """Build diffusers' model of a config of ours, on whatever device is current."""
    return WanTransformer3DModel(
        num_attention_heads=config.num_heads,
        attention_head_dim=config.head_dim,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        text_dim=config.text_dim,
        freq_dim=config.freq_dim,
        ffn_dim=config.ffn_dim,
        num_layers=config.num_layers,
        image_dim=config.image_dim,
        added_kv_proj_dim=None if config.image_dim is None else config.dim,
    )


def with_our_weights(dit):
    model, state = theirs(dit.config), dit.state_dict()
    mapped = {to_diffusers(name): value for name, value in state.items() if not set(name.split(".")) & {*NOT_IN_BASE}}
    model.load_state_dict(mapped)
    model.condition_embedder.timesteps_proj = Sinusoid(dit.config.freq_dim // 2)
    return model.eval()


class Sinusoid(torch.nn.Module):
    """Wan2.1's, cosine half first."""

    def __init__(self, half):
        super().__init__()
        self.frequencies = 10000.0 ** (-torch.arange(half).double() / half)

    def forward(self, timestep):
        phase = timestep[:, None].double() * self.frequencies
        return torch.cat([phase.cos(), phase.sin()], dim=1).float()


def run(model, latents, timestep, text, image=None):
    padded = F.pad(text, (0, 0, 0, TEXT_LEN - text.shape[1]))
    return model(latents, 1000 * timestep, padded, encoder_hidden_states_image=image).sample


@pytest.mark.parametrize(
    ("config", "num_adapter"),
    [(VideoDiTConfig.wan_1_3b(), 0), (VideoDiTConfig.wan_fun_camera_1_3b(), 6)],
    ids=["T2V", "Fun Control-Camera"],
)
def test_full_size_names_and_shapes_map_onto_theirs(config, num_adapter):
    with torch.device("meta"):
        ours, wanted = VideoDiT(config).state_dict(), theirs(config).state_dict()
    mapped = {
        to_diffusers(name): value.shape for name, value in ours.items() if not name.startswith("control_adapter.")
    }
    assert len(mapped) == len(ours) - num_adapter
    assert mapped == {name: value.shape for name, value in wanted.items()}
    assert {from_diffusers(name) for name in wanted} == {n for n in ours if not n.startswith("control_adapter.")}
    assert to_diffusers("blocks.0.cam_encoder.weight") is None
    assert from_diffusers("blocks.0.attn1.to_q.lora.weight") is None


@torch.no_grad()
@pytest.mark.parametrize(("num_heads", "head_dim"), [(4, 24), (2, 128), (4, 16)])
def test_the_dit_equals_theirs(num_heads, head_dim):
    torch.manual_seed(0)
    config = small_config(num_heads=num_heads, dim=num_heads * head_dim, text_len=TEXT_LEN)
    dit = make_loud(VideoDiT(config)).eval()
    latents, text, sigma = torch.randn(2, 5, 3, 4, 6), torch.randn(2, 9, 6), torch.tensor([0.25, 0.75])
    angles = rotary_angles(head_dim, torch.arange(3), 2, 3)[None, :, :, :, None]
    got, model = dit(latents, sigma, text, angles, {}).latents, with_our_weights(dit)
    assert relative_difference(got, run(model, latents, sigma, text)) < 1e-5
    elsewhere = rotary_angles(head_dim, torch.arange(3) * 2, 2, 3)[None, :, :, :, None]
    assert relative_difference(dit(latents, sigma, text, elsewhere, {}).latents, got) > 0.01
    assert relative_difference(run(model, latents, sigma - 0.1, text), got) > 0.1


class AroundAttention(torch.nn.Module):
    """ReCamMaster in one of diffusers' blocks: cameras before self-attention, the projector behind it."""

    def __init__(self, attention, camera, projector):
        super().__init__()
        self.attention, self.camera, self.projector = attention, camera, projector

    def forward(self, hidden_states, *arguments):
        return self.projector(self.attention(hidden_states + self.camera, *arguments))


def twelve_numbers(cameras, frames):
    """Rows of target poses seen from the reference's first camera, by a plain inverse."""
    reference = cameras.cam_from_world[:, 0, 0]
    targets = cameras.cam_from_world[:, 1, :: GRID.temporal_stride]
    assert targets.shape[1] == frames
    return (reference[:, None] @ torch.linalg.inv(targets))[..., :3, :].flatten(2)


@torch.no_grad()
def test_recammaster_equals_their_blocks_with_cameras_around_self_attention():
    backbone, inputs = loud_backbone(plucker=False, text_len=TEXT_LEN), small_inputs()
    joint = torch.cat([inputs["target_latents"], inputs["reference_latents"]], dim=2)
    model = with_our_weights(backbone.dit)
    plain = run(model, joint, inputs["timestep"], inputs["text"])[:, :, :3]
    poses = twelve_numbers(inputs["cameras"], 3).repeat(1, 2, 1).repeat_interleave(2 * 3, dim=1)
    for ours, block in zip(backbone.dit.blocks, model.blocks, strict=True):
        block.attn1 = AroundAttention(block.attn1, ours.cam_encoder(poses), ours.projector)
    wanted = run(model, joint, inputs["timestep"], inputs["text"])[:, :, :3]
    assert relative_difference(ask(backbone, **inputs).velocity, wanted) < 1e-5
    assert relative_difference(plain, wanted) > 0.1, "cameras and projectors show"
    for block in model.blocks:
        block.attn1.camera = block.attn1.camera.flip(1)
    assert relative_difference(run(model, joint, inputs["timestep"], inputs["text"])[:, :, :3], wanted) > 0.1


@torch.no_grad()
def test_recammaster_starts_as_their_base():
    torch.manual_seed(0)
    backbone, inputs = ReCamMaster(small_config(text_len=TEXT_LEN), GRID, null_text_length=3), small_inputs()
    for block in backbone.dit.blocks:
        for part in (block.self_attn, block.cross_attn, block.ffn):
            make_loud(part)
    make_loud(backbone.dit.head)
    joint = torch.cat([inputs["target_latents"], inputs["reference_latents"]], dim=2)
    wanted = run(with_our_weights(backbone.dit), joint, inputs["timestep"], inputs["text"])[:, :, :3]
    assert relative_difference(ask(backbone, **inputs).velocity, wanted) < 1e-5


class RotaryCameraEncoding:
    """ReDirector as a processor of one of diffusers' self-attentions, in complex numbers."""

    def __init__(self, camera, ours):
        phases = []
        for linear in (ours.rope_phase_qk[1], ours.rope_phase_vo[1]):
            phase = (F.silu(camera) @ linear.weight.T).unflatten(-1, (ours.num_heads, -1))
            time = camera.shape[-1] // ours.num_heads // 2 - phase.shape[-1]
            phases.append(torch.exp(1j * F.pad(phase, (time, 0)).double()))
        self.phase_qk, self.phase_vo = phases

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb):
        cosine, sine = rotary_emb
        place = torch.complex(cosine[..., 0::2].double(), sine[..., 0::2].double())

        def turned(x, angle):
            pairs = torch.view_as_complex(x.double().unflatten(-1, (attn.heads, -1, 2)))
            return torch.view_as_real(pairs * angle).flatten(-2).float()

        query = turned(attn.norm_q(attn.to_q(hidden_states)), place * self.phase_qk)
        key = turned(attn.norm_k(attn.to_k(hidden_states)), place * self.phase_qk)
        value = turned(attn.to_v(hidden_states), self.phase_vo.conj())
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return turned(attn.to_out[0](attended), self.phase_vo).flatten(2)


class SharedTimes(torch.nn.Module):
    """Rotary tables of half as many frames, twice."""

    def __init__(self, rope):
        super().__init__()
        self.rope = rope

    def forward(self, latents):
        return [torch.cat([table, table], dim=1) for table in self.rope(latents[:, :, : latents.shape[2] // 2])]


def control_features(adapter, cameras, height, width):
    """The control adapter on rays packed as the released code packs them, target frames first: (b, d, 2f, h, w)."""
    pose = cameras.cam_from_world @ torch.linalg.inv(cameras.cam_from_world[:, :1, :1])
    rays = plucker_rays(pose, cameras.intrinsics, height * GRID.spatial_stride, width * GRID.spatial_stride)
    both = []
    for view in (1, 0):
        frames = torch.cat([rays[:, view, :1].repeat(1, GRID.temporal_stride, 1, 1, 1), rays[:, view, 1:]], dim=1)
        for start in range(0, frames.shape[1], GRID.temporal_stride):
            group = frames[:, start : start + GRID.temporal_stride].transpose(1, 2).flatten(1, 2)
            features = adapter.conv(F.pixel_unshuffle(group, GRID.spatial_stride))
            block = adapter.residual_blocks[0]
            both.append(features + block.conv2(F.relu(block.conv1(features))))
    return torch.stack(both, dim=2)


def by_their_blocks(backbone, inputs, phases=True, shared_times=True, added=True):
    """ReDirector around diffusers' model; parts left out are negative controls."""
    dit, model = backbone.dit, with_our_weights(backbone.dit)
    features = control_features(dit.control_adapter, inputs["cameras"], 4, 6)
    joint = torch.cat([inputs["target_latents"], inputs["reference_latents"]], dim=2)
    joint = torch.cat([joint, torch.zeros_like(joint)], dim=1)
    if added:
        model.patch_embedding.register_forward_hook(lambda _, __, tokens: tokens + features)
    if shared_times:
        model.rope = SharedTimes(model.rope)
    if phases:
        for ours, block in zip(dit.blocks, model.blocks, strict=True):
            block.attn1.set_processor(RotaryCameraEncoding(features.flatten(2).transpose(1, 2), ours.self_attn))
    return run(model, joint, inputs["timestep"], inputs["text"], inputs["image"])[:, :, :3]


@torch.no_grad()
def test_redirector_equals_their_blocks_with_rotary_camera_encoding():
    backbone = loud_redirector(text_len=TEXT_LEN)
    inputs = small_inputs() | {"image": torch.randn(2, 4, 9)}
    got = ask(backbone, **inputs).velocity
    assert relative_difference(got, by_their_blocks(backbone, inputs)) < 1e-5
    assert relative_difference(got, by_their_blocks(backbone, inputs, phases=False)) > 0.1
    assert relative_difference(got, by_their_blocks(backbone, inputs, shared_times=False)) > 0.1
    assert relative_difference(got, by_their_blocks(backbone, inputs, added=False)) > 0.1


@torch.no_grad()
def test_redirector_starts_as_their_base_with_a_control():
    torch.manual_seed(0)
    backbone = ReDirector(loud_redirector(text_len=TEXT_LEN).dit.config, GRID, null_text_length=3)
    make_loud(backbone.dit.head)
    inputs = small_inputs() | {"image": torch.randn(2, 4, 9)}
    assert relative_difference(ask(backbone, **inputs).velocity, by_their_blocks(backbone, inputs, phases=False)) < 1e-5
