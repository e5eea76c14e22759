"""Where bodies start: drawn, put where there is room, and let go."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mvt4g.geometry.pose import rotation_from_quaternion
from mvt4g.synthetic.meshes import list_meshes
from mvt4g.synthetic.object_specs import DroppedObjects, ObjectSpec, Region, SurfaceSpec
from mvt4g.synthetic.physics import Body, Contact, Motion, Simulation, damping_of_bounce, simulate, steps_a_frame
from mvt4g.synthetic.shapes import Shape, draw_resting_rotation, draw_shape, mesh, mesh_shape
from mvt4g.types import InputError

PLACING_ATTEMPTS = 100
FASTEST = 20.0
"""Units a second; bodies that fall from 10 units up reach 14, thrown ones 12."""
SETTLING = Contact(friction=1.0, damping=damping_of_bounce(0.0))
_Choice = TypeVar("_Choice")


def draw_motion(
    rng: np.random.Generator,
    objects: ObjectSpec | DroppedObjects,
    num_frames: int,
    fps: float,
) -> tuple[list[Shape], Motion]:
    """Draw bodies and let them move; returns their shapes too, in the order of the instances 1, 2, ...

    Raises:
        InputError: If a user's mesh cannot be read, or bodies blow up in every scene that is tried.
    """
    if isinstance(objects, DroppedObjects):
        for _ in range(PLACING_ATTEMPTS):
            drawn = _drop(rng, objects, num_frames, fps)
            if drawn is not None:
                return drawn
        raise InputError(f"scene.objects: got {PLACING_ATTEMPTS} scenes that blew up, want friendlier surfaces")
    bodies = draw_bodies(rng, objects)
    return [body.shape for body in bodies], simulate(bodies, num_frames, fps, objects.restitution)


def draw_bodies(rng: np.random.Generator, objects: ObjectSpec) -> list[Body]:
    """Draw resting bodies beside each other on the ground, then thrown ones in the air.

    A body for which no free place is found is left out.
    """
    resting = _draw_count(rng, objects.resting)
    thrown = _draw_count(rng, objects.thrown)
    bodies: list[Body] = []
    for number in range(resting + thrown):
        for _ in range(PLACING_ATTEMPTS):
            shape = draw_shape(rng, _draw_one(rng, objects.kinds), rng.uniform(*objects.size))
            draw = _draw_resting if number < resting else _draw_thrown
            body = draw(rng, shape, objects)
            if all(_apart(body, other) for other in bodies):
                bodies.append(body)
                break
    return bodies


def _draw_count(rng: np.random.Generator, least_and_most: tuple[int, int]) -> int:
    low, high = least_and_most
    return int(rng.integers(low, high + 1))


def _draw_one(rng: np.random.Generator, choices: Sequence[_Choice]) -> _Choice:
    return choices[int(rng.integers(len(choices)))]


def _drop(
    rng: np.random.Generator,
    objects: DroppedObjects,
    num_frames: int,
    fps: float,
) -> tuple[list[Shape], Motion] | None:
    """Drop, settle, throw, record; None if bodies were wedged into each other and shot away (see FASTEST).

    Bodies for which no free place is found are left out.
    """
    static = _draw_count(rng, objects.static)
    dynamic = _draw_count(rng, objects.dynamic)
    shapes = [_draw_dropped(rng, objects) for _ in range(static + dynamic)]
    substeps = steps_a_frame(fps)
    simulation = Simulation(shapes, 1 / (fps * substeps), objects.mass_exponent)
    simulation.set_contacts(SETTLING, SETTLING)
    for number in range(static):
        _place(rng, simulation, number, shapes[number], objects.static_region)
    simulation.settle(objects.settle)
    simulation.set_contacts(*_draw_contacts(rng, objects.surfaces))
    for number in range(static, static + dynamic):
        _place(rng, simulation, number, shapes[number], objects.dynamic_region)
        position = simulation.qpos[number, :3].copy()
        quaternion = simulation.qpos[number, 3:].copy()
        # The pull brings a body from the edge of its region back into view.
        reach = np.asarray(objects.velocity)
        pull = rng.uniform(*objects.centre_pull) * position * [1, 1, 0]
        if simulation.present[number]:
            simulation.place(number, position, quaternion, rng.uniform(-reach, reach) - pull)
    there = np.flatnonzero(simulation.present)
    motion = simulation.record(num_frames, substeps, objects.first_frame)
    steps = np.linalg.norm(np.diff(motion.positions[:, there], axis=0), axis=-1)
    if simulation.broke or steps.max(initial=0.0) * fps > FASTEST:
        return None
    return [shapes[number] for number in there], motion.of(there)


def _draw_dropped(rng: np.random.Generator, objects: DroppedObjects) -> Shape:
    size = rng.uniform(*objects.size)
    if objects.meshes and rng.uniform() < objects.mesh_share:
        files = list_meshes(objects.meshes)
        return mesh_shape(_draw_one(rng, files), size)
    return draw_shape(rng, _draw_one(rng, objects.kinds), size)


def _draw_contacts(rng: np.random.Generator, surfaces: SurfaceSpec) -> tuple[Contact, Contact]:
    """Return what bodies do on the floor and on each other: products, as Bullet has them."""
    floor_friction = rng.uniform(*surfaces.floor_friction)
    floor_restitution = rng.uniform(*surfaces.floor_restitution)
    friction = rng.uniform(*surfaces.friction)
    restitution = rng.uniform(*surfaces.restitution)
    ground = Contact(floor_friction * friction, damping_of_bounce(floor_restitution * restitution))
    return ground, Contact(friction**2, damping_of_bounce(restitution**2))


def _place(rng: np.random.Generator, simulation: Simulation, number: int, shape: Shape, region: Region) -> None:
    """Turn a body at random and put its bounding box somewhere in a region until nothing is in its way.

    A body larger than the region sticks out of it on both sides.

    Source: kubric, randomness.py (the law; not its code).
    """
    low, high = np.transpose(region)
    vertices = mesh(shape).vertices
    for _ in range(PLACING_ATTEMPTS):
        quaternion = rng.normal(size=4)
        quaternion /= np.linalg.norm(quaternion)
        turned = vertices @ rotation_from_quaternion(torch.from_numpy(quaternion)).numpy().T
        # A region smaller than the body has first > last, and uniform shares then lie between them all the same.
        first = low - turned.min(axis=0)
        last = high - turned.max(axis=0)
        position = first + rng.uniform(size=3) * (last - first)
        simulation.place(number, position, quaternion)
        if not simulation.overlaps(number):
            return
    simulation.remove(number)


def _draw_resting(rng: np.random.Generator, shape: Shape, objects: ObjectSpec) -> Body:
    rotation, height = draw_resting_rotation(rng, shape)
    place = _in_disc(rng, objects.spawn_radius)
    return Body(shape, np.array([*place, height]), _quaternion(rotation))


def _draw_thrown(rng: np.random.Generator, shape: Shape, objects: ObjectSpec) -> Body:
    place = _in_disc(rng, objects.spawn_radius)
    height = shape.bounding_radius + rng.uniform(0.1, 1.5)
    # Towards a point near the centre, so that bodies stay in view.
    heading = _in_disc(rng, objects.spawn_radius) - place
    speed = rng.uniform(*objects.speed) / max(float(np.linalg.norm(heading)), 1e-9)
    velocity = np.array([*(speed * heading), rng.uniform(-1.0, 2.5)])
    quaternion = rng.normal(size=4)
    spin = rng.uniform(-1, 1, 3) * objects.spin
    return Body(shape, np.array([*place, height]), quaternion / np.linalg.norm(quaternion), velocity, spin)


def _apart(body: Body, other: Body) -> bool:
    gap = float(np.linalg.norm(body.position - other.position))
    return gap > body.shape.bounding_radius + other.shape.bounding_radius


def _in_disc(rng: np.random.Generator, radius: float) -> Float[ndarray, " 2"]:
    angle = rng.uniform(0, 2 * np.pi)
    # The root spreads places evenly over the disc's area.
    distance = radius * np.sqrt(rng.uniform())
    return distance * np.array([np.cos(angle), np.sin(angle)])


def _quaternion(rotation: Float[ndarray, "3 3"]) -> Float[ndarray, " 4"]:
    """Return wxyz of a rotation by the largest of the four squares, which is never near 0."""
    m = rotation
    # 4 times the outer product of the quaternion with itself: any row is the quaternion, but for its length.
    w_x = m[2, 1] - m[1, 2]
    w_y = m[0, 2] - m[2, 0]
    w_z = m[1, 0] - m[0, 1]
    x_y = m[0, 1] + m[1, 0]
    x_z = m[0, 2] + m[2, 0]
    y_z = m[1, 2] + m[2, 1]
    products = np.array(
        [
            [1 + m[0, 0] + m[1, 1] + m[2, 2], w_x, w_y, w_z],
            [w_x, 1 + m[0, 0] - m[1, 1] - m[2, 2], x_y, x_z],
            [w_y, x_y, 1 - m[0, 0] + m[1, 1] - m[2, 2], y_z],
            [w_z, x_z, y_z, 1 - m[0, 0] - m[1, 1] + m[2, 2]],
        ]
    )
    squares = np.diag(products)
    quaternion = products[int(squares.argmax())]
    return quaternion / np.linalg.norm(quaternion)
