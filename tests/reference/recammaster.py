"""A slow, obvious ReCamMaster with Plücker rays in float64 NumPy, written from the description of the architecture.

Tokens are a flat list, target frames first, then reference frames; w is fastest.
"""

import math

import numpy as np


def linear(weights, name, x):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def layer_norm(x, eps):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)


def rms_norm(weights, name, x, eps):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weights[f"{name}.weight"]


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x):
    return x / (1 + np.exp(-x))


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def rotate(head, position):
    """Rotate one head of one token at (time, row, column)."""
    space = 2 * (len(head) // 6)
    out, start = head.copy(), 0
    for coordinate, dim in zip(position, (len(head) - 2 * space, space, space), strict=True):
        for pair in range(dim // 2):
            angle = coordinate / 10000 ** (2 * pair / dim)
            a, b = head[start + 2 * pair], head[start + 2 * pair + 1]
            out[start + 2 * pair] = a * math.cos(angle) - b * math.sin(angle)
            out[start + 2 * pair + 1] = a * math.sin(angle) + b * math.cos(angle)
        start += dim
    return out


def attend(query, key, value, num_heads):
    """One head after the other."""
    dim = query.shape[-1] // num_heads
    out = np.zeros_like(query)
    for head in range(num_heads):
        part = slice(head * dim, (head + 1) * dim)
        probability = softmax(query[:, part] @ key[:, part].T / math.sqrt(dim))
        out[:, part] = probability @ value[:, part]
    return out


def rotate_all(x, positions, num_heads):
    dim = x.shape[-1] // num_heads
    out = np.zeros_like(x)
    for token, position in enumerate(positions):
        for head in range(num_heads):
            part = slice(head * dim, (head + 1) * dim)
            out[token, part] = rotate(x[token, part], position)
    return out


def block(weights, name, config, x, time, text, positions, camera_update):
    """One DiT block; ``time`` is (6, d)."""
    heads, eps = config.num_heads, config.eps
    shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = weights[f"{name}.modulation"][0] + time
    y = layer_norm(x, eps) * (1 + scale) + shift + camera_update
    attn = f"{name}.self_attn"
    query = rms_norm(weights, f"{attn}.norm_q", linear(weights, f"{attn}.q", y), eps)
    key = rms_norm(weights, f"{attn}.norm_k", linear(weights, f"{attn}.k", y), eps)
    y = attend(
        rotate_all(query, positions, heads), rotate_all(key, positions, heads), linear(weights, f"{attn}.v", y), heads
    )
    y = linear(weights, f"{attn}.o", y)
    if f"{name}.projector.weight" in weights:
        y = linear(weights, f"{name}.projector", y)
    x = x + gate * y
    attn = f"{name}.cross_attn"
    y = layer_norm(x, eps) * weights[f"{name}.norm3.weight"] + weights[f"{name}.norm3.bias"]
    text_query = rms_norm(weights, f"{attn}.norm_q", linear(weights, f"{attn}.q", y), eps)
    text_key = rms_norm(weights, f"{attn}.norm_k", linear(weights, f"{attn}.k", text), eps)
    x = x + linear(weights, f"{attn}.o", attend(text_query, text_key, linear(weights, f"{attn}.v", text), heads))
    y = layer_norm(x, eps) * (1 + ffn_scale) + ffn_shift
    return x + ffn_gate * linear(weights, f"{name}.ffn.2", gelu(linear(weights, f"{name}.ffn.0", y))), query, key


def relative_pose(cam_from_world, frame):
    """Twelve numbers of the target's camera at a video frame, in the frame of the reference's first camera."""
    return (cam_from_world[0, 0] @ np.linalg.inv(cam_from_world[1, frame]))[:3].reshape(12)


def ray(cam_from_reference, intrinsics, x, y):
    """[o x d, d] of the ray through a pixel position."""
    reference_from_cam = np.linalg.inv(cam_from_reference)
    direction = reference_from_cam[:3, :3] @ np.linalg.inv(intrinsics) @ np.array([x, y, 1.0])
    direction /= np.linalg.norm(direction)
    return np.concatenate([np.cross(reference_from_cam[:3, 3], direction), direction])


def plucker_token(weights, grid, cam_from_world, intrinsics, view, latent_frame, row, column):
    """The packed feature of one token: a 2x2/2 convolution over cells whose channels are (component, frame, y, x)."""
    stride, steps = grid.spatial_stride, grid.temporal_stride
    kernel, out = weights["camera_encoders.plucker.pack.weight"], weights["camera_encoders.plucker.pack.bias"].copy()
    frames = [max(0, latent_frame * steps - steps + 1 + k) for k in range(steps)]
    for k, frame in enumerate(frames):
        cam_from_reference = cam_from_world[view, frame] @ np.linalg.inv(cam_from_world[0, 0])
        for cell_y in range(2):
            for cell_x in range(2):
                for dy in range(stride):
                    for dx in range(stride):
                        x = (2 * column + cell_x) * stride + dx + 0.5
                        y = (2 * row + cell_y) * stride + dy + 0.5
                        values = ray(cam_from_reference, intrinsics[view, frame], x, y)
                        for component in range(6):
                            channel = ((component * steps + k) * stride + dy) * stride + dx
                            out += kernel[:, channel, 0, cell_y, cell_x] * values[component]
    return out


def embed(weights, config, sigma, text):
    """Diffusion time for the head and for the blocks, and the text."""
    half = config.freq_dim // 2
    phase = [1000 * sigma / 10000 ** (i / half) for i in range(half)]
    time = np.array([math.cos(p) for p in phase] + [math.sin(p) for p in phase])
    time = linear(weights, "time_embedding.2", silu(linear(weights, "time_embedding.0", time)))
    block_time = linear(weights, "time_projection.1", silu(time)).reshape(6, config.dim)
    padded = np.zeros((config.text_len, config.text_dim))
    padded[: len(text)] = text
    context = linear(weights, "text_embedding.2", gelu(linear(weights, "text_embedding.0", padded)))
    return time, block_time, context


def unpatch(weights, config, x, time, places, target):
    """The head on the target's tokens."""
    shift, scale = weights["head.modulation"][0] + time
    out = linear(weights, "head.head", layer_norm(x, config.eps) * (1 + scale) + shift)
    velocity = np.zeros_like(target)
    for token, (view, f, row, column) in enumerate(places):
        if view == 1:
            patch = out[token].reshape(2, 2, -1)
            velocity[:, f, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = patch.transpose(2, 0, 1)
    return velocity


def forward(weights, config, grid, target, reference, sigma, cam_from_world, intrinsics, text):
    """One clip: latents (c, f, h, w), cameras (2, t), text (l, d) -> velocity (c, f, h, w), [(query, key) a block]."""
    weights = {name.removeprefix("dit."): value for name, value in weights.items()}
    _, frames, height, width = target.shape
    kernel = weights["patch_embedding.weight"].reshape(config.dim, -1)
    places, tokens = [], []
    for view, latents in ((1, target), (0, reference)):
        for f in range(frames):
            for row in range(height // 2):
                for column in range(width // 2):
                    patch = latents[:, f, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                    tokens.append(kernel @ patch.reshape(-1) + weights["patch_embedding.bias"])
                    places.append((view, f, row, column))
    positions = [(f + (0 if view == 1 else frames), row, column) for view, f, row, column in places]
    time, block_time, context = embed(weights, config, sigma, text)
    poses = np.stack([relative_pose(cam_from_world, f * grid.temporal_stride) for _, f, _, _ in places])
    rays = None
    if "camera_encoders.plucker.pack.weight" in weights:
        rays = np.stack([plucker_token(weights, grid, cam_from_world, intrinsics, *place) for place in places])
    x, taps = np.stack(tokens), []
    for layer in range(config.num_layers):
        name = f"blocks.{layer}"
        update = linear(weights, f"{name}.cam_encoder", poses)
        if rays is not None:
            update = update + linear(weights, f"{name}.plucker", rays)
        x, query, key = block(weights, name, config, x, block_time, context, positions, update)
        taps.append((query, key))
    return unpatch(weights, config, x, time, places, target), taps
