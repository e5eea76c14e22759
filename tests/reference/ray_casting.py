"""Twin of the renderer and of the visibility rules: float64 NumPy, every ray against every triangle that may be near.

No depth map, id map or normal map of ours goes in: only meshes, poses, cameras and points.
"""

from dataclasses import dataclass

import numpy as np

DOME_RADIUS = 40.0
CHUNK = 2_000_000


@dataclass(frozen=True)
class Body:
    """A closed mesh, outward by the right-hand rule, at one time; world frame."""

    vertices: np.ndarray
    triangles: np.ndarray

    def corners(self):
        return (self.vertices[self.triangles[:, corner]] for corner in range(3))

    def normals(self):
        first, second, third = self.corners()
        normals = np.cross(second - first, third - first)
        return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-300)


def cast(origins, directions, bodies):
    """Return how far rays (r 3) go, in lengths of their directions, and what they meet: 0 = ground or sky."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = -origins[:, 2] / directions[:, 2]
    ground[~(ground > 0)] = np.inf
    squared, along = (directions**2).sum(-1), (origins * directions).sum(-1)
    dome = (np.sqrt(along**2 + squared * (DOME_RADIUS**2 - (origins**2).sum(-1))) - along) / squared
    distance, met = np.minimum(ground, dome), np.zeros(len(origins), dtype=np.int64)
    for number, body in enumerate(bodies, start=1):
        reached = _cast_at(origins, directions, body)
        met[reached < distance] = number
        distance = np.minimum(distance, reached)
    return distance, met


def _cast_at(origins, directions, body):
    """Moeller and Trumbore's test, for the rays that come near the body."""
    centre = (body.vertices.min(axis=0) + body.vertices.max(axis=0)) / 2
    radius = np.linalg.norm(body.vertices - centre, axis=-1).max()
    to_centre = centre - origins
    nearest = (to_centre * directions).sum(-1) / (directions**2).sum(-1)
    near = np.flatnonzero(np.linalg.norm(to_centre - nearest[:, None] * directions, axis=-1) < radius * 1.001)
    distance = np.full(len(origins), np.inf)
    first, second, third = body.corners()
    side, other = second - first, third - first
    for start in range(0, len(near), max(1, CHUNK // len(first))):
        rays = near[start : start + max(1, CHUNK // len(first))]
        origin, direction = origins[rays, None], directions[rays, None]
        across = np.cross(direction, other)
        determinant = (side * across).sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = origin - first
            u = (offset * across).sum(-1) / determinant
            turned = np.cross(offset, side)
            v = (direction * turned).sum(-1) / determinant
            reach = (other * turned).sum(-1) / determinant
            hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (reach > 1e-9)
        distance[rays] = np.where(hit, reach, np.inf).min(axis=-1)
    return distance


def project(points, cam_from_world, intrinsics):
    """Return pixels and z-depths of points (n 3)."""
    own = points @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        image = own @ intrinsics.T
        return image[:, :2] / image[:, 2:], own[:, 2]


def outward(points, instance, bodies):
    """Return the normals of the facets that points lie on, by the nearest triangle of their body."""
    sky = np.linalg.norm(points, axis=-1) > DOME_RADIUS * (1 - 1e-4)
    normals = np.where(sky[:, None], -points / DOME_RADIUS, [0.0, 0, 1])
    for number in np.unique(instance[instance > 0]):
        on, body = np.flatnonzero(instance == number), bodies[number - 1]
        nearest = [np.argmin(_distance_to_triangles(point, *body.corners())) for point in points[on]]
        normals[on] = body.normals()[nearest]
    return normals


def visible(points, instance, normals, camera, image_size, bodies, tolerance=0.01):
    """Apply the five rules in one view at one time, with depths and ids of rays through the four pixels about a point.

    Args:
        points: World frame (n 3).
        instance: What each lies on (n).
        normals: Outward (n 3).
        camera: cam_from_world and K.
        image_size: Height and width.
        bodies: At this time.
        tolerance: Share of a point's depth.
    """
    (cam_from_world, intrinsics), (height, width) = camera, image_size
    rotation, translation = cam_from_world[:3, :3], cam_from_world[:3, 3]
    eye = -np.linalg.solve(rotation, translation)
    pixels, depth = project(points, cam_from_world, intrinsics)
    inside = (depth > 0) & (pixels >= 0).all(-1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    facing = ((eye - points) * normals).sum(-1) > 0
    seen = np.zeros(len(points), dtype=bool)
    number = np.flatnonzero(inside & facing)
    if not len(number):
        return seen, inside
    base = np.floor(pixels[number] - 0.5)
    around = (
        np.stack([base + np.array([x, y]) for x in (0, 1) for y in (0, 1)], axis=1).clip(0, [width - 1, height - 1])
        + 0.5
    )
    homogeneous = np.concatenate([around, np.ones((*around.shape[:2], 1))], axis=-1)
    rays = (np.linalg.inv(intrinsics) @ homogeneous.reshape(-1, 3).T).T @ np.linalg.inv(rotation).T
    reached, met = cast(np.broadcast_to(eye, rays.shape), rays, bodies)
    reached, met = reached.reshape(-1, 4), met.reshape(-1, 4)
    open_to_it = reached.max(axis=-1) >= (1 - tolerance) * depth[number]
    seen[number] = open_to_it & (met == instance[number, None]).any(axis=-1)
    return seen, inside


def unblocked(points, normals, eye, bodies, slack=1e-4):
    """Say which points nothing stands before and whose surface faces the eye: what the rules stand for."""
    towards = points - eye
    reached, _ = cast(np.broadcast_to(eye, points.shape), towards, bodies)
    return (reached > 1 - slack) & ((-towards * normals).sum(-1) > 0)


def _distance_to_triangles(point, first, second, third):
    """Return the distance of a point to every triangle.

    Source: Ericson, Real-Time Collision Detection, 2005, section 5.1: the plane's point if it lies within, else the
    nearest of the three sides.
    """
    normal = np.cross(second - first, third - first)
    length = np.linalg.norm(normal, axis=-1)
    height = ((point - first) * normal).sum(-1) / np.maximum(length, 1e-300)
    foot = point - (height / np.maximum(length, 1e-300))[:, None] * normal
    within = np.ones(len(first), dtype=bool)
    sides = []
    for start, end in ((first, second), (second, third), (third, first)):
        side = end - start
        within &= (np.cross(side, foot - start) * normal).sum(-1) >= 0
        share = (((point - start) * side).sum(-1) / np.maximum((side**2).sum(-1), 1e-300)).clip(0, 1)
        sides.append(np.linalg.norm(point - start - share[:, None] * side, axis=-1))
    return np.where(within, np.abs(height), np.minimum.reduce(sides))
