import numpy as np
import pytest

from mvt4g.synthetic.physics import GRAVITY, Body, damping_ratio, simulate
from mvt4g.synthetic.shapes import Shape

BALL = Shape("ellipsoid", (0.5, 0.5, 0.5))
UPRIGHT = np.array([1.0, 0, 0, 0])


def test_free_flight_is_a_parabola_and_the_spin_stays():
    start, velocity = np.array([0.0, 0, 30]), np.array([2.0, -1, 3])
    body = Body(BALL, start, UPRIGHT, velocity, np.array([0, 0, 1.5]))
    motion = simulate([body], 13, 12.0, 0.5)
    positions, quaternions = motion.positions, motion.quaternions
    time = np.arange(13)[:, None] / 12
    expected = start + velocity * time - [0, 0, 0.5 * GRAVITY] * time**2
    np.testing.assert_allclose(positions[:, 0], expected, atol=GRAVITY / 240 / 2 * 1.1)  # semi-implicit Euler's error
    angle = 1.5 * time[:, 0]
    np.testing.assert_allclose(quaternions[:, 0, 0], np.cos(angle / 2), atol=1e-3)
    np.testing.assert_allclose(quaternions[:, 0, 3], np.sin(angle / 2), atol=1e-3)


@pytest.mark.parametrize("restitution", [0.3, 0.5, 0.7])
def test_a_ball_bounces_with_about_the_restitution(restitution):
    body = Body(BALL, np.array([0.0, 0, 2.5]), UPRIGHT, np.zeros(3))  # meets the ground after 0.632 s at 6.3 units/s
    heights = simulate([body], 400, 240.0, restitution).positions[:, 0, 2] - 0.5
    landed = int(np.argmax(heights < 0.01))
    rebound = np.sqrt(2 * GRAVITY * heights[landed + 10 :].max())
    assert rebound / np.sqrt(2 * GRAVITY * 2) == pytest.approx(restitution, abs=0.15)


def test_damping_ratio_by_hand():
    assert damping_ratio(np.exp(-np.pi)) == pytest.approx(np.sqrt(0.5))


def test_resting_bodies_stay_while_a_thrown_one_waits_above():
    bodies = [
        Body(Shape("box", (0.6, 0.5, 0.4)), np.array([0.0, 0, 0.4]), UPRIGHT),
        Body(BALL, np.array([0.0, 0, 2.0]), UPRIGHT, np.array([1.0, 0, 0])),
    ]
    positions = simulate(bodies, 5, 12.0, 0.5).positions
    np.testing.assert_allclose(positions[:, 0], [[0, 0, 0.4]] * 5, atol=0.006)
    np.testing.assert_array_equal(positions[0, 1], [0, 0, 2])


def test_a_hit_body_moves():
    box = Body(Shape("box", (0.4, 0.4, 0.4)), np.array([0.0, 0, 0.4]), UPRIGHT)
    ball = Body(BALL, np.array([-1.0, 0, 0.6]), UPRIGHT, np.array([6.0, 0, 0]))
    assert simulate([box, ball], 13, 12.0, 0.5).positions[-1, 0, 0] > 0.1
    assert abs(simulate([box], 13, 12.0, 0.5).positions[-1, 0, 0]) < 1e-3


def test_no_bodies():
    motion = simulate([], 3, 12.0, 0.5)
    assert (motion.positions.shape, motion.quaternions.shape) == ((3, 0, 3), (3, 0, 4))
    assert motion.collisions.shape == (0, 3)
