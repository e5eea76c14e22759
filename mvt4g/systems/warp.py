"""The training-free baseline as a run: real videos for predict, clips of both views for test."""

from dataclasses import dataclass

import torch
from lightning.pytorch import LightningModule

from mvt4g.data.real_clips import RealClip
from mvt4g.evaluation.evaluator import EvaluationOutput
from mvt4g.evaluation.real_video import NovelView
from mvt4g.evaluation.video_metrics import VideoMetricsSpec, describe, with_poses
from mvt4g.geometry.hole_filling import HoleRule
from mvt4g.geometry.lifted_video import LiftingSpec
from mvt4g.inference.encoding import clips_of
from mvt4g.inference.lifting.prediction_lift import PredictionLift
from mvt4g.inference.lifting.reference_depth import ReferenceDepth, ReferenceDepthSpec
from mvt4g.inference.lifting.video_warper import VideoWarper
from mvt4g.metrics.collection import NovelViewMetrics, ScoreTable
from mvt4g.ranges import Seed, check_ranges
from mvt4g.systems.bad_items import going_on
from mvt4g.systems.shares import check_shares
from mvt4g.systems.trained import clip_names
from mvt4g.types import InputError, MultiViewClip

BESIDE = ("warp_error", "warp_error_dyn", "warp_error_truth")
"""Metrics of a test beside those of the preset."""


@dataclass(frozen=True)
class WarpEvaluation:
    """What a test measures, and how ``predict`` goes on from what was warped.

    Attributes:
        seed: Of the damage to depth, together with the clip's name; it stands in the names of results.
        videos: How warped videos are scored in test.
        lift: Of ``predict``: lift each reference and warped video into a scene; None = do not.
    """

    seed: Seed = 0
    videos: VideoMetricsSpec = VideoMetricsSpec()
    lift: PredictionLift | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "evaluation")


class WarpBaseline(LightningModule):
    """Warps each reference by its depth to the target cameras; nothing is trained and no checkpoint is read.

    Args:
        depth: Where depth comes from, and what is done to it.
        lifting: How a video is lifted and rendered.
        holes: What shows where nothing is seen: "black", the colour of the "nearest" pixel, or colours that
            "diffuse" into the hole.
        evaluation: What a test measures, and the seed.

    Raises:
        InputError: If a depth network cannot be read.
    """

    def __init__(
        self,
        depth: ReferenceDepthSpec = ReferenceDepthSpec(),
        lifting: LiftingSpec = LiftingSpec(),
        holes: HoleRule = "nearest",
        evaluation: WarpEvaluation = WarpEvaluation(),
    ) -> None:
        super().__init__()
        self.evaluation = evaluation
        self.warp = VideoWarper(ReferenceDepth(depth), lifting, holes)
        self.video_metrics: NovelViewMetrics = evaluation.videos.build(BESIDE)

    @going_on
    def predict_step(self, batch: RealClip, batch_idx: int) -> NovelView:
        """Warp one real video."""
        # ``benchmark generate`` asks for seeds of its own.
        seed = self.evaluation.seed
        if batch.seed is not None:
            seed = batch.seed
        (clip,) = clips_of(batch.clip)
        seen = self.warp(clip, seed)
        return NovelView(batch, seen.image.clamp(0, 1), None)

    def on_test_epoch_start(self) -> None:
        """Start anew.

        Raises:
            InputError: As ``check_shares``.
        """
        check_shares(self.trainer.test_dataloaders)
        self.video_metrics.reset()

    @going_on
    def test_step(self, batch: MultiViewClip | RealClip, batch_idx: int) -> EvaluationOutput:
        """Warp and score one batch.

        Raises:
            InputError: If its true target views are not known.
        """
        if isinstance(batch, RealClip):
            want = "clips of both views: the baseline scores nothing without the true target view"
            raise InputError(f"data: got real videos for test, want {want}")
        # One by one: masks and depth are of clips, and a clip's damage follows its own name.
        warped = []
        for clip in clips_of(batch):
            warped.append(self.warp(clip, self.evaluation.seed).image)
        generated = torch.stack(warped)
        videos = describe(batch, clip_names(batch), generated)
        poses = self.evaluation.videos.poses
        self.video_metrics.update(with_poses(videos, poses))
        return EvaluationOutput(batch, generated)

    def on_test_epoch_end(self) -> None:
        """Log the means."""
        self.log_dict({f"test/{key}": value.float() for key, value in self.video_metrics.compute().items()})

    def score_table(self) -> tuple[ScoreTable, dict[str, str]]:
        """Return the scores of every video, and what is to be said of them; all ranks must call it."""
        return self.video_metrics.table(), self.video_metrics.remarks()
