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
    low = body.vertices.min(axis=0)
    high = body.vertices.max(axis=0)
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
        cell = np.float32(2 * REACH / CELLS)
        axis = (np.arange(CELLS, dtype=np.float32) + 0.5) * cell - np.float32(REACH)
        for (middle, radius), rotation, position in zip(spheres, rotations, positions, strict=True):
            x, y, z = (position + rotation @ middle).tolist()
            # A body that is sunk into the ground still takes light, as one that lies on it.
            height = max(z, 0.3 * radius)
            reach = NEAR * radius
            rows = slice(*np.searchsorted(axis, [y - reach, y + reach]))
            columns = slice(*np.searchsorted(axis, [x - reach, x + reach]))
            squared = np.square(axis[rows] - y)[:, None] + np.square(axis[columns] - x) + height**2
            taken = (strength * height * radius**2) / (squared * np.sqrt(squared))
            self.map[rows, columns] *= 1 - np.minimum(taken, 0.95 * strength)

    def openness(self, points: Float[ndarray, "3 n"]) -> Float[ndarray, " n"]:
        """Return the map's values at ground points, bilinear; 1 beyond it."""
        scale = np.float32(CELLS / 2 / REACH)
        middle = np.float32(CELLS / 2 - 0.5)
        # Cut off before the last cell, which has no neighbour to go on to.
        x = np.clip(points[0] * scale + middle, 0, CELLS - 1.001)
        y = np.clip(points[1] * scale + middle, 0, CELLS - 1.001)
        column = x.astype(np.int32)
        row = y.astype(np.int32)
        x = x - column
        y = y - row
        cell = row * np.int32(CELLS) + column
        flat = self.map.ravel()
        upper = flat[cell] * (1 - x) + flat[cell + 1] * x
        lower = flat[cell + CELLS] * (1 - x) + flat[cell + CELLS + 1] * x
        return upper * (1 - y) + lower * y
