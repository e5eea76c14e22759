"""Camera poses of generated videos: what an estimator is given, what it answers, and poses from tracks and depth.

An estimator that cannot find a frame's camera says so and why; it never makes up a pose. The world of its poses is its
own (PnP and photometric alignment: that of the known view; files and COLMAP: any), so compare relative to a frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.geometry.lifting import lift_pixels
from mvt4g.geometry.pnp import absolute_pose
from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.functional.checks import check_shape
from mvt4g.ranges import Count, Positive, Seed, Share, check_ranges
from mvt4g.types import Cameras, InputError

REASONS_TOLD = 3
"""Different reasons that are spelt out; the rest are counted."""


@dataclass(frozen=True)
class KnownView:
    """A view of the scene whose cameras and depth are known, frame by frame at the times of the generated video.

    Attributes:
        cameras: One a frame.
        depth: z-depth of pixel centres, scene units, 0 or non-finite = none.
        video: In [0, 1].
        static: True where the scene does not move; None = everywhere.
        tracks: Pixels (x, y) of the points of ``PoseEvidence.tracks`` in this view.
        visible: True where such a point is seen in this view.
    """

    cameras: Cameras
    depth: Float[Tensor, "t h w"]
    video: Float[Tensor, "t 3 h w"] | None = None
    static: Bool[Tensor, "t h w"] | None = None
    tracks: Float[Tensor, "t n 2"] | None = None
    visible: Bool[Tensor, "t n"] | None = None


@dataclass(frozen=True)
class PoseEvidence:
    """What is known of one generated video; an estimator takes what it needs and names what is missing.

    Attributes:
        num_frames: Frames of the generated video.
        name: Of the video, as files are called after it.
        frame_names: File names of its frames, in order, where an outside program was run on them.
        video: In [0, 1].
        intrinsics: K of the generated video, in its pixels.
        tracks: Pixels (x, y) of points in the generated video; NaN = lost.
        visible: True where such a point is seen; None = all.
        points_world: Where these points are; None = to be lifted from ``known``.
        known: A known view, usually the reference video.
        expected_world_from_cam: Where a search for the cameras starts, usually the path that was asked for.
    """

    num_frames: int
    name: str | None = None
    frame_names: tuple[str, ...] | None = None
    video: Float[Tensor, "t 3 h w"] | None = None
    intrinsics: Float[Tensor, "t 3 3"] | None = None
    tracks: Float[Tensor, "t n 2"] | None = None
    visible: Bool[Tensor, "t n"] | None = None
    points_world: Float[Tensor, "t n 3"] | None = None
    known: KnownView | None = None
    expected_world_from_cam: Float[Tensor, "t 4 4"] | None = None

    def need(self, attribute: str, estimator: object, axes: str = "") -> Any:
        """Return an attribute ("known.video") that an estimator cannot do without.

        Args:
            attribute: Its name, with dots.
            estimator: Who needs it, for the message.
            axes: Those of a tensor ("t n 2"), t being the number of frames and n that of tracks.

        Raises:
            InputError: If it is not there or has another shape.
        """
        value: Any = self
        for part in attribute.split("."):
            value = None if value is None else getattr(value, part)
        if value is None:
            raise InputError(f"evidence.{attribute}: got none, want it for {type(estimator).__name__}")
        if axes:
            points = {} if self.tracks is None or attribute == "tracks" else {"n": self.tracks.shape[1]}
            check_shape(f"evidence.{attribute}", value, axes, t=self.num_frames, **points)
        return value


@dataclass(frozen=True)
class PoseEstimate:
    """Cameras that an estimator found.

    Attributes:
        world_from_cam: OpenCV axes, the estimator's own world; NaN where not registered.
        registered: False where no camera was found.
        reason: Why frames are not registered; None when all are.
        quality: Figures of every frame by name, such as ``inliers``; NaN where there is none.
        scale_known: Whether distances are in scene units; else the scale is free.
        notes: What a reader of the scores should know of poses that were found, such as an odd field of view.
    """

    world_from_cam: Float[Tensor, "t 4 4"]
    registered: Bool[Tensor, " t"]
    reason: str | None = None
    quality: Mapping[str, Float[Tensor, " t"]] = field(default_factory=dict)
    scale_known: bool = True
    notes: tuple[str, ...] = ()

    def told(self) -> str:
        """Return what tables tell of the video: why frames are not registered, and the notes; empty for nothing."""
        return "; ".join(part for part in (self.reason, *self.notes) if part)


@runtime_checkable
class PoseEstimator(Protocol):
    """Finds the cameras of one video."""

    def __call__(self, evidence: PoseEvidence) -> PoseEstimate:
        """Return a pose or a reason for every frame."""
        ...


def estimate_from_frames(
    world_from_cam: Float[Tensor, "t 4 4"],
    reasons: Sequence[str | None],
    quality: Mapping[str, Shaped[Tensor, " t"]],
    scale_known: bool = True,
) -> PoseEstimate:
    """Put together what was found frame by frame.

    Args:
        world_from_cam: Poses of frames with a reason are dropped.
        reasons: Why a frame has no pose; None = it has one.
        quality: As in ``PoseEstimate``.
        scale_known: As in ``PoseEstimate``.
    """
    registered = torch.tensor([reason is None for reason in reasons], device=world_from_cam.device)
    poses = torch.where(rearrange(registered, "t -> t 1 1"), world_from_cam.float(), torch.nan)
    figures = {name: values.float() for name, values in quality.items()}
    return PoseEstimate(poses, registered, _summary(reasons), figures, scale_known)


@dataclass(frozen=True)
class TrackDepthPnP:
    """Cameras from tracks in the generated video and where their points are: RANSAC over P3P, each frame on its own.

    Args:
        threshold_px: Reprojection error up to which a track agrees; about three times the tracks' noise.
        num_hypotheses: Samples a frame.
        min_inliers: Fewest agreeing tracks of a frame.
        min_inlier_share: Smallest share of a frame's usable tracks that must agree: on random tracks, a few do.
        max_rotation_deviation_deg: Largest standard deviation of the rotation that noise and layout may leave.
        max_position_deviation: The same of the position, as a share of the mean depth.
        seed: Of the samples; the same seed gives the same poses.

    Example:
        >>> import torch
        >>> from mvt4g.geometry.camera import project_points
        >>> points = torch.rand(1, 50, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([-0.5, -0.5, 2.0])
        >>> intrinsics = torch.tensor([[[64.0, 0.0, 32.0], [0.0, 64.0, 32.0], [0.0, 0.0, 1.0]]])
        >>> tracks, _ = project_points(points, torch.eye(4), intrinsics[0])
        >>> found = TrackDepthPnP()(PoseEvidence(1, intrinsics=intrinsics, tracks=tracks, points_world=points))
        >>> bool(found.registered), bool((found.world_from_cam - torch.eye(4)).abs().max() < 1e-4)
        (True, True)
    """

    threshold_px: Positive = 2.0
    num_hypotheses: Count = 256
    min_inliers: Count = 8
    min_inlier_share: Share = 0.3
    max_rotation_deviation_deg: Positive = 2.0
    max_position_deviation: Positive = 0.1
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "poses")

    def __call__(self, evidence: PoseEvidence) -> PoseEstimate:
        """Fit every frame.

        Raises:
            InputError: If there are no tracks, no intrinsics, or neither points nor a known view with tracks.
        """
        tracks = evidence.need("tracks", self, "t n 2")
        intrinsics = evidence.need("intrinsics", self, "t 3 3")
        points_world, usable = self._points(evidence)
        generator = torch.Generator().manual_seed(self.seed)
        fit = absolute_pose(tracks, points_world, usable, intrinsics, generator, self.threshold_px, self.num_hypotheses)
        quality = {
            "inliers": fit.inliers.sum(dim=-1),
            "usable": usable.sum(dim=-1),
            "residual_px": fit.residual_px,
            "rotation_deviation_deg": fit.rotation_deviation_deg,
            "position_deviation": fit.position_deviation,
        }
        reasons = []
        for frame in range(evidence.num_frames):
            inliers = int(quality["inliers"][frame])
            rotation_deg = float(fit.rotation_deviation_deg[frame])
            position = float(fit.position_deviation[frame])
            reasons.append(self._fault(inliers, int(quality["usable"][frame]), rotation_deg, position))
        return estimate_from_frames(invert_pose(fit.cam_from_world), reasons, quality)

    def _points(self, evidence: PoseEvidence) -> tuple[Float[Tensor, "t n 3"], Bool[Tensor, "t n"]]:
        tracked = evidence.need("tracks", self).isfinite().all(dim=-1)
        if evidence.visible is not None:
            tracked = tracked & evidence.need("visible", self, "t n")
        if evidence.points_world is not None:
            points_world = evidence.need("points_world", self, "t n 3")
            return points_world, tracked & points_world.isfinite().all(dim=-1)
        known = evidence.need("known", self)
        points_world, has_depth = lift_pixels(
            evidence.need("known.tracks", self, "t n 2"),
            evidence.need("known.depth", self, "t h w"),
            known.cameras.cam_from_world,
            known.cameras.intrinsics,
        )
        seen = has_depth if known.visible is None else has_depth & known.visible
        return points_world, tracked & seen

    def _fault(self, inliers: int, usable: int, rotation_deg: float, position: float) -> str | None:
        """Return why a fit is not to be believed."""
        if usable < self.min_inliers:
            return f"got {usable} usable tracks, want at least {self.min_inliers}"
        if inliers < max(self.min_inliers, self.min_inlier_share * usable):
            return f"{inliers} of {usable} tracks agree within {self.threshold_px:g} px"
        # Not the other way round: a deviation that is NaN is refused too.
        certain = rotation_deg <= self.max_rotation_deviation_deg
        if not (certain and position <= self.max_position_deviation):
            return f"tracks leave the pose open by {rotation_deg:.2g} deg and {position:.2g} of the depth"
        return None


def _summary(reasons: Sequence[str | None]) -> str | None:
    frames_of: dict[str, list[int]] = {}
    for frame, reason in enumerate(reasons):
        if reason is not None:
            frames_of.setdefault(reason, []).append(frame)
    told = []
    for reason, frames in list(frames_of.items())[:REASONS_TOLD]:
        if len(frames) == 1:
            told.append(f"frame {frames[0]}: {reason}")
        else:
            told.append(f"{len(frames)} frames from {frames[0]} on: {reason}")
    if len(frames_of) > REASONS_TOLD:
        num_failed = sum(map(len, frames_of.values()))
        told.append(f"{num_failed} of {len(reasons)} frames in all")
    return "; ".join(told) or None
