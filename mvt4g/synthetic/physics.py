"""Rigid-body motion by MuJoCo: bodies rest, settle or are thrown on a plane, gravity 10, 240 steps a second or more."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mvt4g.synthetic.colliders import Collider, colliders
from mvt4g.synthetic.shapes import Shape

GRAVITY = 10.0
STEPS_PER_SECOND = 240
SETTLE_STEPS = 36
CONTACT_RATE = 120.0
"""Natural frequency of a contact, radians a second."""
BOUNCES = (
    (0.001, 0.99),
    (0.05, 0.852),
    (0.1, 0.731),
    (0.15, 0.632),
    (0.2, 0.543),
    (0.25, 0.471),
    (0.3, 0.411),
    (0.4, 0.316),
    (0.5, 0.243),
    (0.6, 0.192),
    (0.7, 0.149),
    (0.8, 0.12),
)
"""Damping ratios, and the share of speed balls kept that fell 1 to 4 units, 240 steps a second, at CONTACT_RATE."""
PARKING_HEIGHT = 100.0
"""Thrown bodies wait up here while the others settle."""
DENSITY = 100.0
"""Of a body of size 1."""
SETTLING_DRAG = (0.04, 3.0)
"""Share of speed and of spin lost a second while bodies settle: what is round would roll out of sight."""
STILL = (0.02, 0.25)
"""Bodies slower than this, units and radians a second, for so many seconds have settled."""

UNSTABLE = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


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


@dataclass(frozen=True)
class Contact:
    """What two things do that touch.

    Attributes:
        friction: Coulomb's coefficient.
        damping: Damping ratio of the contact's spring; ``damping_of_bounce`` gives that of a restitution.
    """

    friction: float
    damping: float


@dataclass(frozen=True)
class Motion:
    """Where bodies are at every frame.

    Attributes:
        positions: Of their centres, world frame.
        quaternions: wxyz, world from object.
        collisions: Frame, instance and other instance (1, 2, ... as the bodies; 0 = ground, always the other) for
            every two that touched at any moment since the frame before, in increasing order.
    """

    positions: Float[ndarray, "t i 3"]
    quaternions: Float[ndarray, "t i 4"]
    collisions: Int[ndarray, "k 3"]

    def of(self, bodies: Int[ndarray, " j"]) -> "Motion":
        """Return the motion of some bodies, numbered anew in the order given; those left out must touch nothing."""
        numbers = np.zeros(self.positions.shape[1] + 1, dtype=np.int64)
        numbers[bodies + 1] = np.arange(1, len(bodies) + 1)
        collisions = self.collisions.copy()
        collisions[:, 1:] = numbers[collisions[:, 1:]]
        return Motion(self.positions[:, bodies], self.quaternions[:, bodies], collisions)


class Simulation:
    """Bodies above the plane z = 0, all of them far up until they are placed.

    MuJoCo has no coefficient of restitution: contacts are damped springs, slow enough (CONTACT_RATE) for a bounce to
    take seven steps; stiffer ones gain energy.
    """

    def __init__(
        self,
        shapes: Sequence[Shape],
        timestep: float,
        mass_exponent: float = 3.0,
        starts: Sequence[Float[ndarray, " 7"]] | None = None,
    ) -> None:
        """Build the bodies.

        Args:
            shapes: One for each body.
            timestep: Seconds.
            mass_exponent: Masses grow with this power of the size.
            starts: Position and quaternion of each; None = far up. The solver's last bits hang on them.
        """
        mujoco.set_mju_user_warning(_silent)  # it would write a log into the working directory; ``broke`` tells
        self.num_bodies = len(shapes)
        self.timestep = timestep
        self.model = mujoco.MjModel.from_xml_string(_model_xml(shapes, timestep, mass_exponent, starts))
        self.data = mujoco.MjData(self.model)
        self._copy = mujoco.MjData(self.model)
        # Views of MuJoCo's own memory: writing to them moves bodies.
        self.qpos = self.data.qpos.reshape(-1, 7)
        self.qvel = self.data.qvel.reshape(-1, 6)
        self.present = np.zeros(self.num_bodies, dtype=bool)
        self._body_of_geom = self.model.geom_bodyid  # body 0, the world, has the ground alone
        self._set_present()

    def set_contacts(self, ground: Contact, bodies: Contact) -> None:
        """Say what bodies do that touch the ground, and each other."""
        for geoms, contact in ((self._body_of_geom == 0, ground), (self._body_of_geom > 0, bodies)):
            self.model.geom_friction[geoms, 0] = contact.friction
            # MuJoCo's solref is (time constant, damping ratio) of the contact's spring.
            time_constant = 1 / (contact.damping * CONTACT_RATE)
            self.model.geom_solref[geoms] = (time_constant, contact.damping)

    def place(
        self,
        body: int,
        position: Float[ndarray, " 3"],
        quaternion: Float[ndarray, " 4"],
        velocity: Float[ndarray, " 3"] | None = None,
        spin: Float[ndarray, " 3"] | None = None,
    ) -> None:
        """Put a body somewhere, at rest unless it has a velocity or a spin; from now on others meet it."""
        self.qpos[body] = np.concatenate([position, quaternion])
        parts = [np.zeros(3) if part is None else part for part in (velocity, spin)]
        self.qvel[body] = np.concatenate(parts)
        self.present[body] = True
        self._set_present()

    def remove(self, body: int) -> None:
        """Take a body out of the way of the others."""
        self.qpos[body, 2] = PARKING_HEIGHT
        self.qvel[body] = 0
        self.present[body] = False
        self._set_present()

    @property
    def broke(self) -> bool:
        """Whether a contact blew up: MuJoCo then starts over, with all bodies back far up."""
        return any(self.data.warning[kind].number for kind in UNSTABLE)

    def overlaps(self, body: int) -> bool:
        """Say whether a body reaches into the ground or another body that is present."""
        mujoco.mj_kinematics(self.model, self.data)
        own = np.flatnonzero(self._body_of_geom == body + 1)
        centres = self.data.geom_xpos
        radii = self.model.geom_rbound
        present = [0, *(np.flatnonzero(self.present) + 1)]
        others = np.flatnonzero(np.isin(self._body_of_geom, present))
        others = others[self._body_of_geom[others] != body + 1]
        for geom in own:
            # Bounding spheres first: exact distances are slow.
            gap = np.linalg.norm(centres[others] - centres[geom], axis=-1) - radii[others] - radii[geom]
            near = others[(gap < 0) | (radii[others] == 0)]  # a plane has no bounding radius
            for other in near:
                if mujoco.mj_geomDistance(self.model, self.data, geom, other, 1.0, None) <= 0:
                    return True
        return False

    def settle(self, seconds: float) -> None:
        """Let the bodies fall for at most so long, less if all lie still before; then take their speed away."""
        speed, patience = STILL
        calm = 0.0
        # What is left of speed and spin after a step, three numbers of each.
        kept = np.exp(-self.timestep * np.repeat(SETTLING_DRAG, 3))
        for _ in range(round(seconds / self.timestep)):
            mujoco.mj_step(self.model, self.data)
            self.qvel *= kept
            moving = np.abs(self.qvel[self.present]).max(initial=0.0) > speed
            calm = 0.0 if moving else calm + self.timestep
            if calm >= patience:
                break
        self.qvel[:] = 0

    def record(self, num_frames: int, substeps: int, lead: int = 0) -> Motion:
        """Step on and note every frame, from the one after ``lead`` frames on; a frame is so many steps."""
        states = []
        collisions = []
        for frame in range(num_frames):
            touching: set[int] = set()
            for _ in range(substeps * (lead if frame == 0 else 1)):
                mujoco.mj_step(self.model, self.data)
                touching |= self._touching(self.data)
            self._copy.qpos[:] = self.data.qpos  # MuJoCo's contacts are those before the step: look once more
            mujoco.mj_fwdPosition(self.model, self._copy)
            touching |= self._touching(self._copy)
            states.append(self.qpos.copy())
            pairs = sorted(set(map(self._pair, touching)))
            collisions += [(frame, *pair) for pair in pairs]
        frames = np.stack(states)
        every_collision = np.array(collisions, dtype=np.int64).reshape(-1, 3)
        return Motion(frames[..., :3], frames[..., 3:], every_collision)

    def _touching(self, data: mujoco.MjData) -> set[int]:
        """Return pairs as single numbers (see ``_pair``): this is asked at every step."""
        pairs = self._body_of_geom[data.contact.geom[: data.ncon]]
        return set((pairs[:, 0] * (len(self.present) + 1) + pairs[:, 1]).tolist())

    def _pair(self, number: int) -> tuple[int, int]:
        one, other = sorted(divmod(number, len(self.present) + 1))
        # The ground, 0, is always the other.
        return (other, one) if one == 0 else (one, other)

    def _set_present(self) -> None:
        """Let those meet others that are placed; the rest fall through everything."""
        met = np.concatenate([[True], self.present])[self._body_of_geom]
        self.model.geom_contype[:] = met
        self.model.geom_conaffinity[:] = met


def simulate(bodies: Sequence[Body], num_frames: int, fps: float, restitution: float) -> Motion:
    """Let resting bodies settle for a moment, then all move; resting ones lie where they were put or nearly so.

    Steps divide a frame evenly, so a frame rate that does not divide 240 gets slightly shorter steps.
    """
    if not bodies:
        nowhere = np.zeros((num_frames, 0, 3))
        return Motion(nowhere, np.zeros((num_frames, 0, 4)), np.zeros((0, 3), dtype=np.int64))
    substeps = steps_a_frame(fps)
    starts = [np.concatenate([body.position, body.quaternion]) for body in bodies]
    simulation = Simulation([body.shape for body in bodies], 1 / (fps * substeps), starts=starts)
    contact = Contact(0.5, damping_ratio(restitution))
    simulation.set_contacts(contact, contact)
    for number, body in enumerate(bodies):
        # Thrown bodies wait far up until those that rest have settled.
        aside = np.array([0.0, 0.0, 0.0 if body.velocity is None else PARKING_HEIGHT])
        position = simulation.qpos[number, :3] + aside
        simulation.place(number, position, simulation.qpos[number, 3:])
    if any(body.velocity is None for body in bodies):
        mujoco.mj_step(simulation.model, simulation.data, SETTLE_STEPS)
    simulation.qvel[:] = 0
    for number, body in enumerate(bodies):
        if body.velocity is not None:
            simulation.place(number, body.position, body.quaternion, body.velocity, body.spin)
    return simulation.record(num_frames, substeps)


def _silent(message: str) -> None:
    """Take a warning of MuJoCo's."""


def steps_a_frame(fps: float) -> int:
    """Return how many steps of 1/240 s or less a frame takes."""
    return int(np.ceil(STEPS_PER_SECOND / fps))


def damping_ratio(restitution: float) -> float:
    """Return the damping ratio of a linear spring that gives back this share of the speed, 0 < restitution < 1.

    Half a period of a spring that also pulls; a contact lets go before, so that bounces keep a little more than this.
    """
    log = np.log(restitution)
    return float(-log / np.sqrt(np.pi**2 + log**2))


def damping_of_bounce(restitution: float) -> float:
    """Return the damping ratio with which bodies are seen to bounce with this restitution, 0 <= e < 1, to about 0.05.

    The least that a contact of this rate can keep is 0.12, which stands for all below.
    """
    damping, measured = zip(*BOUNCES, strict=True)
    return float(np.interp(restitution, measured[::-1], damping[::-1]))


def _model_xml(
    shapes: Sequence[Shape],
    timestep: float,
    mass_exponent: float,
    starts: Sequence[Float[ndarray, " 7"]] | None,
) -> str:
    """Describe the bodies; what contacts do is set later (the ground's priority gives it the last word)."""
    assets = []
    bodies = []
    for number, shape in enumerate(shapes):
        # Densities of all sizes are alike at 3: a mass is the density times the size cubed.
        density = DENSITY * shape.size ** (mass_exponent - 3)
        geoms = []
        for piece, collider in enumerate(colliders(shape)):
            name = f"hull-{number}-{piece}"
            if collider.points is not None:
                assets.append(f'<mesh name="{name}" vertex="{_numbers(collider.points.reshape(-1))}"/>')
            geoms.append(f'<geom {_form(collider, name)} density="{density!r}"/>')
        start = np.array([0, 0, PARKING_HEIGHT, 1, 0, 0, 0]) if starts is None else starts[number]
        place = f'pos="{_numbers(start[:3])}" quat="{_numbers(start[3:])}"'
        bodies.append(f"<body {place}><freejoint/>{''.join(geoms)}</body>")
    return (
        f'<mujoco><option timestep="{timestep!r}" gravity="0 0 {-GRAVITY!r}"/>'
        '<default><geom friction="0.5 0.01 0.002" condim="4"/></default>'
        f"<asset>{''.join(assets)}</asset>"
        f'<worldbody><geom type="plane" size="0 0 1" priority="1"/>{"".join(bodies)}</worldbody></mujoco>'
    )


def _form(collider: Collider, name: str) -> str:
    if collider.points is not None:
        return f'type="mesh" mesh="{name}"'
    where = f'fromto="{_numbers(collider.ends)}"' if collider.ends else f'pos="{_numbers(collider.centre)}"'
    return f'type="{collider.kind}" size="{_numbers(collider.sizes)}" {where}'


def _numbers(values: Sequence[float] | Float[ndarray, " n"]) -> str:
    return " ".join(repr(float(value)) for value in values)
