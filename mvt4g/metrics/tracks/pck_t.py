"""DyCheck's percentage of correctly transferred keypoints, averaged over videos."""

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.tracks import pck_t
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.types import InputError


class PCKT(PerVideoMetric):
    """PCK-T: keypoints carried from frame to frame, correct strictly within ``ratio`` of the image's longer side.

    The mean over keypoints of a pair of frames, then over the pairs of a video that have any, then over videos. A
    video without common keypoints is left out and counted.

    Args:
        image_size: Height and width in pixels.
        ratio: Threshold over the longer side; DyCheck's is 0.05.

    Raises:
        InputError: If the size or the ratio is not positive.

    Example:
        >>> import torch
        >>> metric = PCKT(image_size=(100, 60))
        >>> pred = torch.tensor([[[[4.9, 0.0], [5.0, 0.0]], [[0.0, 0.0], [9.0, 0.0]]]])
        >>> visible = torch.tensor([[[True, True], [True, False]]])
        >>> metric.update(pred, torch.zeros(1, 2, 2, 2), visible)
        >>> metric.compute()
        {'pck_t': tensor(0.7500, dtype=torch.float64), 'num_missing': tensor(0)}

    Source: DyCheck (Gao et al. 2022), ``compute_pck`` and the means of its keypoint-transfer task.
    """

    key = "pck_t"
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, image_size: tuple[int, int], ratio: float = 0.05) -> None:
        super().__init__(["pck_t"])
        if not (min(image_size) > 0 and ratio > 0):
            raise InputError(f"image_size, ratio: got {image_size}, {ratio}, want both positive")
        self.image_size = image_size
        self.ratio = ratio

    def update(
        self,
        pred: Float[Tensor, "b p n 2"],
        target: Float[Tensor, "b p n 2"],
        visible: Bool[Tensor, "b p n"],
    ) -> None:
        """Add b videos of p pairs of frames; arguments as in ``functional.tracks.pck_t``."""
        sizes = check_shape("target", target, "b p n 2")
        check_shape("pred", pred, "b p n 2", **sizes)
        check_shape("visible", visible, "b p n", **sizes)
        for video in zip(pred, target, visible, strict=True):
            share = pck_t(*video, image_size=self.image_size, ratio=self.ratio)
            self.add_video({"pck_t": share})

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the mean over videos, and how many have no common keypoints."""
        return {"pck_t": self.mean("pck_t"), "num_missing": self.num_missing("pck_t")}
