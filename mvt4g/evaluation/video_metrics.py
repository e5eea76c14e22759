"""Which metrics score generated videos, and what is known of a generated video."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torchmetrics import Metric

from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.camera.camera_pose import OnFailure
from mvt4g.metrics.collection import NovelViewMetrics
from mvt4g.metrics.pose_estimators.poses import KnownView, PoseEstimator, PoseEvidence
from mvt4g.metrics.presets import Preset, novel_view_metrics
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import REFERENCE, TARGET, Cameras, GeneratedVideos, InputError, MultiViewClip, ViewRecord


@dataclass(frozen=True)
class VideoMetricsSpec:
    """How generated videos are scored.

    Attributes:
        preset: The protocol: synthetic, mvtrack4gen, redirector, camI2V or full_reference; see ``metrics.presets``.
        weights: Local files of the networks that metrics look through.
        poses: Estimates the cameras of a generated video; None = no camera errors.
        on_pose_failure: What a video whose cameras were not found does to the mean camera errors: "nan" makes them NaN,
            "skip" leaves it out, "penalty" scores it as a camera that never moves; it is counted in any case.
        more: Metrics beside those of the preset, such as one's own; each is named by its ``key``, and takes what its
            ``update`` asks of ``GeneratedVideos`` by name.
    """

    preset: Preset = "synthetic"
    weights: MetricWeights = field(default_factory=MetricWeights)
    poses: PoseEstimator | None = None
    on_pose_failure: OnFailure = "nan"
    more: tuple[Metric, ...] = ()

    def build(self, beside: Sequence[str] = ()) -> NovelViewMetrics:
        """Build the metrics.

        Args:
            beside: Names of further ones, such as ``metrics.presets.GENERATION``.

        Raises:
            InputError: If a file is broken, or a metric has no key or one that another has.
        """
        return novel_view_metrics(self.preset, self.weights, self.on_pose_failure, self.more, beside)


def describe(
    clip: MultiViewClip,
    names: tuple[str, ...],
    generated: Float[Tensor, "b t 3 h w"],
) -> GeneratedVideos:
    """Put together what a batch of clips with both views tells of the videos generated for their target view."""

    def view(index: int) -> ViewRecord:
        return ViewRecord(
            video=clip.video[:, index],
            depth=None if clip.depth is None else clip.depth[:, index],
            cam_from_world=clip.cameras.cam_from_world[:, index],
            intrinsics=clip.cameras.intrinsics[:, index],
            dynamic=None if clip.dynamic is None else clip.dynamic[:, index],
        )

    return GeneratedVideos(
        names=names,
        video=generated.clamp(0, 1),
        target=view(TARGET),
        reference=view(REFERENCE),
        mask=None if clip.covisible is None else clip.covisible[:, TARGET],
        fps=None if clip.fps is None else generated.new_tensor(clip.fps, dtype=torch.float32).expand(len(names)),
    )


def with_poses(videos: GeneratedVideos, estimator: PoseEstimator | None) -> GeneratedVideos:
    """Add the cameras that an estimator finds, and what is to be told of them, unless they are known already.

    Raises:
        InputError: As the estimator, if something it needs is not known, naming the video.
    """
    if estimator is None or videos.pred_world_from_cam is not None:
        return videos
    found = []
    for index, name in enumerate(videos.names):
        try:
            found.append(estimator(pose_evidence(videos, index)))
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    device = videos.video.device  # files and COLMAP answer on the CPU
    return replace(
        videos,
        pred_world_from_cam=torch.stack([estimate.world_from_cam for estimate in found]).to(device),
        registered=torch.stack([estimate.registered for estimate in found]).to(device),
        notes=tuple(estimate.told() for estimate in found),
    )


def pose_evidence(videos: GeneratedVideos, index: int) -> PoseEvidence:
    """Return what a pose estimator may look at of one video.

    The known view is the true target view: an aligned estimator measures how far the generated frame's camera is from
    the one asked for. Where its depth is not known, it is the reference.
    """

    def item(values: Shaped[Tensor, " b *shape"] | None) -> Shaped[Tensor, "*shape"] | None:
        return None if values is None else values[index]

    known = None
    # The target first: its cameras are those that the generated ones are held against.
    for view in (videos.target, videos.reference):
        depth, pose, intrinsics, moving = map(item, (view.depth, view.cam_from_world, view.intrinsics, view.dynamic))
        if known is None and depth is not None and pose is not None and intrinsics is not None:
            static = None if moving is None else ~moving
            known = KnownView(Cameras(pose, intrinsics), depth, item(view.video), static)
    asked = item(videos.target.cam_from_world)
    return PoseEvidence(
        num_frames=videos.video.shape[1],
        name=videos.names[index],
        video=videos.video[index],
        intrinsics=item(videos.target.intrinsics),
        known=known,
        expected_world_from_cam=None if asked is None else invert_pose(asked),
    )
