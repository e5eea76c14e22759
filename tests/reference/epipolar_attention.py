"""Slow twins of ``models/conditioning/epipolar.py`` and of attention with its bias: one token at a time."""

import math

import numpy as np

from tests.reference.synchronisation import sampson


def closeness(reference_pixel, target_pixel, intrinsics, cam_from_world, sigma_px) -> float:
    """Of a reference and a target pixel; cameras (2 ...) of one time, the reference first."""
    target_from_reference = cam_from_world[1] @ np.linalg.inv(cam_from_world[0])
    distance = sampson(reference_pixel, target_pixel, intrinsics[0], intrinsics[1], target_from_reference)
    return math.exp(-(distance**2) / (2 * sigma_px**2))


def biased_attention(query, key, value, bias):
    """Arrays (b f h w k d) and a bias (b k f h w n) towards frames of the other view -> (b f h w kd).

    Frames of one view, then of the other. n = cells of one frame, the own, or of several about it, in order.
    """
    batch, frames, rows, columns, heads, width = query.shape
    moments, reach = frames // 2, bias.shape[-1] // (rows * columns) // 2
    out = np.zeros((batch, frames, rows, columns, heads, width))
    for b, f, y, x, k in np.ndindex(batch, frames, rows, columns, heads):
        places = list(np.ndindex(frames, rows, columns))
        logits = []
        for g, row, column in places:
            logit = query[b, f, y, x, k] @ key[b, g, row, column, k] / math.sqrt(width)
            offset = g % moments - f % moments
            if g // moments != f // moments and abs(offset) <= reach:
                logit += bias[b, k, f, y, x, (offset + reach) * rows * columns + row * columns + column]
            logits.append(logit)
        weights = np.exp(np.array(logits) - max(logits))
        weights /= weights.sum()
        out[b, f, y, x, k] = sum(w * value[b, g, r, c, k] for w, (g, r, c) in zip(weights, places, strict=True))
    return out.reshape(batch, frames, rows, columns, heads * width)
