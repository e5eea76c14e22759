"""A slow, obvious ReDirector in float64 NumPy, written from the description of the architecture.

Tokens are a flat list, target frames first, then reference frames; w is fastest.
"""

import math

import numpy as np

from tests.reference import recammaster
from tests.reference.recammaster import attend, gelu, layer_norm, linear, ray, rms_norm, rotate_all, silu


def erf_gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def affine_norm(weights, name, x, eps):
    return layer_norm(x, eps) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def packed_rays(grid, cam_from_world, intrinsics, view, latent_frame, row, column):
    """What a latent cell is told of its camera: channels (component, frame of its group, y, x)."""
    stride, steps = grid.spatial_stride, grid.temporal_stride
    channels = np.zeros((6, steps, stride, stride))
    for k in range(steps):
        frame = max(0, (latent_frame - 1) * steps + 1 + k)
        cam_from_reference = cam_from_world[view, frame] @ np.linalg.inv(cam_from_world[0, 0])
        for dy in range(stride):
            for dx in range(stride):
                x, y = column * stride + dx + 0.5, row * stride + dy + 0.5
                channels[:, k, dy, dx] = ray(cam_from_reference, intrinsics[view, frame], x, y)
    return channels.reshape(-1)


def convolve_3x3(weights, name, image):
    """Zero padding of one; ``image`` is (h, w, c)."""
    kernel, padded = weights[f"{name}.weight"], np.pad(image, ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((*image.shape[:2], len(kernel)))
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            window = padded[row : row + 3, column : column + 3]
            out[row, column] = np.einsum("ocyx,yxc->o", kernel, window) + weights[f"{name}.bias"]
    return out


def adapt(weights, cells):
    """One frame's latent cells (h, w, c) to features of its tokens (h / 2, w / 2, d)."""
    kernel = weights["control_adapter.conv.weight"]
    features = np.zeros((cells.shape[0] // 2, cells.shape[1] // 2, len(kernel)))
    for row in range(features.shape[0]):
        for column in range(features.shape[1]):
            patch = cells[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            features[row, column] = np.einsum("ocyx,yxc->o", kernel, patch) + weights["control_adapter.conv.bias"]
    name = "control_adapter.residual_blocks.0"
    update = np.maximum(convolve_3x3(weights, f"{name}.conv1", features), 0)
    return features + convolve_3x3(weights, f"{name}.conv2", update)


def turn(x, angles, num_heads):
    """Turn the spatial pairs of every head; those of time come first and stay."""
    dim, per_head = x.shape[-1] // num_heads, angles.shape[-1] // num_heads
    out = x.copy()
    for head in range(num_heads):
        for pair in range(per_head):
            place = head * dim + dim - 2 * per_head + 2 * pair
            angle = angles[:, head * per_head + pair]
            a, b = x[:, place], x[:, place + 1]
            out[:, place] = a * np.cos(angle) - b * np.sin(angle)
            out[:, place + 1] = a * np.sin(angle) + b * np.cos(angle)
    return out


def block(weights, name, config, x, time, text, image, positions, camera):
    heads, eps = config.num_heads, config.eps
    shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = weights[f"{name}.modulation"][0] + time
    y = layer_norm(x, eps) * (1 + scale) + shift
    attn = f"{name}.self_attn"
    phase_qk = silu(camera) @ weights[f"{attn}.rope_phase_qk.1.weight"].T
    phase_vo = silu(camera) @ weights[f"{attn}.rope_phase_vo.1.weight"].T
    query = rms_norm(weights, f"{attn}.norm_q", linear(weights, f"{attn}.q", y), eps)
    key = rms_norm(weights, f"{attn}.norm_k", linear(weights, f"{attn}.k", y), eps)
    value = turn(linear(weights, f"{attn}.v", y), -phase_vo, heads)
    y = attend(
        turn(rotate_all(query, positions, heads), phase_qk, heads),
        turn(rotate_all(key, positions, heads), phase_qk, heads),
        value,
        heads,
    )
    x = x + gate * turn(linear(weights, f"{attn}.o", y), phase_vo, heads)
    attn = f"{name}.cross_attn"
    y = affine_norm(weights, f"{name}.norm3", x, eps)
    asked = rms_norm(weights, f"{attn}.norm_q", linear(weights, f"{attn}.q", y), eps)
    text_key = rms_norm(weights, f"{attn}.norm_k", linear(weights, f"{attn}.k", text), eps)
    y = attend(asked, text_key, linear(weights, f"{attn}.v", text), heads)
    image_key = rms_norm(weights, f"{attn}.norm_k_img", linear(weights, f"{attn}.k_img", image), eps)
    y = y + attend(asked, image_key, linear(weights, f"{attn}.v_img", image), heads)
    x = x + linear(weights, f"{attn}.o", y)
    y = layer_norm(x, eps) * (1 + ffn_scale) + ffn_shift
    x = x + ffn_gate * linear(weights, f"{name}.ffn.2", gelu(linear(weights, f"{name}.ffn.0", y)))
    return x, query, key


def forward(weights, config, grid, target, reference, sigma, cam_from_world, intrinsics, text, image):
    """One clip, as ``recammaster.forward``; ``image`` is (tokens, width)."""
    weights = {name.removeprefix("dit."): value for name, value in weights.items()}
    _, frames, height, width = target.shape
    kernel = weights["patch_embedding.weight"]
    places, tokens, cameras = [], [], []
    for view, latents in ((1, target), (0, reference)):
        for f in range(frames):
            cells = np.stack(
                [
                    [packed_rays(grid, cam_from_world, intrinsics, view, f, row, column) for column in range(width)]
                    for row in range(height)
                ]
            )
            camera = adapt(weights, cells)
            for row in range(height // 2):
                for column in range(width // 2):
                    patch = np.zeros((config.in_channels, 2, 2))
                    patch[: len(latents)] = latents[:, f, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                    token = np.einsum("ocyx,cyx->o", kernel[:, :, 0], patch) + weights["patch_embedding.bias"]
                    tokens.append(token + camera[row, column])
                    cameras.append(camera[row, column])
                    places.append((view, f, row, column))
    positions = [place[1:] for place in places]
    time, block_time, context = recammaster.embed(weights, config, sigma, text)
    name = "img_emb.proj"
    image = linear(weights, f"{name}.1", affine_norm(weights, f"{name}.0", image, 1e-5))
    image = affine_norm(weights, f"{name}.4", linear(weights, f"{name}.3", erf_gelu(image)), 1e-5)
    x, camera, taps = np.stack(tokens), np.stack(cameras), []
    for layer in range(config.num_layers):
        x, query, key = block(weights, f"blocks.{layer}", config, x, block_time, context, image, positions, camera)
        taps.append((query, key))
    return recammaster.unpatch(weights, config, x, time, places, target), taps
