"""A slow twin of ``Atlas.light``: one look-up at a time, floats, no packing."""

import numpy as np


def slow_light(image, u, v, footprint):
    """Halve ``image`` (s s 3) until its texels are nearest to the footprint, then mix the four texels about (u, v)."""
    level = int(np.clip(np.floor(np.log2(max(footprint * len(image), 1e-9)) + 0.5), 0, np.log2(len(image))))
    for _ in range(level):
        image = image.reshape(len(image) // 2, 2, len(image) // 2, 2, 3).mean(axis=(1, 3))
    side = len(image)
    x, y = u * side - 0.5, v * side - 0.5
    colour = np.zeros(3)
    for row in (int(np.floor(y)), int(np.floor(y)) + 1):
        for column in (int(np.floor(x)), int(np.floor(x)) + 1):
            colour += (1 - abs(y - row)) * (1 - abs(x - column)) * image[row % side, column % side]
    return colour**2
