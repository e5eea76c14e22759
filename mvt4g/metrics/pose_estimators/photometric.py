"""Poses by direct alignment of every generated frame to a known view with depth."""

from dataclasses import dataclass

import torch

from mvt4g.geometry.photometric import MIN_POINTS, PhotometricFit, RgbdPicture, align_picture
from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.functional.checks import unit_video
from mvt4g.metrics.pose_estimators.poses import PoseEstimate, PoseEvidence, estimate_from_frames
from mvt4g.ranges import Positive, Share, Side, check_ranges

QUALITY = ("coverage", "detail_correlation", "rotation_deviation_deg", "position_deviation", "gain")
"""Figures of a ``PhotometricFit`` that are told of every frame."""


@dataclass(frozen=True)
class PhotometricAlignment:
    """Finds the camera under which a known view's coloured points have the generated frame's colours.

    The search starts at ``evidence.expected_world_from_cam``, else at the known view's cameras, and reaches a few
    degrees; the known view is best the true target view. What moves is aligned like the rest unless ``known.static``
    leaves it out.

    Args:
        finest_stride: Every how many pixels a point is taken at the finest level.
        min_coverage: Smallest share of the known points that must lie in the frame.
        min_detail_correlation: Smallest correlation of the frame's detail with the known view's; near 0 on noise and
            on other scenes, 0.76 to 0.97 on true renders.
        max_last_step_px: A search whose last step was longer did not converge.
        max_rotation_deviation_deg: Largest standard deviation of the rotation that noise and layout may leave.
        max_position_deviation: The same of the position, as a share of the mean depth.
    """

    finest_stride: Side = 1
    min_coverage: Share = 0.3
    min_detail_correlation: Share = 0.4
    max_last_step_px: Positive = 0.05
    max_rotation_deviation_deg: Positive = 0.5
    max_position_deviation: Positive = 0.05

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "photometric")

    def __call__(self, evidence: PoseEvidence) -> PoseEstimate:
        """Align every frame on its own.

        Raises:
            InputError: If the video, its intrinsics or the known view's video or depth are missing.
        """
        video = unit_video("evidence.video", evidence.need("video", self, "t 3 h w"))
        intrinsics = evidence.need("intrinsics", self, "t 3 3")
        known_video = unit_video("evidence.known.video", evidence.need("known.video", self, "t 3 h w"))
        depth = evidence.need("known.depth", self, "t h w")
        cameras = evidence.need("known.cameras", self)
        static = None if evidence.known is None else evidence.known.static
        if evidence.expected_world_from_cam is None:
            starts = cameras.cam_from_world
        else:
            starts = invert_pose(evidence.need("expected_world_from_cam", self, "t 4 4"))
        fits: list[PhotometricFit | None] = []
        for frame in range(evidence.num_frames):
            camera = cameras[frame]
            usable = None if static is None else static[frame]
            known = RgbdPicture(known_video[frame], depth[frame], camera.cam_from_world, camera.intrinsics, usable)
            fit = None
            # With fewer points the six unknowns are not determined.
            if int(known.with_depth().sum()) >= MIN_POINTS:
                fit = align_picture(video[frame], intrinsics[frame], known, starts[frame], self.finest_stride)
            fits.append(fit)
        return self._estimate(fits)

    def _estimate(self, fits: list[PhotometricFit | None]) -> PoseEstimate:
        poses = torch.eye(4, dtype=torch.float64).repeat(len(fits), 1, 1)
        quality: dict[str, list[float]] = {name: [] for name in QUALITY}
        reasons = []
        for frame, fit in enumerate(fits):
            reasons.append(self._fault(fit))
            if fit is not None:
                poses[frame] = fit.cam_from_world.cpu()
            for name, values in quality.items():
                values.append(torch.nan if fit is None else getattr(fit, name))
        # A deviation may be beyond float32: a tensor made of numbers has inf there, one written to refuses it.
        by_frame = {name: torch.tensor(values) for name, values in quality.items()}
        return estimate_from_frames(invert_pose(poses), reasons, by_frame)

    def _fault(self, fit: PhotometricFit | None) -> str | None:
        """Return why a fit is not to be believed."""
        if fit is None:
            return f"the known view has fewer than {MIN_POINTS} usable pixels"
        if fit.coverage < self.min_coverage:
            return f"{fit.coverage:.0%} of the known points in the frame, want {self.min_coverage:.0%}"
        if not fit.detail_correlation >= self.min_detail_correlation:
            return f"detail correlates by {fit.detail_correlation:.2f}, want {self.min_detail_correlation:g}"
        if fit.last_step_px > self.max_last_step_px:
            return f"not converged, last step {fit.last_step_px:.2g} px"
        # Not the other way round: a deviation that is NaN is refused too.
        certain = fit.rotation_deviation_deg <= self.max_rotation_deviation_deg
        if not (certain and fit.position_deviation <= self.max_position_deviation):
            open_by = f"{fit.rotation_deviation_deg:.2g} deg and {fit.position_deviation:.2g} of the depth"
            return f"the picture leaves the pose open by {open_by}"
        return None
