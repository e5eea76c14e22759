"""Bodies about the origin of their own frame: drawn proportions, triangle meshes, how they lie on the ground."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mvt4g.synthetic.meshes import read_mesh
from mvt4g.synthetic.object_specs import ShapeKind

RING = 32
"""Facets around a round shape: the outline stays within 0.5 % of the true one."""
TUBE_RING = 24
"""Facets around a torus' tube."""
TORUS_TUBE = (0.2, 0.4)
"""Radius of a torus' tube in outer radii."""
SUPERQUADRIC_EXPONENTS = (0.3, 1.4)
DUMBBELL_BAR = 0.45
"""Radius of the bar in radii of the balls."""
BRACKET_ARM = 0.35
"""Thickness of a bracket's two arms in its extents."""


@dataclass(frozen=True)
class Shape:
    """A primitive or a user's mesh; round ones have their axis along z, wedges and brackets are prisms along y.

    Attributes:
        kind: Which primitive.
        half_sizes: Half extents along x, y, z; equal in x and y but for box, ellipsoid, superquadric, wedge, bracket
            and mesh. A torus is as thick as it is high, a dumbbell's balls are as wide as it is.
        exponents: Of a superquadric, from pole to pole and around: 0 = square, 1 = round, 2 = a double wedge.
        path: File of a user's mesh.
    """

    kind: ShapeKind
    half_sizes: tuple[float, float, float]
    exponents: tuple[float, float] = (1.0, 1.0)
    path: str = ""

    @property
    def size(self) -> float:
        """Longest side."""
        return 2 * max(self.half_sizes)

    @property
    def bounding_radius(self) -> float:
        """Radius of a sphere about the origin that holds the shape."""
        # The corners of a box are farthest out; an ellipsoid has none.
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
    if kind in ("cylinder", "capsule", "cone", "dumbbell"):
        radius = 0.6 * slim if kind in ("capsule", "dumbbell") else slim
        return Shape(kind, (float(radius), float(radius), half))
    if kind == "torus":
        return Shape(kind, (half, half, half * float(rng.uniform(*TORUS_TUBE))))
    if kind == "superquadric":
        vertical, around = rng.uniform(*SUPERQUADRIC_EXPONENTS, 2)
        return Shape(kind, (half, float(slim), float(slimmer)), (float(vertical), float(around)))
    return Shape(kind, (half, float(slim), float(slimmer)))


def mesh_shape(path: str, size: float) -> Shape:
    """Return a user's mesh with its longest side at ``size``.

    Raises:
        InputError: If the file is no mesh.
    """
    x, y, z = (size * np.abs(read_mesh(path).vertices).max(axis=0)).tolist()
    return Shape("mesh", (x, y, z), path=path)


def draw_resting_rotation(rng: np.random.Generator, shape: Shape) -> tuple[Float[ndarray, "3 3"], float]:
    """Draw a rotation (world from object) in which the shape lies stably, and its centre's height above the ground.

    Boxes and ellipsoids lie on their longest face, cylinders stand or lie, capsules lie; all are turned about the
    vertical at random. Other kinds are dropped instead (see placing).
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
    if shape.kind in _OTHERS:
        return _OTHERS[shape.kind](shape)
    elevation = np.linspace(-np.pi / 2, np.pi / 2, RING // 2 + 2)  # an even count: the equator falls in the tube
    tube = (half[2] - half[0]) * np.sign(elevation)
    return _lathe(half[0] * np.cos(elevation), half[0] * np.sin(elevation) + tube)


def ground_mesh(radius: float) -> Mesh:
    """Return a square of the plane z = 0 that holds a disc of this radius."""
    corners = radius * np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]))


def _box(half: Float[ndarray, " 3"]) -> Mesh:
    signs = (-1.0, 1)
    corners = np.array([[x, y, z] for x in signs for y in signs for z in signs]) * half
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return Mesh(corners, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))


def _lathe(
    radii: Float[ndarray, " r"],
    heights: Float[ndarray, " r"],
    flatten: float = 1.0,
) -> Mesh:
    """Turn a profile, bottom to top and closed at both ends, about z; y is then scaled by ``flatten``."""
    angle = np.linspace(0, 2 * np.pi, RING, endpoint=False)
    across = radii[:, None] * np.cos(angle)
    along = flatten * radii[:, None] * np.sin(angle)
    up = np.broadcast_to(heights[:, None], across.shape)
    vertices = np.stack([across, along, up], axis=-1)
    return Mesh(vertices.reshape(-1, 3), _ring_triangles(radii))


def _ring_triangles(radii: Float[ndarray, " r"]) -> Int[ndarray, "f 3"]:
    """Join rings of RING vertices, bottom to top; rings of radius 0 are points."""
    here = np.arange(RING) + RING * np.arange(len(radii) - 1)[:, None]
    # The last vertex of a ring is beside the first.
    beside = (np.arange(RING) + 1) % RING + RING * np.arange(len(radii) - 1)[:, None]
    lower = np.stack([here, beside, beside + RING], axis=-1)
    upper = np.stack([here, beside + RING, here + RING], axis=-1)
    # Between a point and a ring there is one triangle a side, not two.
    lower = lower[radii[:-1] > 1e-9].reshape(-1, 3)
    upper = upper[radii[1:] > 1e-9].reshape(-1, 3)
    return np.concatenate([lower, upper])


def _superquadric(shape: Shape) -> Mesh:
    """Source: Barr, Superquadrics and angle-preserving transformations, 1981."""
    vertical, around = shape.exponents
    elevation = np.linspace(-np.pi / 2, np.pi / 2, RING // 2 + 1)
    angle = np.linspace(0, 2 * np.pi, RING, endpoint=False)
    radii = _power(np.cos(elevation), vertical)[:, None]
    radii[[0, -1]] = 0  # cos(pi / 2) is 6e-17, and no 0 to a power below 1
    heights = np.broadcast_to(_power(np.sin(elevation), vertical)[:, None], (len(radii), RING))
    across = radii * _power(np.cos(angle), around)
    along = radii * _power(np.sin(angle), around)
    ring = np.stack([across, along, heights], axis=-1)
    return Mesh(ring.reshape(-1, 3) * np.asarray(shape.half_sizes), _ring_triangles(radii[:, 0]))


def _cone(shape: Shape) -> Mesh:
    radius, _, half = shape.half_sizes
    return _lathe(radius * np.array([0.0, 1, 0]), half * np.array([-1.0, -1, 1]))


def _dumbbell(shape: Shape) -> Mesh:
    radius, _, half = shape.half_sizes
    neck = np.arcsin(DUMBBELL_BAR)  # where the bar leaves the ball
    turn = np.linspace(0, np.pi - neck, RING // 2)
    radii = radius * np.sin(turn)
    heights = (half - radius) + radius * np.cos(turn)
    # From the lower ball's pole to the bar, and the same backwards to the upper ball's.
    profile = np.concatenate([radii, radii[::-1]])
    return _lathe(profile, np.concatenate([-heights, heights[::-1]]))


def _torus(shape: Shape) -> Mesh:
    tube = shape.half_sizes[2]
    angle = np.linspace(0, 2 * np.pi, RING, endpoint=False)
    turn = np.linspace(0, 2 * np.pi, TUBE_RING + 1)  # from outside over the top; the last ring is the first again
    radii = (shape.half_sizes[0] - tube) + tube * np.cos(turn[:, None])
    heights = np.broadcast_to(tube * np.sin(turn[:, None]), (len(turn), RING))
    vertices = np.stack([radii * np.cos(angle), radii * np.sin(angle), heights], axis=-1)
    return Mesh(vertices.reshape(-1, 3), _ring_triangles(radii[:, 0]))


def _wedge(shape: Shape) -> Mesh:
    outline = np.array([[-1.0, -1], [1, -1], [-1, 1]])
    return _prism(outline, np.array([[0, 1, 2]]), shape)


def _bracket(shape: Shape) -> Mesh:
    arm = 2 * BRACKET_ARM - 1
    outline = np.array([[-1.0, -1], [1, -1], [1, arm], [arm, arm], [arm, 1], [-1, 1]])
    return _prism(outline, np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]]), shape)


def bracket_boxes(
    half_sizes: tuple[float, float, float],
) -> list[tuple[Float[ndarray, " 3"], Float[ndarray, " 3"]]]:
    """Return the lowest and highest corners of the two boxes that make up a bracket."""
    half = np.asarray(half_sizes)
    arm = 2 * BRACKET_ARM - 1
    lying = (half * [-1, -1, -1], half * [1, 1, arm])
    standing = (half * [-1, -1, arm], half * [arm, 1, 1])
    return [lying, standing]


def _prism(
    outline: Float[ndarray, "n 2"],
    cap: Int[ndarray, "f 3"],
    shape: Shape,
) -> Mesh:
    """Push an outline in x and z, counter-clockwise with x to the right and z up, along y from -1 to 1."""
    count = len(outline)
    near = np.insert(outline, 1, -1.0, axis=1)
    far = np.insert(outline, 1, 1.0, axis=1)
    here = np.arange(count)
    beside = (np.arange(count) + 1) % count
    lower = np.stack([here, beside + count, beside], -1)
    upper = np.stack([here, here + count, beside + count], -1)
    # The far cap is turned over, so that it too faces outward.
    triangles = np.concatenate([cap, cap[:, ::-1] + count, lower, upper])
    return Mesh(np.concatenate([near, far]) * np.asarray(shape.half_sizes), triangles)


def _user_mesh(shape: Shape) -> Mesh:
    unit = read_mesh(shape.path)
    return Mesh(shape.size * unit.vertices, unit.triangles)


def _power(values: Float[ndarray, " n"], exponent: float) -> Float[ndarray, " n"]:
    return np.sign(values) * np.abs(values) ** exponent


_OTHERS = {
    "superquadric": _superquadric,
    "cone": _cone,
    "dumbbell": _dumbbell,
    "torus": _torus,
    "wedge": _wedge,
    "bracket": _bracket,
    "mesh": _user_mesh,
}
