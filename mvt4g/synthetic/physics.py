"""Rigid-body motion by MuJoCo: bodies rest or are thrown on a plane, gravity 10, 240 steps a second or more."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mvt4g.synthetic.shapes import Shape

GRAVITY = 10.0
STEPS_PER_SECOND = 240
SETTLE_STEPS = 36
CONTACT_RATE = 120.0
"""Natural frequency of a contact, radians a second."""
PARKING_HEIGHT = 100.0
"""Thrown bodies wait up here while the others settle."""


@dataclass(frozen=True)
class Body:
    """A rigid body at the start.

    Attributes:
        shape: Its geometry.
        position: Of its centre, world frame.
        quaternion: wxyz, world from object.
        velocity: Units a second; None = resting: it settles first and starts at rest.
        spin: Radians a second about the object's own axes.
    """

    shape: Shape
    position: Float[ndarray, " 3"]
    quaternion: Float[ndarray, " 4"]
    velocity: Float[ndarray, " 3"] | None = None
    spin: Float[ndarray, " 3"] | None = None


def simulate(
    bodies: Sequence[Body], num_frames: int, fps: float, restitution: float
) -> tuple[Float[ndarray, "t i 3"], Float[ndarray, "t i 4"]]:
    """Return positions and quaternions (wxyz, world from object) of all bodies at all frames.

    Steps divide a frame evenly, so a frame rate that does not divide 240 gets slightly shorter steps. MuJoCo has no
    coefficient of restitution: contacts are springs with the damping ratio that gives back this share of the speed,
    slow enough (CONTACT_RATE) for a bounce to take seven steps; stiffer ones gain energy.
    """
    if not bodies:
        return np.zeros((num_frames, 0, 3)), np.zeros((num_frames, 0, 4))
    substeps = int(np.ceil(STEPS_PER_SECOND / fps))
    model = mujoco.MjModel.from_xml_string(_model_xml(bodies, 1 / (fps * substeps), restitution))
    data = mujoco.MjData(model)
    qpos, qvel = data.qpos.reshape(-1, 7), data.qvel.reshape(-1, 6)
    thrown = [number for number, body in enumerate(bodies) if body.velocity is not None]
    if len(thrown) < len(bodies):
        qpos[thrown, 2] += PARKING_HEIGHT
        mujoco.mj_step(model, data, SETTLE_STEPS)
    qvel[:] = 0
    for number in thrown:
        body = bodies[number]
        qpos[number] = np.concatenate([body.position, body.quaternion])
        qvel[number] = np.concatenate([body.velocity, np.zeros(3) if body.spin is None else body.spin])
    states = [qpos.copy()]
    for _ in range(num_frames - 1):
        mujoco.mj_step(model, data, substeps)
        states.append(qpos.copy())
    frames = np.stack(states)
    return frames[..., :3], frames[..., 3:]


def damping_ratio(restitution: float) -> float:
    """Return the damping ratio of a linear spring that gives back this share of the speed, 0 < restitution < 1."""
    log = np.log(restitution)
    return float(-log / np.sqrt(np.pi**2 + log**2))


def _model_xml(bodies: Sequence[Body], timestep: float, restitution: float) -> str:
    damping = damping_ratio(restitution)
    time_constant = 1 / (damping * CONTACT_RATE)
    parts = [
        f'<mujoco><option timestep="{timestep!r}" gravity="0 0 {-GRAVITY!r}"/>',
        f'<default><geom solref="{time_constant!r} {damping!r}" friction="0.5 0.01 0.002" condim="4"/></default>',
        '<worldbody><geom type="plane" size="0 0 1"/>',
    ]
    for body in bodies:
        kind, sizes = body.shape.kind, body.shape.half_sizes
        length = sizes[2] - sizes[0] if kind == "capsule" else sizes[2]
        size = sizes if kind in ("box", "ellipsoid") else (sizes[0], length)
        parts.append(
            f'<body pos="{_numbers(body.position)}" quat="{_numbers(body.quaternion)}"><freejoint/>'
            f'<geom type="{kind}" size="{_numbers(size)}" density="100"/></body>'
        )
    return "".join([*parts, "</worldbody></mujoco>"])


def _numbers(values: Sequence[float] | Float[ndarray, " n"]) -> str:
    return " ".join(repr(float(value)) for value in values)
