import numpy as np
import pytest

from mvt4g.synthetic.contact import GroundContact, body_sphere
from mvt4g.synthetic.shapes import Shape, mesh

BALL = body_sphere(mesh(Shape("ellipsoid", (0.5, 0.5, 0.5))))
EYE = np.eye(3)[None]


def openness(position, places, strength=1.0):
    contact = GroundContact([BALL], EYE, np.array([position]), strength)
    points = np.zeros((3, len(places)), dtype=np.float32)
    points[:2] = np.array(places).T
    return contact.openness(points)


def test_a_sphere_takes_as_much_light_as_it_should():
    """Straight below a sphere of radius r at height h: (r / h)^2; to the side h / D (r / D)^2."""
    places = [[0.0, 0], [1, 0], [0, 2], [-2, 1]]
    distance = np.sqrt(1.5**2 + np.square(places).sum(axis=1))
    np.testing.assert_allclose(openness([0.0, 0, 1.5], places), 1 - 1.5 * 0.25 / distance**3, atol=6e-3)


def test_the_ground_is_dark_where_a_body_touches_it_and_open_far_off():
    below, beside, far = openness([3.0, -2, 0.5], [[3, -2], [3.6, -2], [7, 3]])
    assert below < 0.1 < beside < 0.8
    assert far == 1
    np.testing.assert_allclose(openness([3.0, -2, 0.5], [[3, -2]], strength=0.0), 1)


def test_bodies_beyond_the_map_or_below_the_ground_do_no_harm():
    assert np.isfinite(openness([50.0, 0, 0.5], [[0, 0], [60, 60], [-60, 0]])).all()
    assert 0 <= openness([0.0, 0, -0.4], [[0, 0]])[0] < 0.2
    np.testing.assert_array_equal(GroundContact([], np.zeros((0, 3, 3)), np.zeros((0, 3)), 1.0).map, 1)


def test_the_sphere_is_as_large_as_the_bounding_box():
    middle, radius = body_sphere(mesh(Shape("box", (1.0, 0.5, 0.25))))
    np.testing.assert_allclose(middle, 0, atol=1e-12)
    assert radius == pytest.approx(0.5)
