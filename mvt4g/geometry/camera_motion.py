"""A camera motion: a start, a list of moves, and which frame all of it is told in."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.camera_moves import EASES, Move, Setting, Shot
from mvt4g.geometry.pose import compose, invert_pose, pose_from, transform_points
from mvt4g.types import InputError

Relation = Literal["source_start", "source_frames", "world"]
Unit = Literal["metres", "subject_distance"]


@dataclass(frozen=True)
class TimedMove:
    """A move, and when it is made.

    Attributes:
        move: What is done.
        over: Shares of the clip at which it begins and ends; None = it is done all the time.
        ease: One of ``EASES``.
        place: Where it was told, for messages.
    """

    move: Move
    over: tuple[float, float] | None = (0.0, 1.0)
    ease: str = "linear"
    place: str = "moves"

    def done(self, shares: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
        """Return how much of it is done at shares of the clip."""
        if self.over is None:
            return torch.ones_like(shares)
        start, end = self.over
        return EASES[self.ease](((shares - start) / (end - start)).clamp(0, 1))


@dataclass(frozen=True)
class Subject:
    """What the shot is about.

    Attributes:
        distance: It lies straight ahead of the camera that the motion is relative to (of "world": of the source's
            camera of frame 0), scene units; None = it is at ``positions``.
        positions: In the source's world, scene units: one, of a thing that stands still, or one for every pose of a
            path; None = it is at a distance.
        times_s: When the positions are of, seconds from the video's first frame; None = unknown.
    """

    distance: float | int | None = None
    positions: Float[Tensor, "s 3"] | None = None
    times_s: tuple[float, ...] | None = None


@dataclass(frozen=True)
class CameraMotion:
    """What a camera does in a clip of any length.

    Attributes:
        moves: In order: each acts on the camera as those before it leave it at the same moment.
        relative_to: What the base is. "source_start": the source's camera of frame 0, as for ReCamMaster's presets.
            "source_frames": the source's camera of each frame, so that its motion is kept, as GEN3C, TrajectoryCrafter,
            CogNVS and NeoVerse do. "world": the world of the source's cameras.
        unit: Of distances: "metres", or "subject_distance", which is the distance from the source's camera of frame 0
            to the subject then.
        frames: After how many frames the motion is over: frame k has done k / (frames - 1) of it, and a longer clip
            stays at its end. None = it takes the clip, whatever its length.
        up: Direction of the base that points up.
        start_position: Of the camera, base, units.
        start_rotation: Of the camera, base.
        subject: What it is about; None = nothing.
        place: Where it was told, for messages.
    """

    moves: tuple[TimedMove, ...]
    relative_to: Relation = "source_start"
    unit: Unit = "metres"
    frames: int | None = None
    up: tuple[float, float, float] = (0.0, -1.0, 0.0)
    start_position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    start_rotation: Float[Tensor, "3 3"] | None = None
    subject: Subject | None = None
    place: str = "motion"

    def play(
        self,
        world_from_source: Float[Tensor, "t 4 4"],
        positions: Float[Tensor, "t 3"] | None = None,
        scale: float | int = 1.0,
    ) -> tuple[Float[Tensor, "t 4 4"], Float[Tensor, " t"]]:
        """Return ``world_from_cam`` of the camera at every frame, and the factor on its focal length.

        Args:
            world_from_source: Cameras of the source, scene units, one a frame.
            positions: Of ``subject.positions`` one for every frame; None where it has none.
            scale: Scene units a metre.

        Raises:
            InputError: If a move cannot be made, or a distance is in those of a subject that is where the camera is.
        """
        source = world_from_source.double()
        num_frames = len(source)
        base = {"source_start": source[:1], "source_frames": source, "world": torch.eye(4, dtype=torch.float64)[None]}
        world_from_base = base[self.relative_to].expand(num_frames, 4, 4)
        up = torch.tensor(self.up, dtype=torch.float64)
        subject = self.subject_in_world(source, positions)
        in_base = None if subject is None else transform_points(invert_pose(world_from_base), subject)
        setting = Setting(up / up.norm(), self._unit(source, subject, scale), in_base)
        shot = self._start(num_frames, setting.unit)
        shares = torch.arange(num_frames, dtype=torch.float64) / max((self.frames or num_frames) - 1, 1)
        for timed in self.moves:
            try:
                shot = timed.move(shot, timed.done(shares.clamp(max=1)), setting)
            except InputError as error:
                raise InputError(f"{timed.place}: {error}") from error
        return compose(world_from_base, shot.base_from_cam).float(), shot.zoom.float()

    def _start(self, num_frames: int, unit: float) -> Shot:
        rotation = torch.eye(3) if self.start_rotation is None else self.start_rotation
        pose = pose_from(rotation.double(), unit * torch.tensor(self.start_position, dtype=torch.float64))
        return Shot(pose.expand(num_frames, 4, 4), torch.ones(num_frames, dtype=torch.float64))

    def subject_in_world(
        self,
        world_from_source: Float[Tensor, "t 4 4"],
        positions: Float[Tensor, "t 3"] | None = None,
    ) -> Float[Tensor, "t 3"] | None:
        """Return where the subject is at every frame, scene units; None where there is none.

        Args:
            world_from_source: As in ``play``.
            positions: As in ``play``.
        """
        if self.subject is None:
            return None
        if self.subject.distance is None:
            assert positions is not None, "the caller brings them to the frames"
            return positions.double()
        ahead = torch.tensor([0.0, 0.0, self.subject.distance], dtype=torch.float64)
        behind_it = world_from_source if self.relative_to == "source_frames" else world_from_source[:1]
        return transform_points(behind_it.double(), ahead).expand(len(world_from_source), 3)

    def _unit(
        self,
        source: Float[Tensor, "t 4 4"],
        subject: Float[Tensor, "t 3"] | None,
        scale: float | int,
    ) -> float:
        """Return the scene units that a distance of 1 stands for."""
        if self.unit == "metres":
            return float(scale)
        assert subject is not None, "the reader refuses a motion in distances of nothing"
        distance = float(torch.linalg.vector_norm(subject[0] - source[0, :3, 3]))
        if not distance > 0:
            raise InputError(f"{self.place}: unit: got a subject where the source's camera is, want a distance over 0")
        return distance

    @property
    def needs_source(self) -> bool:
        """Whether it means nothing without the source's cameras."""
        return self.relative_to != "source_start"
