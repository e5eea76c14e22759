"""What bodies collide as: convex pieces in a body's own frame, primitives where there are any."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mvt4g.synthetic.meshes import hull_points, read_mesh
from mvt4g.synthetic.shapes import DUMBBELL_BAR, Shape, bracket_boxes, mesh

TORUS_PIECES = 12


@dataclass(frozen=True)
class Collider:
    """A convex piece of a body.

    Attributes:
        kind: Which primitive, its axis along z if it has one; a hull is that of its points.
        sizes: Half extents (box, ellipsoid), radius and half height of the straight part (cylinder, capsule).
        centre: In the body's frame.
        ends: End points of a capsule's axis, in place of ``centre`` and its half height.
        points: Of a hull, in the body's frame.
    """

    kind: Literal["box", "ellipsoid", "cylinder", "capsule", "hull"]
    sizes: tuple[float, ...] = ()
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ends: tuple[float, ...] = ()
    points: Float[ndarray, "p 3"] | None = None


def colliders(shape: Shape) -> list[Collider]:
    """Return the pieces whose union a shape collides as; a user's mesh collides as its convex hull."""
    if shape.kind in _PIECES:
        return _PIECES[shape.kind](shape)
    if shape.kind == "mesh":
        return [Collider("hull", points=shape.size * hull_points(read_mesh(shape.path)))]
    return [Collider("hull", points=mesh(shape).vertices)]


def _box(shape: Shape) -> list[Collider]:
    return [Collider("box", shape.half_sizes)]


def _ellipsoid(shape: Shape) -> list[Collider]:
    return [Collider("ellipsoid", shape.half_sizes)]


def _cylinder(shape: Shape) -> list[Collider]:
    return [Collider("cylinder", (shape.half_sizes[0], shape.half_sizes[2]))]


def _capsule(shape: Shape) -> list[Collider]:
    radius = shape.half_sizes[0]
    return [Collider("capsule", (radius, shape.half_sizes[2] - radius))]


def _dumbbell(shape: Shape) -> list[Collider]:
    radius = shape.half_sizes[0]
    reach = shape.half_sizes[2] - radius
    balls = [Collider("ellipsoid", (radius,) * 3, (0.0, 0.0, side * reach)) for side in (-1.0, 1.0)]
    return [*balls, Collider("cylinder", (DUMBBELL_BAR * radius, reach))]


def _bracket(shape: Shape) -> list[Collider]:
    boxes = []
    for low, high in bracket_boxes(shape.half_sizes):
        boxes.append(Collider("box", _triple((high - low) / 2), _triple((high + low) / 2)))
    return boxes


def _torus(shape: Shape) -> list[Collider]:
    """Return a chain of capsules; its corners lie as far outside the ring as the middles of its links lie inside."""
    tube = shape.half_sizes[2]
    ring = shape.half_sizes[0] - tube
    angles = np.linspace(0, 2 * np.pi, TORUS_PIECES + 1)
    corner = 2 * ring / (1 + np.cos(np.pi / TORUS_PIECES))
    corners = corner * np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=-1)
    links = zip(corners[:-1].tolist(), corners[1:].tolist(), strict=True)
    return [Collider("capsule", (tube,), ends=(*start, *end)) for start, end in links]


def _triple(values: Float[ndarray, " 3"]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


_PIECES = {
    "box": _box,
    "ellipsoid": _ellipsoid,
    "cylinder": _cylinder,
    "capsule": _capsule,
    "dumbbell": _dumbbell,
    "bracket": _bracket,
    "torus": _torus,
}
