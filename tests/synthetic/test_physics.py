import mujoco
import numpy as np
import pytest
import torch

from mvt4g.geometry.pose import rotation_from_quaternion
from mvt4g.synthetic.colliders import colliders
from mvt4g.synthetic.physics import (
    GRAVITY,
    Body,
    Contact,
    Motion,
    Simulation,
    damping_of_bounce,
    damping_ratio,
    simulate,
)  # fmt: skip
from mvt4g.synthetic.shapes import Shape, mesh

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


def drop(shapes, heights, frames, fps=240.0, restitution=0.5, friction=0.5):
    """Let bodies fall side by side, 10 apart, from heights of their centres."""
    simulation = Simulation(shapes, 1 / 240)
    contact = Contact(friction, damping_of_bounce(restitution))
    simulation.set_contacts(contact, contact)
    for number, height in enumerate(heights):
        simulation.place(number, np.array([10.0 * number, 0, height]), UPRIGHT)
    return simulation.record(frames, round(240 / fps))


@pytest.mark.parametrize("restitution", [0.25, 0.36, 0.5, 0.7])
def test_bounces_are_listed_at_the_times_of_free_fall(restitution):
    """From 2 units: the ground is met after sqrt(0.4) s at 6.3 units/s, and again after 2 v e / g."""
    motion = drop([BALL], [2.5], 400, restitution=restitution)
    touching = np.unique(motion.collisions[:, 0])
    np.testing.assert_array_equal(motion.collisions[:, 1:], np.broadcast_to([1, 0], (len(motion.collisions), 2)))
    first, until = touching[0], touching[np.diff(touching, append=1000) > 1][0]
    assert first / 240 == pytest.approx(np.sqrt(0.4), abs=1.1 / 240)
    speed = np.diff(motion.positions[:, 0, 2]) * 240
    kept = -speed[until:].max() / speed[:first].min()
    assert kept == pytest.approx(restitution, abs=0.06)
    again = touching[np.flatnonzero(np.diff(touching) > 1)[0] + 1]
    assert (again - until) / 240 == pytest.approx(2 * kept * np.sqrt(40) / 10, abs=0.03)
    gap = motion.positions[first:, 0, 2] - 0.5
    off = np.setdiff1d(np.arange(first, 400), touching)
    assert gap[off - first].min() > 0
    assert gap[touching - first][1:].min() < 0


def test_coarser_frames_list_touches_between_them():
    fine, coarse = drop([BALL], [2.5], 240), drop([BALL], [2.5], 12, fps=12.0)
    expected = {int(np.ceil(frame / 20)) for frame in fine.collisions[:, 0] if frame <= 220}
    expected |= {frame // 20 + 1 for frame in fine.collisions[:, 0] if frame % 20 == 0 and frame < 220}
    assert set(coarse.collisions[:, 0].tolist()) == expected


def test_bodies_that_meet_are_listed_once_a_frame_and_others_never():
    left, right, far = (Body(BALL, np.array([x, 0, 5.0]), UPRIGHT, np.array([v, 0, 0])) for x, v in
                        ((-1.45, 4.0), (1.45, -4.0), (9.0, 0.0)))  # fmt: skip
    motion = simulate([left, right, far], 13, 24.0, 0.5)  # they meet after 1.9 / 8 s = 5.7 frames
    assert motion.collisions[0].tolist() == [6, 1, 2]
    assert not (motion.collisions[:, 1:] == 3).any()
    gap = np.linalg.norm(motion.positions[:, 0] - motion.positions[:, 1], axis=-1)
    assert gap[:6].min() > 1
    assert (motion.collisions[:, 1:] == [1, 2]).all()


SHAPES = {
    "box": (0.5, 0.4, 0.3), "ellipsoid": (0.5, 0.4, 0.3), "cylinder": (0.4, 0.4, 0.5), "capsule": (0.3, 0.3, 0.6),
    "superquadric": (0.5, 0.4, 0.3), "cone": (0.4, 0.4, 0.5), "wedge": (0.5, 0.4, 0.3), "torus": (0.6, 0.6, 0.2),
    "dumbbell": (0.25, 0.25, 0.6), "bracket": (0.5, 0.4, 0.5),
}  # fmt: skip


def test_energy_never_rises_by_itself():
    """Of every kind, falling, tumbling and bouncing: m g z + m v^2 / 2 + w I w / 2, as MuJoCo sums it."""
    shapes = [Shape(kind, half) for kind, half in SHAPES.items()]
    simulation = Simulation(shapes, 1 / 240)
    contact = Contact(0.4, damping_of_bounce(0.4))
    simulation.set_contacts(contact, contact)
    rng = np.random.default_rng(0)
    for number in range(len(shapes)):
        quaternion = rng.normal(size=4)
        place = np.array([4.0 * number, 0, 2.5])
        simulation.place(number, place, quaternion / np.linalg.norm(quaternion), rng.uniform(-2, 2, 3))
    simulation.model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    energies = []
    for _ in range(480):
        mujoco.mj_step(simulation.model, simulation.data)
        energies.append(simulation.data.energy.sum())
    energies = np.array(energies)
    falls = -np.diff(energies)
    assert energies[-1] < 0.5 * energies[0]
    # Pressed springs hold energy that MuJoCo does not count; what comes back was there before.
    assert (energies - np.minimum.accumulate(energies)).max() < 0.06 * energies[0]
    assert np.maximum.accumulate(energies)[-1] < 1.001 * energies[0]
    assert (falls > -0.02 * energies[0]).all()


@pytest.mark.parametrize("kind", SHAPES)
def test_every_kind_lies_still_where_its_mesh_meets_the_ground(kind):
    shape = Shape(kind, SHAPES[kind])
    simulation = Simulation([shape], 1 / 240)
    contact = Contact(1.0, damping_of_bounce(0.0))
    simulation.set_contacts(contact, contact)
    rng = np.random.default_rng(1)
    quaternion = rng.normal(size=4)
    simulation.place(0, np.array([0.0, 0, 2.0]), quaternion / np.linalg.norm(quaternion))
    simulation.settle(8.0)
    motion = simulation.record(13, 20)
    turn = rotation_from_quaternion(torch.from_numpy(motion.quaternions[:, 0])).numpy()
    lowest = (mesh(shape).vertices @ turn.transpose(0, 2, 1))[..., 2].min(axis=1) + motion.positions[:, 0, 2]
    assert np.abs(lowest).max() < 0.015 * shape.size
    assert np.abs(motion.positions - motion.positions[:1]).max() < 0.01
    assert set(motion.collisions[:, 0].tolist()) == set(range(13))


def test_a_hoop_is_hollow():
    """A ball in the hole of a ring touches nothing; in its tube it does."""
    hoop, ball = Shape("torus", (1.0, 1.0, 0.2)), Shape("ellipsoid", (0.2, 0.2, 0.2))
    simulation = Simulation([hoop, ball], 1 / 240)
    simulation.place(0, np.array([0.0, 0, 2.0]), UPRIGHT)
    simulation.place(1, np.array([0.0, 0, 2.0]), UPRIGHT)
    assert not simulation.overlaps(1)
    simulation.place(1, np.array([0.8, 0, 2.0]), UPRIGHT)
    assert simulation.overlaps(1)
    simulation.remove(0)
    assert not simulation.overlaps(1)
    simulation.place(1, np.array([0.0, 0, 0.15]), UPRIGHT)
    assert simulation.overlaps(1)  # the ground


@pytest.mark.parametrize(("kind", "allowed"), [(kind, 0.02 if kind == "torus" else 0.011) for kind in SHAPES])
def test_what_collides_is_what_is_drawn(kind, allowed):
    """Along random directions both reach equally far, to the facets' error (a torus is a chain of capsules)."""
    shape = Shape(kind, SHAPES[kind])
    directions = np.random.default_rng(0).normal(size=(400, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    drawn = (mesh(shape).vertices @ directions.T).max(axis=0)
    reach = np.stack([support(collider, directions) for collider in colliders(shape)]).max(axis=0)
    np.testing.assert_allclose(reach, drawn, atol=allowed * shape.size)


def support(collider, directions):
    if collider.points is not None:
        return (collider.points @ directions.T).max(axis=0)
    centre, sizes = directions @ np.array(collider.centre), np.array(collider.sizes)
    if collider.kind == "box":
        return centre + np.abs(directions) @ sizes
    if collider.kind == "ellipsoid":
        return centre + np.linalg.norm(directions * sizes, axis=-1)
    if collider.kind == "cylinder":
        return centre + sizes[0] * np.linalg.norm(directions[:, :2], axis=-1) + sizes[1] * np.abs(directions[:, 2])
    ends = np.array(collider.ends or (0, 0, -sizes[-1], 0, 0, sizes[-1])).reshape(2, 3)
    return (directions @ ends.T).max(axis=1) + sizes[0]


def test_some_bodies_motion_is_renumbered():
    motion = Motion(np.arange(9.0).reshape(1, 3, 3), np.zeros((1, 3, 4)), np.array([[0, 1, 0], [0, 1, 3]]))
    some = motion.of(np.array([0, 2]))
    assert some.positions[0, :, 0].tolist() == [0, 6]
    assert some.collisions.tolist() == [[0, 1, 0], [0, 1, 2]]
