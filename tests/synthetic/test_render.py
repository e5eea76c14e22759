import numpy as np

from mvt4g.synthetic.render import RayCaster
from mvt4g.synthetic.shapes import Shape, mesh

BOX = mesh(Shape("box", (0.5, 0.5, 0.5)))
TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


def rays(*pairs):
    return np.array([[*origin, *direction] for origin, direction in pairs], dtype=np.float32)


def test_rays_meet_bodies_ground_and_nothing():
    caster = RayCaster([BOX, BOX], np.stack([np.eye(3), TURN]), np.array([[0.0, 0, 1], [5, 0, 1]]))
    down, up = [0, 0, -1], [0, 0, 1]
    hits = caster.cast(rays(([0, 0, 9], down), ([5, 0.1, 9], [0, 0, -2]), ([2, 0, 3], down), ([2, 0, 3], up)))
    np.testing.assert_allclose(hits.distances, [7.5, 3.75, 3, np.inf])
    assert hits.instances[:3].tolist() == [1, 2, 0]
    np.testing.assert_allclose(hits.facet_normals[:3], [[0, 0, 1]] * 3, atol=1e-6)
    assert caster.blocked(rays(([0, 0, 9], down), ([0, 0, 9], up))).tolist() == [True, False]


def test_corners_weigh_the_place_on_the_triangle():
    caster = RayCaster([BOX], TURN[None], np.array([[1.0, 2, 3]]))
    starts = np.random.default_rng(0).uniform(-0.45, 0.45, (50, 2))
    hits = caster.cast(rays(*(([1 + x, 2 + y, 9], [0, 0, -1]) for x, y in starts)))
    corners = (BOX.vertices @ TURN.T + [1, 2, 3])[BOX.triangles[hits.triangles]]
    second, third = hits.corners.T
    weights = np.stack([1 - second - third, second, third], axis=-1)
    points = np.einsum("nk,nkc->nc", weights, corners)
    np.testing.assert_allclose(
        points, np.column_stack([1 + starts[:, 0], 2 + starts[:, 1], np.full(50, 3.5)]), atol=1e-5
    )


def test_no_bodies_and_no_rays():
    caster = RayCaster([], np.zeros((0, 3, 3)), np.zeros((0, 3)))
    assert caster.cast(rays(([0, 0, 1], [0, 0, -1]))).distances.tolist() == [1]
    assert caster.cast(np.zeros((0, 6), dtype=np.float32)).distances.shape == (0,)
    assert caster.blocked(np.zeros((0, 6), dtype=np.float32)).shape == (0,)
