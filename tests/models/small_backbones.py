"""Backbones small enough for a NumPy twin, with weights loud enough that every part of them shows."""

import torch

from mvt4g.geometry.pose import rotation_from_axis_angle
from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import Cameras, Conditions, LatentGrid, TapRequest

GRID = LatentGrid(temporal_stride=2, spatial_stride=2, channels=5)


def small_config(head_dim=24, **changes):
    sizes = {
        "in_channels": 5, "out_channels": 5, "dim": 2 * head_dim, "ffn_dim": 40, "freq_dim": 16,
        "text_dim": 6, "text_len": 7, "num_heads": 2, "num_layers": 2,
    }  # fmt: skip
    return VideoDiTConfig(**(sizes | changes))


def make_loud(module, seed=0):
    """Randomise what starts at zero and scale attention up, else cameras, rotary angles and taps hardly show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if not parameter.any() or ".projector." in name or name.endswith(".bias"):
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
            if name.endswith(("attn.v.weight", "attn.o.weight", "attn.v_img.weight")):
                parameter *= 8
            if name.endswith(("_embedding.0.weight", "_embedding.2.weight")):
                parameter *= 20  # they are drawn with deviation 0.02
            if ".norm_" in name:
                parameter *= 3 + torch.rand(parameter.shape, generator=generator)
    return module


def loud_backbone(head_dim=24, plucker=True, **changes):
    torch.manual_seed(0)
    extra = [PluckerConditioning()] if plucker else []
    return make_loud(ReCamMaster(small_config(head_dim, **changes), GRID, extra, null_text_length=3)).eval()


def loud_redirector(head_dim=24, plucker=False, **changes):
    torch.manual_seed(0)
    sizes = {"in_channels": 10, "control_channels": 48, "image_dim": 9}
    extra = [PluckerConditioning()] if plucker else []
    return make_loud(ReDirector(small_config(head_dim, **(sizes | changes)), GRID, extra, null_text_length=3)).eval()


def small_cameras(batch=2, frames=5, seed=0):
    """Random rigid poses, and focal lengths that change from frame to frame."""
    generator = torch.Generator().manual_seed(seed)
    pose = torch.eye(4).repeat(batch, 2, frames, 1, 1)
    pose[..., :3, :3] = rotation_from_axis_angle(0.4 * torch.randn(batch, 2, frames, 3, generator=generator))
    pose[..., :3, 3] = torch.randn(batch, 2, frames, 3, generator=generator)
    intrinsics = torch.tensor([[10.0, 0, 6], [0, 9, 4], [0, 0, 1]]).repeat(batch, 2, frames, 1, 1)
    intrinsics[..., :2, :2] *= 1 + 0.3 * torch.rand(batch, 2, frames, 1, 1, generator=generator)
    return Cameras(pose, intrinsics)


def small_inputs(batch=2, seed=0):
    """Latents of 3 frames of 4 x 6, sigmas and cameras, by argument of ``ask``."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "target_latents": torch.randn(batch, 5, 3, 4, 6, generator=generator),
        "reference_latents": torch.randn(batch, 5, 3, 4, 6, generator=generator),
        "timestep": torch.rand(batch, generator=generator),
        "cameras": small_cameras(batch, 5, seed),
        "text": torch.randn(batch, 4, 6, generator=generator),
    }


def ask(backbone, *, tap_layers=(), read_tap=None, predict=True, text=None, image=None, drop_text=None, **inputs):
    """Call a backbone with what ``small_inputs`` gives."""
    taps = TapRequest(tuple(tap_layers), read_tap, stop_after=not predict)
    return backbone(**inputs, conditions=Conditions(text, image, drop_text), taps=taps)


def relative_difference(got, want):
    return ((got - want).norm() / want.norm()).item()
