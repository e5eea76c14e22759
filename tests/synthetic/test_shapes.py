import math

import numpy as np
import pytest

from mvt4g.synthetic.normals import smooth_normals
from mvt4g.synthetic.shapes import Shape, draw_resting_rotation, draw_shape, ground_mesh, mesh

VOLUMES = {
    Shape("box", (1.0, 0.5, 0.25)): 8 * 0.125,
    Shape("ellipsoid", (1.0, 0.5, 0.25)): 4 / 3 * math.pi * 0.125,
    Shape("cylinder", (0.5, 0.5, 1.0)): math.pi * 0.25 * 2,
    Shape("capsule", (0.5, 0.5, 1.0)): math.pi * 0.25 * 1 + 4 / 3 * math.pi * 0.125,
    Shape("superquadric", (1.0, 0.5, 0.25)): 4 / 3 * math.pi * 0.125,
    Shape("superquadric", (1.0, 0.5, 0.25), (2.0, 2.0)): 4 / 3 * 0.125,  # an octahedron
    Shape("superquadric", (1.0, 0.5, 0.25), (0.5, 0.5)): 0.8102,  # Barr's formula, by the Beta function
    Shape("cone", (0.5, 0.5, 1.0)): math.pi * 0.25 * 2 / 3,
    Shape("wedge", (1.0, 0.5, 0.25)): 4 * 0.125,
    Shape("torus", (1.0, 1.0, 0.25)): 2 * math.pi**2 * 0.75 * 0.0625,
    Shape("bracket", (1.0, 0.5, 0.25)): 8 * 0.125 * (0.35 + 0.65 * 0.35),
}
KINDS = ("box", "ellipsoid", "cylinder", "capsule")


def facets(body):
    corners = body.vertices[body.triangles]
    return corners, np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


@pytest.mark.parametrize("shape", VOLUMES, ids=lambda shape: shape.kind)
def test_mesh_is_closed_outward_and_of_the_known_volume(shape):
    corners, normals = facets(mesh(shape))
    if shape.kind not in ("torus", "bracket"):  # seen from the centre, all faces of the others face away
        assert ((normals * corners.mean(axis=1)).sum(-1) > -1e-12).all()
    np.testing.assert_allclose(normals.sum(axis=0), 0, atol=1e-9)  # a closed surface's area vectors cancel
    volume = (corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(VOLUMES[shape], rel=0.02)
    np.testing.assert_allclose(np.abs(mesh(shape).vertices).max(axis=0), shape.half_sizes, rtol=0.01)
    assert np.linalg.norm(mesh(shape).vertices, axis=-1).max() <= shape.bounding_radius + 1e-9


@pytest.mark.parametrize("shape", VOLUMES, ids=lambda shape: shape.kind)
def test_smooth_normals_are_near_the_facets(shape):
    corners, normals = facets(mesh(shape))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    smooth = smooth_normals(shape, corners.mean(axis=1), normals)
    np.testing.assert_allclose(np.linalg.norm(smooth, axis=-1), 1, atol=1e-9)
    assert (smooth * normals).sum(-1).min() > 0.9


def test_smooth_normal_of_an_ellipsoid_by_hand():
    shape = Shape("ellipsoid", (2.0, 1.0, 1.0))
    point = np.array([[np.sqrt(2), np.sqrt(0.5), 0.0]])  # gradient (x/4, y, 0) is along (1, 2, 0)
    expected = np.array([[1, 2, 0]]) / np.sqrt(5)
    np.testing.assert_allclose(smooth_normals(shape, point, expected), expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_resting_bodies_touch_the_ground_and_lie_low(kind):
    rng = np.random.default_rng(0)
    for _ in range(20):
        shape = draw_shape(rng, kind, 1.5)
        rotation, height = draw_resting_rotation(rng, shape)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        lowest = (mesh(shape).vertices @ rotation.T)[:, 2].min()
        assert lowest == pytest.approx(-height, rel=0.01)
        assert shape.size == pytest.approx(1.5)


def test_ground_faces_up():
    _, normals = facets(ground_mesh(3.0))
    assert (normals[:, 2] > 0).all()
    assert normals[:, 2].sum() / 2 == pytest.approx(36)
