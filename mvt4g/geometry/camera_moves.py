"""What a camera operator does: moves of a camera and its lens, each a function of how much of it is done.

A *base* is the frame in which moves are told: OpenCV axes, x right, y down, z forward. Each move acts on the camera as
the moves before it in a list leave it at the same moment. Distances are in units that a ``Setting`` gives a size.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.path_resampling import spline_poses
from mvt4g.geometry.pose import (
    PARALLEL,
    axis_angle_from_rotation,
    compose,
    invert_pose,
    look_at,
    pose_from,
    rotate,
    rotation_from_axis_angle,
)
from mvt4g.geometry.trajectories import PIVOT_DISTANCE_M, preset_at
from mvt4g.types import InputError

Direction = Literal["right", "up", "forward"]
Turn = Literal["pan", "tilt", "roll"]

EASES: dict[str, Callable[[Float[Tensor, " t"]], Float[Tensor, " t"]]] = {
    "linear": lambda share: share,
    "in": lambda share: share**2,
    "out": lambda share: 1 - (1 - share) ** 2,
    "in_out": lambda share: share**2 * (3 - 2 * share),
}
"""How much of a move is done after a share of its time: at one speed, from rest, to rest, from rest to rest."""


@dataclass(frozen=True)
class Shot:
    """A camera at every frame of a clip.

    Attributes:
        base_from_cam: Where it is, float64, scene units.
        zoom: Factor on the focal length that it began with.
    """

    base_from_cam: Float[Tensor, "t 4 4"]
    zoom: Float[Tensor, " t"]

    @property
    def centre(self) -> Float[Tensor, "t 3"]:
        """Where the camera is."""
        return self.base_from_cam[:, :3, 3]

    def axis(self, number: int) -> Float[Tensor, "t 3"]:
        """Return where the camera's x (0), y (1) or z axis (2) points."""
        return self.base_from_cam[:, :3, number]

    def moved(self, offset: Float[Tensor, "t 3"]) -> "Shot":
        """Return the shot with its camera shifted."""
        rotation = self.base_from_cam[:, :3, :3]
        return Shot(pose_from(rotation, self.centre + offset), self.zoom)

    def turned(
        self,
        axis_angle: Float[Tensor, "t 3"],
        pivot: Float[Tensor, "t 3"],
    ) -> "Shot":
        """Return the shot with its camera carried round a point, by vectors of the base whose length is in radians."""
        rotation = rotation_from_axis_angle(axis_angle)
        # x -> R (x - p) + p, so that the pivot stays where it is.
        carried = pose_from(rotation, pivot - rotate(rotation, pivot))
        return Shot(compose(carried, self.base_from_cam), self.zoom)

    def followed_by(self, cam_from_next: Float[Tensor, "t 4 4"]) -> "Shot":
        """Return the shot with its camera moved in its own axes."""
        return Shot(compose(self.base_from_cam, cam_from_next), self.zoom)


@dataclass(frozen=True)
class Setting:
    """Where moves take place.

    Attributes:
        up: Unit vector of the base that points up: OpenCV's y axis points down.
        unit: Scene units that a distance of 1 stands for.
        subject: What the shot is about, at every frame, base, scene units; None = there is none.
    """

    up: Float[Tensor, "3"]
    unit: float | int
    subject: Float[Tensor, "t 3"] | None = None

    def need_subject(self) -> Float[Tensor, "t 3"]:
        """Return where the subject is.

        Raises:
            InputError: If there is none.
        """
        if self.subject is None:
            raise InputError("got no subject, want subject.distance, subject.at or subject.track")
        return self.subject

    def from_subject(self, shot: Shot) -> Float[Tensor, "t 3"]:
        """Return the way from the subject to the camera, base.

        Raises:
            InputError: If there is no subject, or the camera is where it is.
        """
        way = shot.centre - self.need_subject()
        is_there = torch.linalg.vector_norm(way, dim=-1) <= PARALLEL * self.unit
        if bool(is_there.any()):
            raise InputError(f"frame {int(is_there.nonzero()[0])}: got the camera where the subject is, want it apart")
        return way


@runtime_checkable
class Move(Protocol):
    """One thing that a camera does."""

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move.

        Args:
            shot: As the moves before leave it.
            done: How much of the move is done, 0 to 1.
            setting: Where it takes place.

        Raises:
            InputError: If the move cannot be made there.
        """


@dataclass(frozen=True)
class Slide:
    """Truck, crane or dolly: a straight way, along the camera's x or z axis, or along the setting's up.

    Attributes:
        direction: Of a positive distance.
        distance: The whole way, units.
    """

    direction: Direction
    distance: float | int

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move."""
        axes = {"right": shot.axis(0), "up": setting.up.expand(len(done), 3), "forward": shot.axis(2)}
        distance = done * self.distance * setting.unit
        return shot.moved(distance[:, None] * axes[self.direction])


@dataclass(frozen=True)
class Turning:
    """Pan, tilt or roll: a turn in place.

    Attributes:
        turn: "pan" about the setting's up, positive to the right; "tilt" about the camera's x axis, positive up; "roll"
            about its z axis, positive clockwise for who stands behind the camera.
        angle_deg: The whole turn.
    """

    turn: Turn
    angle_deg: float | int

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move."""
        axes = {"pan": -setting.up.expand(len(done), 3), "tilt": shot.axis(0), "roll": shot.axis(2)}
        angle = done * math.radians(self.angle_deg)
        return shot.turned(angle[:, None] * axes[self.turn], shot.centre)


@dataclass(frozen=True)
class Orbit:
    """A turn about the subject, which stays where it is in the picture.

    Attributes:
        azimuth_deg: About the setting's up, positive where the camera goes to its right.
        elevation_deg: Over the subject, after the azimuth, positive where the camera rises.
    """

    azimuth_deg: float | int
    elevation_deg: float | int = 0.0

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move."""
        subject = setting.need_subject()
        up = setting.up.expand(len(done), 3)
        azimuth = done * math.radians(self.azimuth_deg)
        shot = shot.turned(azimuth[:, None] * up, subject)
        way = setting.from_subject(shot)
        across = torch.linalg.cross(way / torch.linalg.vector_norm(way, dim=-1, keepdim=True), up)
        length = torch.linalg.vector_norm(across, dim=-1, keepdim=True)
        is_overhead = length < PARALLEL  # where the camera's own x axis serves as well
        across = torch.where(is_overhead, -shot.axis(0), across / torch.where(is_overhead, 1.0, length))
        elevation = done * math.radians(self.elevation_deg)
        return shot.turned(elevation[:, None] * across, subject)


@dataclass(frozen=True)
class KeyPoses:
    """A smooth path through key poses (``path_resampling.spline_poses``).

    Attributes:
        cam_from_key: In the axes of the camera that the moves before leave, units.
        knots: How much of the move is done at each, from 0 to 1.
    """

    cam_from_key: Float[Tensor, "k 4 4"]
    knots: Float[Tensor, " k"]

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move."""
        path = spline_poses(self.cam_from_key, self.knots, done)
        return shot.followed_by(pose_from(path[:, :3, :3], path[:, :3, 3] * setting.unit))


@dataclass(frozen=True)
class Preset:
    """One of ReCamMaster's cameras (``geometry.trajectories``).

    Attributes:
        name: "cam01" to "cam10", or the preset's.
        scale: Units that the preset's metre stands for.
    """

    name: str
    scale: float | int = 1.0

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move."""
        path = preset_at(self.name, done)
        shift = path[:, :3, 3] * self.scale * setting.unit
        return shot.followed_by(pose_from(path[:, :3, :3], shift))


SCALED_BY_SUBJECT = 1.0 / PIVOT_DISTANCE_M
"""Scale of a preset whose unit is the subject's distance: the point that it turns about lies at the subject."""


@dataclass(frozen=True)
class Follow:
    """The camera goes where the subject goes, and does not turn."""

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move."""
        subject = setting.need_subject()
        return shot.moved(done[:, None] * (subject - subject[:1]))


@dataclass(frozen=True)
class LookAt:
    """The camera turns in place to have the subject in the middle of its picture, its picture's up being the setting's.

    What is done of it is a share of the turn.
    """

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move."""
        x, y, z = setting.up.tolist()
        aimed = look_at(shot.centre, shot.centre - setting.from_subject(shot), up=(x, y, z))
        cam_from_aimed = compose(invert_pose(shot.base_from_cam), aimed)
        turn = axis_angle_from_rotation(cam_from_aimed[:, :3, :3])
        rotation = rotation_from_axis_angle(done[:, None] * turn)
        return shot.followed_by(pose_from(rotation, turn.new_zeros(3)))


@dataclass(frozen=True)
class Zoom:
    """A change of the focal length, by the same factor every moment.

    Attributes:
        factor: The whole change; over 1 = the view becomes narrower.
    """

    factor: float | int

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move."""
        return Shot(shot.base_from_cam, shot.zoom * self.factor**done)


@dataclass(frozen=True)
class DollyZoom:
    """A dolly with a change of the focal length that keeps the subject as large as it was.

    Attributes:
        distance: The whole way, units; positive = forward, on which the view becomes wider.
    """

    distance: float | int

    def __call__(self, shot: Shot, done: Float[Tensor, " t"], setting: Setting) -> Shot:
        """Return the shot with this move."""
        # Depth along the optical axis, which is what a picture's size goes by.
        before = -(setting.from_subject(shot) * shot.axis(2)).sum(dim=-1)
        after = before - done * self.distance * setting.unit
        is_behind = torch.minimum(before, after) <= PARALLEL * setting.unit
        if bool(is_behind.any()):
            frame = int(is_behind.nonzero()[0])
            raise InputError(f"frame {frame}: got the subject behind the camera, want it in front")
        moved = Slide("forward", self.distance)(shot, done, setting)
        return Shot(moved.base_from_cam, shot.zoom * after / before)
