"""How much of the sky's light the ground loses to bodies that stand on it or hang above it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mvt4g.synthetic.shapes import Mesh

REACH = 10.0
"""Half side of the square about the centre in which it is reckoned, units."""
CELLS = 128
NEAR = 6.0
"""Radii of a body within which it takes light."""


def body_sphere(body: Mesh) -> tuple[Float[ndarray, " 3"], float]:
    """Return the middle, in the body's frame, and the radius of a sphere about as large as the body's bounding box."""
    low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
    return (low + high) / 2, float(np.cbrt(((high - low) / 2).prod()))


class GroundContact:
    """A map of the ground's openness at one time.

    Every body counts as a sphere. One of radius r in direction d, at height h and
    distance D, takes h/D (r/D)^2 of the light that an open floor gets.

    Source: Quilez, Sphere ambient occlusion, 2006.
    """

    def __init__(
        self,
        spheres: Sequence[tuple[Float[ndarray, " 3"], float]],
        rotations: Float[ndarray, "i 3 3"],
        positions: Float[ndarray, "i 3"],
        strength: float,
    ) -> None:
        """Reckon the map; ``strength`` 0 = none of it, 1 = all; ``spheres`` as ``body_sphere`` gives them."""
        self.map = np.ones((CELLS, CELLS), dtype=np.float32)
        axis = (np.arange(CELLS, dtype=np.float32) + 0.5) * np.float32(2 * REACH / CELLS) - np.float32(REACH)
        for (middle, radius), rotation, position in zip(spheres, rotations, positions, strict=True):
            x, y, z = (position + rotation @ middle).tolist()
            height, reach = max(z, 0.3 * radius), NEAR * radius
            rows, columns = (slice(*np.searchsorted(axis, [k - reach, k + reach])) for k in (y, x))
            squared = np.square(axis[rows] - y)[:, None] + np.square(axis[columns] - x) + height**2
            taken = (strength * height * radius**2) / (squared * np.sqrt(squared))
            self.map[rows, columns] *= 1 - np.minimum(taken, 0.95 * strength)

    def openness(self, points: Float[ndarray, "3 n"]) -> Float[ndarray, " n"]:
        """Return the map's values at ground points, bilinear; 1 beyond it."""
        scale = np.float32(CELLS / 2 / REACH)
        x, y = (np.clip(points[k] * scale + np.float32(CELLS / 2 - 0.5), 0, CELLS - 1.001) for k in (0, 1))
        column, row = x.astype(np.int32), y.astype(np.int32)
        x, y = x - column, y - row
        cell, flat = row * np.int32(CELLS) + column, self.map.ravel()
        upper = flat[cell] * (1 - x) + flat[cell + 1] * x
        lower = flat[cell + CELLS] * (1 - x) + flat[cell + CELLS + 1] * x
        return upper * (1 - y) + lower * y
