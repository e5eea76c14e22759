"""The surfaces of bodies: normals that are smooth but at creases, and how texture images lie on them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mvt4g.synthetic.shapes import Mesh

CREASE_DEG = 40.0
"""Facets that meet at a larger angle keep their edge; others are shaded as one."""
MAX_FAN = 64
"""Facets at one point up to which it is smoothed: the work grows with the square."""
WELD = 1e-5
"""Vertices this near in sizes of the mesh are one."""
BLEND = 0.08
"""The fourth power of a normal's share along an axis from which on the texture is also projected along that axis."""


@dataclass(frozen=True)
class Surfaces:
    """Of all bodies' triangles, one body after the other, in the bodies' own frames.

    Attributes:
        first_triangle: Number of each body's first.
        normals: Unit normals of the triangles' corners.
        uvs: Of the corners, in sides of the texture; 0 where a body has none.
        densities: Sides of the texture a unit of length; 0 where a body has no uvs.
    """

    first_triangle: Int[ndarray, " i"]
    normals: Float[ndarray, "f 3 3"]
    uvs: Float[ndarray, "f 3 2"]
    densities: Float[ndarray, " f"]

    @classmethod
    def of(cls, meshes: list[Mesh], uvs: list[Float[ndarray, "f 3 2"] | None]) -> "Surfaces":
        """String the bodies together; None = without uvs."""
        counts = [len(body.triangles) for body in meshes]
        normals = [np.zeros((0, 3, 3))]
        corners = [np.zeros((0, 3, 2))]
        densities = [np.zeros(0)]
        for body, own in zip(meshes, uvs, strict=True):
            corner_uvs = np.zeros((len(body.triangles), 3, 2)) if own is None else own
            normals.append(corner_normals(body))
            corners.append(corner_uvs)
            densities.append(_densities(body, corner_uvs))
        return cls(
            first_triangle=np.cumsum([0, *counts])[: len(counts)].astype(np.int32),
            normals=np.concatenate(normals).astype(np.float32),
            uvs=np.concatenate(corners).astype(np.float32),
            densities=np.concatenate(densities).astype(np.float32),
        )


def corner_normals(body: Mesh) -> Float[ndarray, "f 3 3"]:
    """Return unit normals of the triangles' corners: the mean of the facets there within CREASE_DEG of the own.

    Vertices of one place count as one; facets weigh as their areas.
    """
    corners = body.vertices[body.triangles]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facets = _unit(areas)
    order, first, fan = _fans(body)
    summed = np.repeat(areas, 3, axis=0)
    own_facet, own_corner, other_facet = _pairs(order, first, fan)
    # A pair of corners at one place counts where its facets meet flatly enough.
    cosine = np.einsum("pc,pc->p", facets[own_facet], facets[other_facet])
    near = cosine > np.cos(np.deg2rad(CREASE_DEG))
    for channel in range(3):
        weights = areas[other_facet[near], channel]
        summed[:, channel] += np.bincount(own_corner[near], weights, minlength=len(summed))
    return _unit(summed).reshape(-1, 3, 3)


def projection_weights(normals: Float[ndarray, "3 n"]) -> Float[ndarray, "3 n"]:
    """Return the share of each axis along which a texture is projected onto a surface; most points have one."""
    weights = np.maximum(np.square(np.square(normals)) - np.float32(BLEND), 0)
    return weights / weights.sum(axis=0)


def _fans(body: Mesh) -> tuple[Int[ndarray, " k"], Int[ndarray, " k"], Int[ndarray, " k"]]:
    """Return all corners ordered by the place they are at, where each one's place begins there, and how many are in."""
    low = body.vertices.min(axis=0)
    step = max(float(np.ptp(body.vertices, axis=0).max()) * WELD, 1e-12)
    cells = np.rint((body.vertices - low) / step).astype(np.int64)
    # Three numbers of 21 bits in one, so that places can be sorted.
    by_vertex = cells[:, 0] << 42 | cells[:, 1] << 21 | cells[:, 2]
    places = by_vertex[body.triangles.ravel()]
    order = np.argsort(places, kind="stable")
    sorted_places = places[order]
    begins = np.flatnonzero(np.concatenate([[True], sorted_places[1:] != sorted_places[:-1]]))
    counts = np.diff(np.append(begins, len(order)))
    return order, np.repeat(begins, counts), np.repeat(counts, counts)


def _pairs(
    order: Int[ndarray, " k"],
    first: Int[ndarray, " k"],
    fan: Int[ndarray, " k"],
) -> tuple[Int[ndarray, " p"], Int[ndarray, " p"], Int[ndarray, " p"]]:
    """Return facet and corner of one, and facet of the other, for every two corners of different facets at a place."""
    # Each corner is paired with all of its fan: ``within`` counts through the fan, corner after corner.
    reach = np.where(fan <= MAX_FAN, fan, 0)
    ends = np.cumsum(reach)
    within = np.arange(ends[-1]) - np.repeat(ends - reach, reach)
    own = np.repeat(order, reach)
    other = order[np.repeat(first, reach) + within]
    different = own // 3 != other // 3
    return own[different] // 3, own[different], other[different] // 3


def _densities(body: Mesh, uvs: Float[ndarray, "f 3 2"]) -> Float[ndarray, " f"]:
    corners = body.vertices[body.triangles]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    one = uvs[:, 1] - uvs[:, 0]
    two = uvs[:, 2] - uvs[:, 0]
    covered = np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0])
    return np.sqrt(covered / np.maximum(areas, 1e-12))


def _unit(vectors: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-20)
