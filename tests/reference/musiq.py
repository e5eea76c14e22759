"""A slow MUSIQ from the paper and google-research's description: channels last, fp64, loops, padded and masked.

Weights come by pyiqa's names, as arrays in torch's layout.
"""

import math

import numpy as np


def same_pad(image: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """TensorFlow's SAME: (h, w, c) padded with zeros so that ceil(side / stride) windows fit."""
    margins = []
    for side in image.shape[:2]:
        total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        margins.append((total // 2, total - total // 2))
    return np.pad(image, [*margins, (0, 0)])


def cubic(x: float, a: float = -0.75) -> float:
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resize_axis(image: np.ndarray, target: int, how: str) -> np.ndarray:
    """Resize the first axis, one output row after the other."""
    source = len(image)
    rows = []
    for i in range(target):
        centre = (i + 0.5) * source / target - 0.5
        row, total = np.zeros(image.shape[1:]), 0.0
        if how == "bicubic":  # the border repeats
            for j in range(math.floor(centre) - 1, math.floor(centre) + 3):
                row += cubic(centre - j) * image[min(max(j, 0), source - 1)]
            total = 1.0
        else:  # what lies outside does not count
            for j in range(source):
                if abs(j - centre) < 1.5:
                    weight = math.exp(-((j - centre) ** 2) / (2 * 0.5**2))
                    row, total = row + weight * image[j], total + weight
        rows.append(row / total)
    return np.array(rows)


def resize(image: np.ndarray, height: int, width: int, how: str) -> np.ndarray:
    tall = resize_axis(image, height, how)
    return resize_axis(tall.transpose(1, 0, 2), width, how).transpose(1, 0, 2)


def tokens_of(image: np.ndarray, patch: int, grid: int, longer_sides: tuple[int, ...], how: str):
    """Patches, places, scales and mask of one image (h, w, 3) in [-1, 1], resized scales padded to their most."""
    height, width, _ = image.shape
    patches, places, scales, mask = [], [], [], []
    for scale, longer in enumerate([*longer_sides, None]):
        if longer is None:
            seen, most = image, None
        else:
            ratio = longer / max(height, width)
            seen = resize(image, round(height * ratio), round(width * ratio), how)
            most = math.ceil(longer / patch) ** 2
        seen = same_pad(seen, patch, patch)
        rows, columns = seen.shape[0] // patch, seen.shape[1] // patch
        count = 0
        for r in range(rows):
            for k in range(columns):
                patches.append(seen[r * patch : (r + 1) * patch, k * patch : (k + 1) * patch])
                places.append(math.floor(r * grid / rows) * grid + math.floor(k * grid / columns))
                scales.append(scale)
                mask.append(1)
                count += 1
        while most is not None and count < most:
            patches.append(np.zeros((patch, patch, 3)))
            places.append(0)
            scales.append(0)
            mask.append(0)
            count += 1
    return np.array(patches), np.array(places), np.array(scales), np.array(mask)


def conv(image: np.ndarray, weight: np.ndarray, stride: int, biased: bool) -> np.ndarray:
    """Standardised convolution of (h, w, c) by (d, c, y, x)."""
    flat = weight.reshape(len(weight), -1)
    std = flat.std(axis=1, ddof=0 if biased else 1)
    flat = (flat - flat.mean(axis=1, keepdims=True)) / (std[:, None] + 1e-5)
    kernel = weight.shape[-1]
    padded = same_pad(image, kernel, stride)
    rows, columns = math.ceil(image.shape[0] / stride), math.ceil(image.shape[1] / stride)
    out = np.zeros((rows, columns, len(weight)))
    for r in range(rows):
        for k in range(columns):
            window = padded[r * stride : r * stride + kernel, k * stride : k * stride + kernel]
            out[r, k] = flat @ window.transpose(2, 0, 1).ravel()
    return out


def max_pool(image: np.ndarray) -> np.ndarray:
    """3x3, stride 2, SAME; of values that are not negative."""
    padded = same_pad(image, 3, 2)
    rows, columns = math.ceil(image.shape[0] / 2), math.ceil(image.shape[1] / 2)
    out = [[padded[2 * r : 2 * r + 3, 2 * k : 2 * k + 3].max(axis=(0, 1)) for k in range(columns)] for r in range(rows)]
    return np.array(out)


def group_norm(image: np.ndarray, weight: np.ndarray, bias: np.ndarray, groups: int, eps: float) -> np.ndarray:
    out = np.empty_like(image)
    size = image.shape[-1] // groups
    for g in range(groups):
        part = image[..., g * size : (g + 1) * size]
        out[..., g * size : (g + 1) * size] = (part - part.mean()) / np.sqrt(part.var() + eps)
    return out * weight + bias


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * weight + bias


def gelu(x: np.ndarray, how: str) -> np.ndarray:
    if how == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def stem(patch: np.ndarray, w: dict, groups: int, biased: bool) -> np.ndarray:
    def norm(x, name, eps=1e-4):
        return group_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], groups, eps)

    x = np.maximum(norm(conv(patch, w["conv_root.weight"], 2, biased), "gn_root", 1e-6), 0)
    x = max_pool(x)
    y = np.maximum(norm(conv(x, w["block1.conv1.weight"], 1, biased), "block1.gn1"), 0)
    y = np.maximum(norm(conv(y, w["block1.conv2.weight"], 1, biased), "block1.gn2"), 0)
    y = norm(conv(y, w["block1.conv3.weight"], 1, biased), "block1.gn3")
    y = np.maximum(y + norm(conv(x, w["block1.conv_proj.weight"], 1, biased), "block1.gn_proj"), 0)
    return w["embedding.weight"] @ y.ravel() + w["embedding.bias"]


def attention(x: np.ndarray, w: dict, at: str, heads: int, mask: np.ndarray) -> np.ndarray:
    q, k, v = (x @ w[f"{at}{name}.weight"].T + w[f"{at}{name}.bias"] for name in ("query", "key", "value"))
    size = x.shape[1] // heads
    out = np.zeros_like(x)
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        logits = q[:, part] @ k[:, part].T / math.sqrt(size)
        logits = np.where((mask[:, None] * mask[None, :]) == 0, -1e3, logits)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        out[:, part] = weights / weights.sum(axis=1, keepdims=True) @ v[:, part]
    return out @ w[f"{at}out.weight"].T + w[f"{at}out.bias"]


def score(
    image: np.ndarray, w: dict, *, patch, grid, longer_sides, how, groups, layers, heads, biased, gelu_rule, masked=True
):
    """Opinion of one image (h, w, 3) in [0, 1]; ``masked=False`` lets padding be read, which is wrong."""
    patches, places, scales, mask = tokens_of(2 * image - 1, patch, grid, longer_sides, how)
    x = np.array([stem(one, w, groups, biased) for one in patches])
    te = "transformer_encoder."
    x = x + w[te + "posembed_input.position_emb"][0][places] + w[te + "scaleembed_input.scale_emb"][0][scales]
    x = np.concatenate([w[te + "cls"][0], x])
    mask = np.concatenate([[1], mask if masked else np.ones_like(mask)])
    for layer in range(layers):
        at = f"{te}transformer.encoderblock_{layer}."
        y = layer_norm(x, w[at + "norm1.weight"], w[at + "norm1.bias"])
        x = x + attention(y, w, at + "attention.", heads, mask)
        y = layer_norm(x, w[at + "norm2.weight"], w[at + "norm2.bias"])
        y = gelu(y @ w[at + "mlp.fc1.weight"].T + w[at + "mlp.fc1.bias"], gelu_rule)
        x = x + y @ w[at + "mlp.fc2.weight"].T + w[at + "mlp.fc2.bias"]
    x = layer_norm(x, w[te + "encoder_norm.weight"], w[te + "encoder_norm.bias"])
    return float(w["head.weight"][0] @ x[0] + w["head.bias"][0])
