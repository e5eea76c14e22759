"""A vision transformer in NumPy, from the papers: what a file of DINO's or CLIP's weights computes, timm aside."""

import math

import numpy as np

CUBIC = -0.75
"""Parameter of the cubic kernel that torch resizes with."""


def cubic_kernel(distance: float) -> float:
    """Weight of a sample at that distance."""
    x = abs(distance)
    if x <= 1:
        return (CUBIC + 2) * x**3 - (CUBIC + 3) * x**2 + 1
    if x < 2:
        return CUBIC * (x**3 - 5 * x**2 + 8 * x - 4)
    return 0.0


def dino_positions(embedding: np.ndarray, trained: tuple[int, int], grid: tuple[int, int], offset=0.1) -> np.ndarray:
    """DINO's rule: cell i of the new grid is read at (i + 0.5) * trained / (cells + 0.1) - 0.5, borders repeated."""
    if trained == grid:
        return embedding
    rows = embedding[1:].reshape(*trained, -1)
    out = [embedding[0]]
    for i in range(grid[0]):
        y = (i + 0.5) * trained[0] / (grid[0] + offset) - 0.5
        for j in range(grid[1]):
            x = (j + 0.5) * trained[1] / (grid[1] + offset) - 0.5
            total = np.zeros(embedding.shape[1])
            for row in range(math.floor(y) - 1, math.floor(y) + 3):
                for column in range(math.floor(x) - 1, math.floor(x) + 3):
                    sample = rows[min(max(row, 0), trained[0] - 1), min(max(column, 0), trained[1] - 1)]
                    total += cubic_kernel(y - row) * cubic_kernel(x - column) * sample
            out.append(total)
    return np.stack(out)


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * weight + bias


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def quick_gelu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-1.702 * x))


def attention(x: np.ndarray, qkv: tuple[np.ndarray, np.ndarray], proj: tuple[np.ndarray, np.ndarray], heads: int):
    mixed = x @ qkv[0].T + qkv[1]
    query, key, value = (part.reshape(len(x), heads, -1) for part in np.split(mixed, 3, axis=-1))
    out = []
    for head in range(heads):
        logits = query[:, head] @ key[:, head].T / math.sqrt(query.shape[-1])
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        out.append(weights / weights.sum(-1, keepdims=True) @ value[:, head])
    return np.concatenate(out, axis=-1) @ proj[0].T + proj[1]


def patches(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Cut an image (3 h w) into patches, row by row, ignoring what is over, and project each."""
    size = kernel.shape[-1]
    cells = [
        np.tensordot(kernel, image[:, y : y + size, x : x + size], 3)
        for y in range(0, image.shape[1] - size + 1, size)
        for x in range(0, image.shape[2] - size + 1, size)
    ]
    return np.stack(cells)


def dino(weights: dict[str, np.ndarray], image: np.ndarray, heads: int, trained: tuple[int, int], positions=None):
    """Return all tokens (class token first) of a DINO file for a normalised image (3 h w)."""
    kernel = weights["patch_embed.proj.weight"]
    grid = (image.shape[1] // kernel.shape[-1], image.shape[2] // kernel.shape[-1])
    cells = patches(image, kernel) + weights["patch_embed.proj.bias"]
    x = np.concatenate([weights["cls_token"][0], cells])
    x = x + (dino_positions(weights["pos_embed"][0], trained, grid) if positions is None else positions)
    block = 0
    while f"blocks.{block}.norm1.weight" in weights:

        def part(name: str, number: int = block) -> tuple[np.ndarray, np.ndarray]:
            return weights[f"blocks.{number}.{name}.weight"], weights[f"blocks.{number}.{name}.bias"]

        x = x + attention(layer_norm(x, *part("norm1"), 1e-6), part("attn.qkv"), part("attn.proj"), heads)
        (w1, b1), (w2, b2) = part("mlp.fc1"), part("mlp.fc2")
        x = x + gelu(layer_norm(x, *part("norm2"), 1e-6) @ w1.T + b1) @ w2.T + b2
        block += 1
    return layer_norm(x, weights["norm.weight"], weights["norm.bias"], 1e-6)


def clip(weights: dict[str, np.ndarray], image: np.ndarray, heads: int) -> np.ndarray:
    """Return the projected embedding that a file in OpenAI's layout gives a normalised image of the trained size."""
    w = {key.removeprefix("visual."): value for key, value in weights.items() if key.startswith("visual.")}
    x = np.concatenate([w["class_embedding"][None], patches(image, w["conv1.weight"])]) + w["positional_embedding"]
    x = layer_norm(x, w["ln_pre.weight"], w["ln_pre.bias"], 1e-5)
    block = 0
    while (prefix := f"transformer.resblocks.{block}.") + "ln_1.weight" in w:
        qkv = w[prefix + "attn.in_proj_weight"], w[prefix + "attn.in_proj_bias"]
        proj = w[prefix + "attn.out_proj.weight"], w[prefix + "attn.out_proj.bias"]
        x = x + attention(layer_norm(x, w[prefix + "ln_1.weight"], w[prefix + "ln_1.bias"], 1e-5), qkv, proj, heads)
        hidden = layer_norm(x, w[prefix + "ln_2.weight"], w[prefix + "ln_2.bias"], 1e-5)
        hidden = quick_gelu(hidden @ w[prefix + "mlp.c_fc.weight"].T + w[prefix + "mlp.c_fc.bias"])
        x = x + hidden @ w[prefix + "mlp.c_proj.weight"].T + w[prefix + "mlp.c_proj.bias"]
        block += 1
    return layer_norm(x[0], w["ln_post.weight"], w["ln_post.bias"], 1e-5) @ w["proj"]
