"""What validation and test measure, as values that a config file states."""

from dataclasses import dataclass

from mvt4g.evaluation.video_metrics import VideoMetricsSpec
from mvt4g.inference.generation_spec import GenerationSpec
from mvt4g.inference.lifting.prediction_lift import PredictionLift
from mvt4g.ranges import Natural, OpenShare, Points, Positive, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class EvaluationSpec(GenerationSpec):
    """What validation and test measure, and how they and ``predict`` generate videos: as ``GenerationSpec``.

    Attributes:
        noise_levels: Sigmas at which attention, tracks and loss are read on noised ground truth.
        headline: The one of them that is shown first.
        attention_layers: Layers whose attention is scored, besides that of the headline (the head's, or without a head
            the first of L_corr's); None = all.
        num_queries: Query points drawn a clip.
        pck_threshold_px: Of track PCK, in pixels of the input video.
        sample_in_validation: Sample in validation too, not in test alone.
        videos: How generated videos are scored, in validation (when it samples) and in test.
        camera_shift: Give every clip the target cameras of the clip so many places before it in its batch: the control
            that shows whether cameras matter. 0 = its own.
        lift: Of ``predict``: lift each reference and generated video into a scene; None = do not.
    """

    noise_levels: tuple[OpenShare, ...] = (0.25, 0.5, 0.75)
    headline: OpenShare = 0.5
    attention_layers: tuple[Natural, ...] | None = None
    num_queries: Points = 64
    pck_threshold_px: Positive = 2.0
    sample_in_validation: bool = True
    videos: VideoMetricsSpec = VideoMetricsSpec()
    camera_shift: Natural = 0
    lift: PredictionLift | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "evaluation")
        self.check_windows()
        in_range = all(0 < level < 1 for level in self.noise_levels)
        names = {round(level, 2) for level in self.noise_levels}
        named_apart = len(names) == len(self.noise_levels)
        if not (self.noise_levels and in_range and named_apart):
            want = "sigmas in (0, 1) that differ in their first two decimals, by which scores are named"
            raise InputError(f"evaluation.noise_levels: got {self.noise_levels}, want {want}")
        if self.headline not in self.noise_levels:
            raise InputError(f"evaluation.headline: got {self.headline}, want one of {self.noise_levels}")
