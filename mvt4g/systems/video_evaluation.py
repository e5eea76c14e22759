"""Scores of generated videos on disk, whoever generated them."""

from lightning.pytorch import LightningModule

from mvt4g.evaluation.video_metrics import VideoMetricsSpec, with_poses
from mvt4g.metrics.collection import NovelViewMetrics, ScoreTable
from mvt4g.systems.bad_items import going_on
from mvt4g.types import GeneratedVideos


class VideoEvaluation(LightningModule):
    """Runs the metrics of a protocol over the videos of a ``GeneratedVideosDataModule``; for ``test`` alone.

    Args:
        metrics: The protocol, its weights, and how cameras are estimated.

    Raises:
        InputError: If a file of weights is broken.
    """

    def __init__(self, metrics: VideoMetricsSpec = VideoMetricsSpec()) -> None:
        super().__init__()
        self.video_metrics: NovelViewMetrics = metrics.build()
        self.poses = metrics.poses

    def on_test_epoch_start(self) -> None:
        """Start anew."""
        self.video_metrics.reset()

    def score_table(self) -> tuple[ScoreTable, dict[str, str]]:
        """Return the scores of every video, and what is to be said of them; all ranks must call it."""
        return self.video_metrics.table(), self.video_metrics.remarks()

    @going_on
    def test_step(self, batch: GeneratedVideos, batch_idx: int) -> None:
        """Score a batch."""
        self.video_metrics.update(with_poses(batch, self.poses))

    def on_test_epoch_end(self) -> None:
        """Log the means."""
        self.log_dict({f"test/{key}": value.float() for key, value in self.video_metrics.compute().items()})
