"""Primitive bodies about the origin of their own frame: triangle meshes, smooth normals, how they lie on the ground."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mvt4g.synthetic.object_specs import ShapeKind

RING = 32
"""Facets around a round shape: the outline stays within 0.5 % of the true one."""


@dataclass(frozen=True)
class Shape:
    """A primitive; round ones have their axis along z.

    Attributes:
        kind: Which primitive.
        half_sizes: Half extents along x, y, z; a cylinder's and a capsule's x and y are equal.
    """

    kind: ShapeKind
    half_sizes: tuple[float, float, float]

    @property
    def size(self) -> float:
        """Longest side."""
        return 2 * max(self.half_sizes)

    @property
    def bounding_radius(self) -> float:
        """Radius of a sphere about the origin that holds the shape."""
        return float(np.linalg.norm(self.half_sizes)) if self.kind != "ellipsoid" else max(self.half_sizes)


@dataclass(frozen=True)
class Mesh:
    """Triangles, outward by the right-hand rule.

    Attributes:
        vertices: In the frame they are given in.
        triangles: Vertex numbers.
    """

    vertices: Float[ndarray, "v 3"]
    triangles: Int[ndarray, "f 3"]


def draw_shape(rng: np.random.Generator, kind: ShapeKind, size: float) -> Shape:
    """Draw proportions for a primitive whose longest side is ``size``."""
    half = size / 2
    slim, slimmer = half * rng.uniform(0.55, 1.0, 2)
    if kind in ("cylinder", "capsule"):
        radius = slim if kind == "cylinder" else 0.6 * slim
        return Shape(kind, (float(radius), float(radius), half))
    return Shape(kind, (half, float(slim), float(slimmer)))


def draw_resting_rotation(rng: np.random.Generator, shape: Shape) -> tuple[Float[ndarray, "3 3"], float]:
    """Draw a rotation (world from object) in which the shape lies stably, and its centre's height above the ground.

    Boxes and ellipsoids lie on their longest face, cylinders stand or lie, capsules lie; all are turned about the
    vertical at random.
    """
    turn = rng.uniform(0, 2 * np.pi)
    lies = shape.kind == "capsule" or (shape.kind == "cylinder" and rng.uniform() < 0.5)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    if lies:
        return about_z @ np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]), shape.half_sizes[0]
    if shape.kind == "cylinder":
        return about_z, shape.half_sizes[2]
    down = int(np.argmin(shape.half_sizes))
    permutation = np.eye(3)[[(down + 1) % 3, (down + 2) % 3, down]]
    return about_z @ permutation, shape.half_sizes[down]


def mesh(shape: Shape) -> Mesh:
    """Triangulate a shape in its own frame."""
    half = np.asarray(shape.half_sizes)
    if shape.kind == "box":
        return _box(half)
    if shape.kind == "ellipsoid":
        elevation = np.linspace(-np.pi / 2, np.pi / 2, RING // 2 + 1)
        return _lathe(half[0] * np.cos(elevation), half[2] * np.sin(elevation), half[1] / half[0])
    if shape.kind == "cylinder":
        return _lathe(half[0] * np.array([0.0, 1, 1, 0]), half[2] * np.array([-1.0, -1, 1, 1]))
    elevation = np.linspace(-np.pi / 2, np.pi / 2, RING // 2 + 2)  # an even count: the equator falls in the tube
    tube = (half[2] - half[0]) * np.sign(elevation)
    return _lathe(half[0] * np.cos(elevation), half[0] * np.sin(elevation) + tube)


def smooth_normals(
    shape: Shape, points: Float[ndarray, "n 3"], facet_normals: Float[ndarray, "n 3"]
) -> Float[ndarray, "n 3"]:
    """Return unit normals of the true surface at points on its mesh, all in the shape's own frame.

    Facets would show as bands of shade on round shapes; boxes and a cylinder's caps keep their facets' normals.
    """
    half = np.asarray(shape.half_sizes, dtype=points.dtype)
    if shape.kind == "box":
        return facet_normals
    if shape.kind == "ellipsoid":
        normals = points / half**2
    elif shape.kind == "cylinder":
        side = np.abs(facet_normals[:, 2:]) < 0.5
        normals = np.where(side, points * np.array([1, 1, 0], dtype=points.dtype), facet_normals)
    else:
        reach = half[2] - half[0]
        normals = points.copy()
        normals[:, 2] -= np.clip(points[:, 2], -reach, reach)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def ground_mesh(radius: float) -> Mesh:
    """Return a square of the plane z = 0 that holds a disc of this radius."""
    corners = radius * np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]))


def _box(half: Float[ndarray, " 3"]) -> Mesh:
    corners = np.array([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)]) * half
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return Mesh(corners, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))


def _lathe(radii: Float[ndarray, " r"], heights: Float[ndarray, " r"], flatten: float = 1.0) -> Mesh:
    """Turn a profile, bottom to top and closed at both ends, about z; y is then scaled by ``flatten``."""
    angle = np.linspace(0, 2 * np.pi, RING, endpoint=False)
    rings = np.stack(np.broadcast_arrays(radii[:, None] * np.cos(angle), flatten * radii[:, None] * np.sin(angle)), -1)
    vertices = np.concatenate([rings, np.broadcast_to(heights[:, None, None], (len(radii), RING, 1))], axis=-1)
    here = np.arange(RING) + RING * np.arange(len(radii) - 1)[:, None]
    beside = (np.arange(RING) + 1) % RING + RING * np.arange(len(radii) - 1)[:, None]
    lower = np.stack([here, beside, beside + RING], axis=-1)
    upper = np.stack([here, beside + RING, here + RING], axis=-1)
    keep_lower, keep_upper = radii[:-1] > 1e-9, radii[1:] > 1e-9
    triangles = np.concatenate([lower[keep_lower].reshape(-1, 3), upper[keep_upper].reshape(-1, 3)])
    return Mesh(vertices.reshape(-1, 3), triangles)
