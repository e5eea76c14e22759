"""A small VAE of Wan's kind with random weights, in files as the released one comes."""

import torch

from mvt4g.models.wan_codec import build_vae, original_name

BASE_DIM = 8


def random_vae(seed=0):
    """Weights large enough that every layer shows in the result."""
    generator = torch.Generator().manual_seed(seed)
    vae = build_vae(BASE_DIM)
    with torch.no_grad():
        for name, value in vae.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("gamma"):
                value.copy_(1 + 0.2 * noise)
            else:
                fan_in = value[0].numel() if value.ndim > 1 else 100
                value.copy_(1.5 * noise / fan_in**0.5)
    return vae


def original_weights(vae):
    return {original_name(name): value for name, value in vae.state_dict().items()}


def write_vae(path, seed=0):
    torch.save(original_weights(random_vae(seed)), path)
    return path
