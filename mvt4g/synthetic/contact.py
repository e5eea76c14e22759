"""How much of the sky's light the ground loses to bodies that stand on it or hang above it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mvt4g.synthetic.shapes import Mesh

REACH = 10.0
"""Half side of the square about the centre in which it is reckoned, units."""
CELLS = 128
NEAR = 4.0
"""Radii of a body within which it takes light."""


class GroundContact:
    """A map of the ground's openness at one time.

    Every body counts as a sphere as large as its bounding box. A sphere of radius r in direction d, at height h and
    distance D, takes h/D (r/D)^2 of the light that an open floor gets.

    Source: Quilez, Sphere ambient occlusion, 2006.
    """

    def __init__(
        self,
        meshes: Sequence[Mesh],
        rotations: Float[ndarray, "i 3 3"],
        positions: Float[ndarray, "i 3"],
        strength: float,
    ) -> None:
        """Reckon the map; ``strength`` 0 = none of it, 1 = all."""
        self.map = np.ones((CELLS, CELLS), dtype=np.float32)
        axis = (np.arange(CELLS, dtype=np.float32) + 0.5) * np.float32(2 * REACH / CELLS) - np.float32(REACH)
        for body, rotation, position in zip(meshes, rotations, positions, strict=True):
            corners = body.vertices @ rotation.T
            half = np.ptp(corners, axis=0) / 2
            middle = position + (corners.min(axis=0) + corners.max(axis=0)) / 2
            radius = float(np.cbrt(max(half.prod(), 0)))
            rows, columns = (
                slice(*np.searchsorted(axis, [middle[k] - NEAR * radius, middle[k] + NEAR * radius])) for k in (1, 0)
            )
            squared = np.square(axis[rows] - middle[1])[:, None] + np.square(axis[columns] - middle[0])
            squared += max(middle[2], 0.3 * radius) ** 2
            taken = radius**2 * max(middle[2], 0.3 * radius) / squared**1.5
            self.map[rows, columns] *= 1 - np.float32(strength) * np.clip(taken, 0, 0.95)

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
