"""A metric of generated videos."""

from mvt4g.metrics.functional.checks import check_shape, unit_video
from mvt4g.metrics.per_video import PerVideoMetric


class BrightnessError(PerVideoMetric):
    """How far the mean brightness of a generated video is from that of the true one, mean over videos."""

    key = "brightness_error"
    higher_is_better = False
    is_differentiable = False

    def __init__(self) -> None:
        super().__init__([self.key])

    def update(self, video, target_video) -> None:
        """Add videos (b t 3 h w)."""
        sizes = check_shape("video", video, "b t 3 h w")
        check_shape("target_video", target_video, "b t 3 h w", **sizes)
        means = [unit_video("video", one).flatten(1).mean(dim=1) for one in (video, target_video)]
        self.add_videos(brightness_error=(means[0] - means[1]).abs())

    def compute(self):
        """Return the mean."""
        return self.mean(self.key)
