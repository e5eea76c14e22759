"""Wan2.1's VAE over the whole video at once, in float64 NumPy, by the names of its original checkpoint.

There are no chunks and no caches: causal convolutions see zeros before the first frame. What the chunks of the
original amount to is that the first frame goes through no temporal resampling.
"""

import numpy as np


def encode(weights, video):
    """Video (3 t h w) in [-1, 1] to the posterior's mean (16 f h/8 w/8), not normalised."""
    x = causal_conv(video, weights, "encoder.conv1")
    for index in sorted({int(name.split(".")[2]) for name in weights if name.startswith("encoder.downsamples.")}):
        name = f"encoder.downsamples.{index}"
        x = residual(x, weights, name) if f"{name}.residual.0.gamma" in weights else down(x, weights, name)
    x = head(middle(x, weights, "encoder"), weights, "encoder")
    return causal_conv(x, weights, "conv1")[: len(x) // 2]


def decode(weights, mean):
    """Mean (16 f h w) to video (3 4f-3 8h 8w), cut to [-1, 1]."""
    x = causal_conv(causal_conv(mean, weights, "conv2"), weights, "decoder.conv1")
    x = middle(x, weights, "decoder")
    for index in sorted({int(name.split(".")[2]) for name in weights if name.startswith("decoder.upsamples.")}):
        name = f"decoder.upsamples.{index}"
        x = residual(x, weights, name) if f"{name}.residual.0.gamma" in weights else up(x, weights, name)
    return head(x, weights, "decoder").clip(-1, 1)


def middle(x, weights, part):
    x = residual(x, weights, f"{part}.middle.0")
    x = attention(x, weights, f"{part}.middle.1")
    return residual(x, weights, f"{part}.middle.2")


def head(x, weights, part):
    return causal_conv(silu(norm(x, weights[f"{part}.head.0.gamma"])), weights, f"{part}.head.2")


def residual(x, weights, name):
    y = causal_conv(silu(norm(x, weights[f"{name}.residual.0.gamma"])), weights, f"{name}.residual.2")
    y = causal_conv(silu(norm(y, weights[f"{name}.residual.3.gamma"])), weights, f"{name}.residual.6")
    return y + (causal_conv(x, weights, f"{name}.shortcut") if f"{name}.shortcut.weight" in weights else x)


def down(x, weights, name):
    """Half the size; with a time_conv half the frames after the first, each from itself and the two before it."""
    padded = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)))
    x = conv(padded, weights[f"{name}.resample.1.weight"][:, :, None], weights[f"{name}.resample.1.bias"], (1, 2, 2))
    if f"{name}.time_conv.weight" not in weights or x.shape[1] == 1:
        return x
    rest = conv(x, weights[f"{name}.time_conv.weight"], weights[f"{name}.time_conv.bias"], (2, 1, 1))
    return np.concatenate([x[:, :1], rest], axis=1)


def up(x, weights, name):
    """Twice the size; with a time_conv two frames for each after the first, which these do not see."""
    if f"{name}.time_conv.weight" in weights and x.shape[1] > 1:
        rest = causal_conv(x[:, 1:], weights, f"{name}.time_conv")
        channels, frames = len(x), rest.shape[1]
        rest = rest.reshape(2, channels, frames, *rest.shape[2:]).transpose(1, 2, 0, 3, 4)
        x = np.concatenate([x[:, :1], rest.reshape(channels, 2 * frames, *x.shape[2:])], axis=1)
    x = np.pad(x.repeat(2, axis=2).repeat(2, axis=3), ((0, 0), (0, 0), (1, 1), (1, 1)))
    return conv(x, weights[f"{name}.resample.1.weight"][:, :, None], weights[f"{name}.resample.1.bias"])


def attention(x, weights, name):
    """One head over the pixels of each frame."""
    channels, frames, height, width = x.shape
    y = norm(x, weights[f"{name}.norm.gamma"].reshape(-1, 1, 1, 1)).transpose(1, 2, 3, 0).reshape(frames, -1, channels)
    qkv = y @ weights[f"{name}.to_qkv.weight"][:, :, 0, 0].T + weights[f"{name}.to_qkv.bias"]
    query, key, value = np.split(qkv, 3, axis=-1)
    logits = query @ key.transpose(0, 2, 1) / np.sqrt(channels)
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    y = shares / shares.sum(axis=-1, keepdims=True) @ value
    y = y @ weights[f"{name}.proj.weight"][:, :, 0, 0].T + weights[f"{name}.proj.bias"]
    return x + y.reshape(frames, height, width, channels).transpose(3, 0, 1, 2)


def norm(x, gamma):
    return x / np.linalg.norm(x, axis=0, keepdims=True).clip(1e-12) * np.sqrt(len(x)) * gamma


def silu(x):
    return x / (1 + np.exp(-x))


def causal_conv(x, weights, name):
    """Kernel k sees k - 1 frames before its own and the same number of pixels on each side; zeros outside."""
    kernel = weights[f"{name}.weight"]
    time, height, width = (size - 1 for size in kernel.shape[2:])
    padding = ((0, 0), (time, 0), (height // 2, height // 2), (width // 2, width // 2))
    return conv(np.pad(x, padding), kernel, weights[f"{name}.bias"])


def conv(x, kernel, bias, stride=(1, 1, 1)):
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(1, 2, 3))
    windows = windows[:, :: stride[0], :: stride[1], :: stride[2]]
    return np.einsum("cthwijk,ocijk->othw", windows, kernel, optimize=True) + bias.reshape(-1, 1, 1, 1)
