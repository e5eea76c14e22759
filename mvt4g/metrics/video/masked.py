"""PSNR, SSIM and LPIPS of the pixels of a mask (DyCheck's mPSNR, mSSIM, mLPIPS), means over frames, then videos.

A frame whose mask is empty has no score: it is left out and counted under ``num_empty_frames``.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.frames import mean_over_frames, score_frames, video_pair
from mvt4g.metrics.functional.masked import masked_lpips, masked_psnr, masked_ssim
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.video.full_reference import (
    PSNR_FRAMES_AT_ONCE,
    SSIM_FRAMES_AT_ONCE,
    Video,
    check_cap,
    check_window,
    mean_psnr,
)
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import InputError


class MaskedPSNR(PerVideoMetric):
    """PSNR in dB of each frame's masked pixels, range 1.

    Args:
        cap_db: Value above which no frame counts higher, identical ones among them; None leaves these out and counts
            them.

    Raises:
        InputError: If the cap is not positive.

    Example:
        >>> import torch
        >>> metric = MaskedPSNR()
        >>> target = torch.zeros(1, 2, 3, 8, 8)
        >>> mask = torch.zeros(1, 2, 8, 8, dtype=torch.bool)
        >>> mask[0, 0, :4] = True
        >>> metric.update(target + 0.1, target, mask)
        >>> [round(float(value), 3) for value in metric.compute().values()]
        [20.0, 0.0, 1.0]

    Source: DyCheck (Gao et al. 2022), mPSNR.
    """

    key = "masked_psnr"
    is_differentiable = True
    higher_is_better = True
    plot_lower_bound = 0.0

    def __init__(self, cap_db: float | int | None = None) -> None:
        super().__init__(columns=("masked_psnr", "num_identical_frames", "num_empty_frames"))
        check_cap(cap_db)
        self.cap_db = cap_db

    def update(
        self,
        video: Video,
        target_video: Video,
        mask: Bool[Tensor, "b t h w"],
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos in [0, 1] or uint8, their truth, and the pixels that count."""
        pred, target, valid = video_pair(video, target_video, valid_frames)
        shown = _shown(mask, pred, valid)
        frames = score_frames(masked_psnr, pred, target, mask, batch=PSNR_FRAMES_AT_ONCE)
        psnr, num_identical = mean_psnr(frames, shown, self.cap_db)
        num_empty = _num_empty(shown, valid)
        self.add_videos(masked_psnr=psnr, num_identical_frames=num_identical, num_empty_frames=num_empty)

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return ``masked_psnr`` in dB, NaN if no frame has one, and the counts of frames without."""
        return {
            "masked_psnr": self.mean("masked_psnr"),
            "num_identical_frames": self.total("num_identical_frames"),
            "num_empty_frames": self.total("num_empty_frames"),
        }


class MaskedSSIM(PerVideoMetric):
    """SSIM of each frame's masked pixels, by partial convolution with an 11x11 Gaussian window, sigma 1.5.

    Args:
        count_empty_windows: Average over all windows, as DyCheck's code does, not only over those that hold a pixel of
            the mask; the others are exactly 1 there and a frame with an empty mask scores 1. For comparison with
            numbers of that code.

    Example:
        >>> import torch
        >>> metric = MaskedSSIM()
        >>> video = torch.rand(1, 2, 3, 16, 16)
        >>> metric.update(video, video, torch.ones(1, 2, 16, 16, dtype=torch.bool))
        >>> metric.compute()["masked_ssim"]
        tensor(1., dtype=torch.float64)

    Source: DyCheck (Gao et al. 2022), mSSIM.
    """

    key = "masked_ssim"
    is_differentiable = True
    higher_is_better = True
    plot_lower_bound = -1.0
    plot_upper_bound = 1.0

    def __init__(self, count_empty_windows: bool = False) -> None:
        super().__init__(columns=("masked_ssim", "num_empty_frames"))
        self.count_empty_windows = count_empty_windows

    def update(
        self,
        video: Video,
        target_video: Video,
        mask: Bool[Tensor, "b t h w"],
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos in [0, 1] or uint8, at least 11 pixels on each side, their truth, and the pixels that count."""
        pred, target, valid = video_pair(video, target_video, valid_frames)
        check_window(pred)
        shown = _shown(mask, pred, valid)
        # DyCheck's code scores a frame with an empty mask too, as perfect.
        counted = valid if self.count_empty_windows else shown
        score = partial(masked_ssim, count_empty_windows=self.count_empty_windows)
        frames = score_frames(score, pred, target, mask, batch=SSIM_FRAMES_AT_ONCE)
        self.add_videos(masked_ssim=mean_over_frames(frames, counted), num_empty_frames=_num_empty(shown, valid))

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return ``masked_ssim`` in [-1, 1], NaN if no frame has one, and the count of frames without a mask."""
        return {"masked_ssim": self.mean("masked_ssim"), "num_empty_frames": self.total("num_empty_frames")}


class MaskedLPIPS(PerVideoMetric):
    """LPIPS' map averaged over each frame's masked pixels, of images that are black elsewhere. Lower is better.

    Args:
        lpips_map: Takes two batches of frames (n 3 h w) in [0, 1], returns a distance for every pixel (n h w);
            ``networks.lpips.load_lpips(..., spatial=True)`` builds it from local weights. DyCheck's is AlexNet's.
        frames_at_once: Frames that go through the network together.

    Example:
        >>> import torch
        >>> metric = MaskedLPIPS(lambda a, b: (a - b).abs().mean(dim=1))
        >>> video = torch.full((1, 1, 3, 8, 8), 0.75)
        >>> metric.update(video, video - 0.25, torch.ones(1, 1, 8, 8, dtype=torch.bool))
        >>> metric.compute()["masked_lpips"]
        tensor(0.2500, dtype=torch.float64)

    Source: DyCheck (Gao et al. 2022), mLPIPS.
    """

    key = "masked_lpips"
    weights = ("alexnet",)
    is_differentiable = True
    higher_is_better = False
    plot_lower_bound = 0.0

    def __init__(
        self,
        lpips_map: Callable[[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]], Float[Tensor, "n h w"]],
        frames_at_once: int = 16,
    ) -> None:
        super().__init__(columns=("masked_lpips", "num_empty_frames"))
        self.net = FrozenNet(lpips_map)
        self.frames_at_once = frames_at_once

    @classmethod
    def from_weights(cls, files: MetricWeights) -> "MaskedLPIPS":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.lpips import load_lpips

        return cls(load_lpips(files.path("alexnet"), spatial=True))

    def update(
        self,
        video: Video,
        target_video: Video,
        mask: Bool[Tensor, "b t h w"],
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos in [0, 1] or uint8, their truth, and the pixels that count."""
        pred, target, valid = video_pair(video, target_video, valid_frames)
        shown = _shown(mask, pred, valid)
        score = partial(masked_lpips, self.net)
        frames = score_frames(score, pred, target, mask, batch=self.frames_at_once)
        self.add_videos(masked_lpips=mean_over_frames(frames, shown), num_empty_frames=_num_empty(shown, valid))

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return ``masked_lpips``, NaN if no frame has one, and the count of frames without a mask."""
        return {"masked_lpips": self.mean("masked_lpips"), "num_empty_frames": self.total("num_empty_frames")}


def _shown(
    mask: Shaped[Tensor, "*mask"], video: Shaped[Tensor, "b t c h w"], valid: Bool[Tensor, "b t"]
) -> Bool[Tensor, "b t"]:
    """Check a mask and return the valid frames of which it shows a pixel."""
    b, t, _, h, w = video.shape
    check_shape("mask", mask, "b t h w", b=b, t=t, h=h, w=w)
    if mask.dtype != torch.bool:
        raise InputError(f"mask: got {mask.dtype}, want torch.bool")
    return valid & mask.flatten(2).any(dim=-1)


def _num_empty(shown: Bool[Tensor, "b t"], valid: Bool[Tensor, "b t"]) -> Int[Tensor, " b"]:
    return (valid & ~shown).sum(dim=-1)
