"""Normals of the true surface at points of a mesh: facets would show as bands of shade on round shapes."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mvt4g.synthetic.shapes import DUMBBELL_BAR, Shape

LEAST = 1e-6
"""Keeps powers of coordinates finite where a superquadric has an edge."""


def smooth_normals(
    shape: Shape,
    points: Float[ndarray, "n 3"],
    facet_normals: Float[ndarray, "n 3"],
) -> Float[ndarray, "n 3"]:
    """Return unit normals of the true surface at points on its mesh, all in the shape's own frame.

    Shapes of flat faces, a cylinder's and a cone's caps and users' meshes keep their facets' normals.
    """
    half = np.asarray(shape.half_sizes, dtype=points.dtype)
    if shape.kind in ("box", "wedge", "bracket", "mesh"):
        return facet_normals
    if shape.kind == "ellipsoid":
        normals = points / half**2
    elif shape.kind == "cylinder":
        side = np.abs(facet_normals[:, 2:]) < 0.5
        normals = np.where(side, points * np.array([1, 1, 0], dtype=points.dtype), facet_normals)
    elif shape.kind == "cone":
        normals = _cone(half, points, facet_normals)
    elif shape.kind == "torus":
        middle = points * np.array([1, 1, 0], dtype=points.dtype)
        distance = np.maximum(np.linalg.norm(middle, axis=-1, keepdims=True), LEAST)
        # From the nearest point of the ring's middle line, at the distance half[0] - half[2].
        normals = points - (half[0] - half[2]) * middle / distance
    elif shape.kind == "dumbbell":
        normals = _dumbbell(half, points)
    elif shape.kind == "superquadric":
        # A normal is a gradient: stretching the axes by half divides it by half.
        normals = _superquadric(shape, points / half) / half
    else:
        # A capsule: from the nearest point of its axis.
        reach = half[2] - half[0]
        normals = points.copy()
        normals[:, 2] -= np.clip(points[:, 2], -reach, reach)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def _cone(
    half: Float[ndarray, " 3"],
    points: Float[ndarray, "n 3"],
    facet_normals: Float[ndarray, "n 3"],
) -> Float[ndarray, "n 3"]:
    across = np.linalg.norm(points[:, :2], axis=-1, keepdims=True)
    slope = across * half[0] / (2 * half[2])
    outward = np.concatenate([points[:, :2], slope], axis=-1)
    # The base looks down, and the tip has no direction of its own.
    flat = (facet_normals[:, 2:] < -0.99) | (across < LEAST)
    return np.where(flat, facet_normals, outward)


def _dumbbell(half: Float[ndarray, " 3"], points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """Bar or ball: the bar's points are nearer to the middle than where it enters the balls."""
    radius = half[0]
    reach = half[2] - half[0]
    normals = points.copy()
    bar = np.abs(points[:, 2]) < reach - radius * np.sqrt(1 - DUMBBELL_BAR**2)
    normals[:, 2] = np.where(bar, 0, points[:, 2] - reach * np.sign(points[:, 2]))
    return normals


def _superquadric(shape: Shape, unit: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """Return the gradient of ((|x|^p + |y|^p)^(p'/p) + |z|^p'), p = 2 / around, p' = 2 / vertical, in half sizes."""
    vertical, around = (unit.dtype.type(2 / exponent) for exponent in shape.exponents)
    size = np.maximum(np.abs(unit), LEAST)
    ring = size[:, 0] ** around + size[:, 1] ** around
    powers = np.array([around - 1, around - 1, vertical - 1], dtype=unit.dtype)
    gradient = size**powers * np.sign(unit)
    gradient[:, :2] *= (ring ** (vertical / around - 1))[:, None]
    return gradient
