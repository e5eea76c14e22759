"""How like its truth a generated video is, frame by frame: PSNR, SSIM and LPIPS, means over frames, then videos."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from mvt4g.metrics.functional.frames import mean_over_frames, score_frames, video_pair
from mvt4g.metrics.functional.masked import SSIM_WINDOW
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.weights import MetricWeights
from mvt4g.ranges import check_word
from mvt4g.types import InputError

Border = Literal["padded", "whole"]

Video = Float[Tensor, "b t 3 h w"] | UInt8[Tensor, "b t 3 h w"]
PSNR_FRAMES_AT_ONCE = 8
"""Bounds memory."""
SSIM_FRAMES_AT_ONCE = 1
"""Four times faster on a CPU than eight, whose moments leave its cache."""


class VideoPSNR(PerVideoMetric):
    """Peak signal-to-noise ratio in dB of every frame, range 1; the mean over frames, then over videos.

    torchmetrics' own class pools the squared error of all frames before the logarithm, which is another number.
    A frame that equals its truth has an infinite PSNR: it is left out of the mean and counted, or capped.

    Args:
        cap_db: Value above which no frame counts higher, identical ones among them; None leaves these out instead.

    Raises:
        InputError: If the cap is not positive.

    Example:
        >>> import torch
        >>> metric = VideoPSNR()
        >>> target = torch.zeros(1, 2, 3, 8, 8)
        >>> metric.update(target + 0.1, target)
        >>> metric.compute()["psnr"]
        tensor(20., dtype=torch.float64)
    """

    key = "psnr"
    is_differentiable = True
    higher_is_better = True
    plot_lower_bound = 0.0

    def __init__(self, cap_db: float | int | None = None) -> None:
        super().__init__(columns=("psnr", "num_identical_frames"))
        check_cap(cap_db)
        self.cap_db = cap_db

    def update(
        self,
        video: Video,
        target_video: Video,
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos in [0, 1] or uint8 and their truth; frames that are not valid do not count."""
        pred, target, valid = video_pair(video, target_video, valid_frames)
        frames = score_frames(_psnr, pred, target, batch=PSNR_FRAMES_AT_ONCE)
        psnr, num_identical = mean_psnr(frames, valid, self.cap_db)
        self.add_videos(psnr=psnr, num_identical_frames=num_identical)

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return ``psnr`` in dB, NaN if no frame has one, and ``num_identical_frames``."""
        return {"psnr": self.mean("psnr"), "num_identical_frames": self.total("num_identical_frames")}


class CodecPSNR(PerVideoMetric):
    """PSNR in dB of what the codec makes of a true video, alone: the ceiling of every video generated through it.

    As ``VideoPSNR``: the mean over frames, then over videos; identical frames are left out and counted.

    Example:
        >>> import torch
        >>> metric = CodecPSNR()
        >>> truth = torch.zeros(1, 2, 3, 8, 8)
        >>> metric.update(truth + 0.1, truth)
        >>> metric.compute()["psnr_codec"]
        tensor(20., dtype=torch.float64)

    Source: ours.
    """

    key = "psnr_codec"
    is_differentiable = False
    higher_is_better = True
    plot_lower_bound = 0.0

    def __init__(self) -> None:
        super().__init__(columns=("psnr_codec", "num_identical_frames"))

    @torch.no_grad()
    def update(
        self,
        codec_output: Video,
        codec_input: Video,
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add what the codec made of videos in [0, 1] or uint8, and these; frames that are not valid do not count."""
        pred, target, valid = video_pair(codec_output, codec_input, valid_frames)
        frames = score_frames(_psnr, pred, target, batch=PSNR_FRAMES_AT_ONCE)
        psnr, num_identical = mean_psnr(frames, valid, cap_db=None)
        self.add_videos(psnr_codec=psnr, num_identical_frames=num_identical)

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Return ``psnr_codec`` in dB, NaN if no frame has one, and ``num_identical_frames``."""
        return {"psnr_codec": self.mean("psnr_codec"), "num_identical_frames": self.total("num_identical_frames")}


def mean_psnr(
    frames_db: Float[Tensor, "b t"], counted: Bool[Tensor, "b t"], cap_db: float | int | None
) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"]]:
    """Return each video's mean PSNR over its counted frames that have one, and how many of them are at infinity."""
    identical = counted & frames_db.isposinf()
    if cap_db is not None:
        frames_db = frames_db.clamp(max=cap_db)
    return mean_over_frames(frames_db, counted & frames_db.isfinite()), identical.sum(dim=-1)


def check_cap(cap_db: float | int | None) -> None:
    """Check a cap on PSNR.

    Raises:
        InputError: If it is not positive.
    """
    if cap_db is not None and not cap_db > 0:
        raise InputError(f"cap_db: got {cap_db}, want a positive number of dB or null")


class VideoSSIM(PerVideoMetric):
    """Structural similarity of every frame (11x11 Gaussian window, sigma 1.5); the mean over frames, then over videos.

    Args:
        border: ``padded`` reflects the image at its border and counts a window around every pixel, as torchmetrics;
            ``whole`` counts the windows that lie in the image, as the paper, scikit-image, TensorFlow and DyCheck.

    Raises:
        InputError: For another border.

    Example:
        >>> import torch
        >>> metric = VideoSSIM()
        >>> video = torch.rand(1, 2, 3, 16, 16)
        >>> metric.update(video, video)
        >>> metric.compute()
        tensor(1., dtype=torch.float64)

    Source: Wang et al. 2004, Image Quality Assessment.
    """

    key = "ssim"
    is_differentiable = True
    higher_is_better = True
    plot_lower_bound = -1.0
    plot_upper_bound = 1.0

    def __init__(self, border: Border = "padded") -> None:
        super().__init__(columns=("ssim",))
        check_word("border", border, Border)
        self.margin = 0 if border == "padded" else SSIM_WINDOW // 2

    def update(
        self,
        video: Video,
        target_video: Video,
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos in [0, 1] or uint8, at least 11 pixels on each side, and their truth."""
        pred, target, valid = video_pair(video, target_video, valid_frames)
        check_window(pred)
        frames = score_frames(self._ssim, pred, target, batch=SSIM_FRAMES_AT_ONCE)
        self.add_videos(ssim=mean_over_frames(frames, valid))

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean in [-1, 1], or NaN."""
        return self.mean("ssim")

    def _ssim(self, pred: Float[Tensor, "n 3 h w"], target: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
        """Score frames in fp32: variances are small differences, and autocast rounds convolutions."""
        with torch.autocast(pred.device.type, enabled=False):
            _, windows = structural_similarity_index_measure(
                pred, target, data_range=1.0, reduction="none", return_full_image=True
            )
        height, width = windows.shape[-2:]
        margin = self.margin
        return windows[..., margin : height - margin, margin : width - margin].mean(dim=(1, 2, 3))


def check_window(video: Float[Tensor, "b t 3 h w"]) -> None:
    """Check that SSIM's window fits into the frames.

    Raises:
        InputError: If it does not.
    """
    if min(video.shape[-2:]) < SSIM_WINDOW:
        size = " x ".join(str(side) for side in video.shape[-2:])
        raise InputError(f"video: got frames of {size}, want at least {SSIM_WINDOW} x {SSIM_WINDOW} (SSIM's window)")


class VideoLPIPS(PerVideoMetric):
    """Learned perceptual distance of every frame; the mean over frames, then over videos. Lower is better.

    Args:
        lpips: Takes two batches of frames (n 3 h w) in [0, 1], returns n distances; ``networks.lpips.load_lpips``
            builds it from local weights. Say which network: values of AlexNet and VGG do not compare.
        frames_at_once: Frames that go through the network together.

    Example:
        >>> import torch
        >>> metric = VideoLPIPS(lambda a, b: (a - b).abs().mean(dim=(1, 2, 3)))
        >>> metric.update(torch.full((1, 2, 3, 8, 8), 0.75), torch.full((1, 2, 3, 8, 8), 0.5))
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)

    Source: Zhang et al. 2018, The Unreasonable Effectiveness of Deep Features as a Perceptual Metric.
    """

    key = "lpips"
    weights = ("alexnet",)
    is_differentiable = True
    higher_is_better = False
    plot_lower_bound = 0.0

    def __init__(
        self,
        lpips: Callable[[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]], Float[Tensor, " n"]],
        frames_at_once: int = 16,
    ) -> None:
        super().__init__(columns=("lpips",))
        self.net = FrozenNet(lpips)
        self.frames_at_once = frames_at_once

    @classmethod
    def from_weights(cls, files: MetricWeights) -> "VideoLPIPS":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.lpips import load_lpips

        return cls(load_lpips(files.path("alexnet")))

    def update(
        self,
        video: Video,
        target_video: Video,
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos in [0, 1] or uint8 and their truth; frames that are not valid do not count."""
        pred, target, valid = video_pair(video, target_video, valid_frames)
        frames = score_frames(self.net, pred, target, batch=self.frames_at_once)
        self.add_videos(lpips=mean_over_frames(frames, valid))

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean distance, or NaN."""
        return self.mean("lpips")


def _psnr(pred: Float[Tensor, "n 3 h w"], target: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
    """Score frames; identical ones do not pass through the logarithm, whose gradient there is NaN."""
    differs = (pred != target).flatten(1).any(dim=1)
    # Over whole images: torchmetrics would pool the errors of all frames otherwise.
    scores = peak_signal_noise_ratio(
        pred[differs], target[differs], data_range=1.0, reduction="none", dim=(1, 2, 3)
    )  # fmt: skip
    return torch.full_like(pred[:, 0, 0, 0], torch.inf).masked_scatter(differs, scores)
