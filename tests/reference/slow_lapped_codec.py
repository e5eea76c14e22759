"""The lapped transform pixel by pixel: mirrored pairs about each border, then the cosine sums of each block."""

import math

import numpy as np
import torch
from torch import Tensor

from mvt4g.models.codec import DEVIATIONS, YCBCR_FROM_RGB, coefficient_order


def encode(video: Tensor, block: int, keep: int) -> Tensor:
    """Return latents (d t h w) of a video (t 3 H W)."""
    frames, _, height, width = video.shape
    latents = np.zeros((keep, frames, height // block, width // block))
    for frame in range(frames):
        planes = np.einsum("dc,chw->dhw", np.array(YCBCR_FROM_RGB), 2 * video[frame].double().numpy() - 1)
        planes = np.array([lapped(lapped(plane, block).T, block).T for plane in planes])
        for channel, index in enumerate(coefficient_order(block)[:keep]):
            plane, v, u = index // block**2, index // block % block, index % block
            for row in range(height // block):
                for column in range(width // block):
                    pixels = planes[plane, row * block : (row + 1) * block, column * block : (column + 1) * block]
                    latents[channel, frame, row, column] = coefficient(pixels, v, u)
    return torch.from_numpy(latents / scale_of(block, keep)).float()


def scale_of(block: int, keep: int) -> float:
    """Return what latents are divided by: the deviation of as many of the table's coefficients a pixel, times 1.1."""
    known = [deviation for plane in DEVIATIONS for deviation in plane]
    kept = [known[index] for index in coefficient_order(4)[: max(1, round(keep * 16 / block**2))]]
    return 1.1 * math.sqrt(sum(deviation**2 for deviation in kept) / len(kept))


def lapped(plane: np.ndarray, block: int) -> np.ndarray:
    """Filter every row about every inner border."""
    half, out = block // 2, plane.copy()
    for border in range(block, plane.shape[1], block):
        for row in range(plane.shape[0]):
            left = [plane[row, border - 1 - i] for i in range(half)]  # outwards from the border
            right = [plane[row, border + i] for i in range(half)]
            half_sum = [(a + b) / 2 for a, b in zip(left, right, strict=True)]
            turned = turn([(b - a) / 2 for a, b in zip(left, right, strict=True)])
            for i in range(half):
                out[row, border - 1 - i] = half_sum[i] - turned[i]
                out[row, border + i] = half_sum[i] + turned[i]
    return out


def turn(step: list[float]) -> list[float]:
    """Turn half differences: DCT-IV from the outside in, the first one times sqrt(2), and back by a DCT-II."""
    n = len(step)
    inwards = step[::-1]
    spectrum = [
        math.sqrt(2 / n) * sum(inwards[x] * math.cos(math.pi * (k + 0.5) * (x + 0.5) / n) for x in range(n))
        for k in range(n)
    ]
    spectrum[0] *= math.sqrt(2)
    back = [
        sum((math.sqrt(1 / n) if k == 0 else math.sqrt(2 / n)) * spectrum[k] * math.cos(math.pi * k * (x + 0.5) / n)
            for k in range(n))
        for x in range(n)
    ]  # fmt: skip
    return back[::-1]


def coefficient(pixels: np.ndarray, v: int, u: int) -> float:
    """Return one coefficient of the orthonormal cosine transform, term by term."""
    size = len(pixels)
    factor = [math.sqrt(1 / size)] + [math.sqrt(2 / size)] * (size - 1)
    return factor[v] * factor[u] * sum(
        pixels[y, x] * math.cos(math.pi * (y + 0.5) * v / size) * math.cos(math.pi * (x + 0.5) * u / size)
        for y in range(size) for x in range(size)
    )  # fmt: skip
