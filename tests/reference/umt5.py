"""UMT5's encoder in float64 NumPy, token by token, by the names of Wan's original checkpoint."""

import math

import numpy as np


def encode(weights, ids, num_heads):
    """Token ids (l) to their last hidden state (l d)."""
    x = weights["token_embedding.weight"][ids]
    for layer in range(1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))):
        block = {name.split(".", 2)[2]: w for name, w in weights.items() if name.startswith(f"blocks.{layer}.")}
        x = x + attention(norm(x, block["norm1.weight"]), block, num_heads)
        y = norm(x, block["norm2.weight"])
        gate, value = gelu(y @ block["ffn.gate.0.weight"].T), y @ block["ffn.fc1.weight"].T
        x = x + (gate * value) @ block["ffn.fc2.weight"].T
    return norm(x, weights["norm.weight"])


def attention(x, block, num_heads):
    """Unscaled dot products plus a bias that the block has for every bucket of distance and every head."""
    query, key, value = (x @ block[f"attn.{part}.weight"].T for part in "qkv")
    width, length, table = query.shape[1] // num_heads, len(x), block["pos_embedding.embedding.weight"]
    heads = []
    for head in range(num_heads):
        own = slice(head * width, (head + 1) * width)
        out = np.zeros((length, width))
        for i in range(length):
            bias = np.array([table[bucket(j - i, len(table)), head] for j in range(length)])
            logits = key[:, own] @ query[i, own] + bias
            shares = np.exp(logits - logits.max())
            out[i] = shares / shares.sum() @ value[:, own]
        heads.append(out)
    return np.concatenate(heads, axis=1) @ block["attn.o.weight"].T


def bucket(offset, num_buckets, max_distance=128):
    """Half of the buckets for each direction; of each half, half for single steps and half growing by a factor."""
    half = num_buckets // 2
    first = half if offset > 0 else 0
    distance, exact = abs(offset), half // 2
    if distance < exact:
        return first + distance
    steps = math.log(distance / exact) / math.log(max_distance / exact) * (half - exact)
    return first + min(exact + int(steps), half - 1)


def norm(x, weight):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * weight


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
