import numpy as np
import pytest

from mvt4g.synthetic.shapes import Mesh, Shape, mesh
from mvt4g.synthetic.surfaces import Surfaces, corner_normals, projection_weights


def degrees(a, b):
    return np.rad2deg(np.arccos(np.clip((a * b).sum(axis=-1), -1, 1)))


def facet_normals(body):
    corners = body.vertices[body.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def test_a_ball_is_round():
    ball = mesh(Shape("ellipsoid", (0.5, 0.5, 0.5)))
    normals = corner_normals(ball)
    true = ball.vertices[ball.triangles] / 0.5
    assert degrees(normals, true).max() < 2.0  # facets weigh by area
    assert degrees(facet_normals(ball)[:, None], true).max() > 4  # negative control: its facets


@pytest.mark.parametrize("kind", ["box", "wedge", "bracket"])
def test_flat_faces_stay_flat(kind):
    body = mesh(Shape(kind, (0.5, 0.4, 0.3)))
    np.testing.assert_allclose(corner_normals(body), facet_normals(body)[:, None].repeat(3, axis=1), atol=1e-9)


def test_a_cylinder_is_round_about_its_side_and_sharp_at_its_rims():
    body = mesh(Shape("cylinder", (0.4, 0.4, 0.7)))
    normals, facets = corner_normals(body), facet_normals(body)
    side = np.abs(facets[:, 2]) < 0.5
    true = body.vertices[body.triangles][side] * [1, 1, 0] / 0.4
    assert degrees(normals[side], true).max() < 2.5  # facets weigh by area: two on one side, one on the other
    np.testing.assert_allclose(np.abs(normals[~side][..., 2]), 1, atol=1e-9)


def test_vertices_of_one_place_are_one():
    """Scanned meshes split vertices at seams of their texture: the shade must not show them."""
    ball = mesh(Shape("ellipsoid", (0.5, 0.5, 0.5)))
    split = Mesh(ball.vertices[ball.triangles].reshape(-1, 3), np.arange(3 * len(ball.triangles)).reshape(-1, 3))
    np.testing.assert_allclose(corner_normals(split), corner_normals(ball), atol=1e-9)


def test_degenerate_triangles_and_wide_fans_give_finite_normals():
    flat = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2], [0, 1, 3]]))
    assert np.isfinite(corner_normals(flat)).all()
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    rim = np.stack([np.cos(turn), np.sin(turn), np.zeros(200)], axis=-1)
    fan = np.stack([np.full(200, 200), np.arange(200), (np.arange(200) + 1) % 200], axis=-1)
    cone = Mesh(np.concatenate([rim, [[0.0, 0, 0.2]]]), fan)
    np.testing.assert_allclose(np.linalg.norm(corner_normals(cone), axis=-1), 1, atol=1e-9)


def test_bodies_are_strung_together():
    bodies = [mesh(Shape("box", (0.5, 0.5, 0.5))), mesh(Shape("wedge", (0.5, 0.5, 0.5)))]
    uvs = bodies[0].vertices[bodies[0].triangles][..., :2] * 2  # two sides of the texture a unit
    surfaces = Surfaces.of(bodies, [uvs, None])
    assert surfaces.first_triangle.tolist() == [0, 12]
    assert surfaces.normals.shape == (20, 3, 3)
    top = np.abs(facet_normals(bodies[0])[:, 2]) > 0.5
    np.testing.assert_allclose(surfaces.densities[:12][top], 2, rtol=1e-6)
    assert not surfaces.densities[12:].any()
    assert Surfaces.of([], []).normals.shape == (0, 3, 3)


def test_projection_weights():
    normals = np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=0)
    weights = projection_weights(normals)
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-5)
    assert 1.0 < (weights > 0).sum(axis=0).mean() < 1.7
    np.testing.assert_allclose(projection_weights(np.eye(3, dtype=np.float32)), np.eye(3), atol=1e-6)
