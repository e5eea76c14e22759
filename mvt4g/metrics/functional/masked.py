"""PSNR, SSIM and LPIPS of the pixels of a mask, as DyCheck computes them on co-visible regions.

Pixels outside the mask reach no score: whatever they hold, the values are the same.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
"""Side of SSIM's Gaussian window and its standard deviation, pixels."""
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2
"""SSIM's constants for values in [0, 1]."""


def masked_mean(values: Float[Tensor, "*b h w"], mask: Bool[Tensor, "*b h w"]) -> Float[Tensor, " *b"]:
    """Return the mean over the pixels of the mask; NaN where it is empty."""
    number = mask.sum(dim=(-2, -1))
    mean = torch.where(mask, values, 0.0).sum(dim=(-2, -1)) / number.clamp(min=1)
    return torch.where(number > 0, mean, torch.nan)


def masked_psnr(
    pred: Float[Tensor, "*b 3 h w"], target: Float[Tensor, "*b 3 h w"], mask: Bool[Tensor, "*b h w"]
) -> Float[Tensor, " *b"]:
    """Return -10 log10 of the mean squared error over the mask, dB; infinite where nothing differs, NaN if it is empty.

    Args:
        pred: Values in [0, 1].
        target: Values in [0, 1].
        mask: True = the pixel counts.

    Example:
        >>> import torch
        >>> target = torch.zeros(3, 4, 4)
        >>> masked_psnr(target + 0.1, target, torch.ones(4, 4, dtype=torch.bool))
        tensor(20.)

    Source: DyCheck (Gao et al. 2022), mPSNR. Its code gives an empty mask infinity.
    """
    error = masked_mean((pred.float() - target.float()).square().mean(dim=-3), mask)
    same = error == 0
    return torch.where(same, torch.inf, -10 * torch.where(same, 1.0, error).log10())


def masked_ssim(
    pred: Float[Tensor, "n 3 h w"],
    target: Float[Tensor, "n 3 h w"],
    mask: Bool[Tensor, "n h w"],
    count_empty_windows: bool = False,
) -> Float[Tensor, " n"]:
    """Return the mean SSIM of the 11x11 windows that hold a pixel of the mask; NaN where no window does.

    Each window is blurred across, then down, over the mask's pixels alone, and the sum scaled by 11 over their number
    (a partial convolution). Only windows that lie wholly in the image count.

    Args:
        pred: Values in [0, 1], h and w at least 11.
        target: Values in [0, 1].
        mask: True = the pixel counts.
        count_empty_windows: Average over all windows, as DyCheck's code does. One without a pixel of the mask scores
            exactly 1 there, so that the smaller the mask, the better the score.

    Source: DyCheck (Gao et al. 2022), mSSIM; Liu et al. 2018, Partial Convolutions, section 3.1.
    """
    x = pred.float()
    y = target.float()
    # The five moments go through one blur together.
    moments = torch.cat([x, y, x * x, y * y, x * y], dim=1)
    blurred, seen = _partial_blur(*_partial_blur(moments, mask, dim=-1), dim=-2)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = blurred.chunk(5, dim=1)
    variance_x = (mean_xx - mean_x.square()).clamp(min=0)
    variance_y = (mean_yy - mean_y.square()).clamp(min=0)
    # Rounding may leave a covariance beyond what the variances allow, and a score above 1.
    product = variance_x * variance_y
    bound = torch.where(product > 0, torch.where(product > 0, product, 1.0).sqrt(), 0.0)
    covariance = (mean_xy - mean_x * mean_y).clamp(min=-bound, max=bound)
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x.square() + mean_y.square() + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance_x + variance_y + SSIM_C2)
    windows = (luminance * structure).mean(dim=1)
    if count_empty_windows:
        return windows.mean(dim=(-2, -1))
    return masked_mean(windows, seen)


def masked_lpips(
    distance_map: Callable[[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]], Float[Tensor, "n h w"]],
    pred: Float[Tensor, "n 3 h w"],
    target: Float[Tensor, "n 3 h w"],
    mask: Bool[Tensor, "n h w"],
) -> Float[Tensor, " n"]:
    """Return the mean over the mask of LPIPS' map of two images that are black outside of it; NaN where it is empty.

    Args:
        distance_map: Takes two batches of images in [0, 1], returns a distance for every pixel.
        pred: Values in [0, 1].
        target: Values in [0, 1].
        mask: True = the pixel counts.

    Source: DyCheck (Gao et al. 2022), mLPIPS. Its code gives an empty mask 0, which is a perfect score.
    """
    shown = rearrange(mask, "n h w -> n 1 h w")
    black_outside = torch.where(shown, pred, 0.0)
    distance = distance_map(black_outside, torch.where(shown, target, 0.0))
    return masked_mean(distance, mask)


def _partial_blur(
    images: Float[Tensor, "n c h w"], mask: Bool[Tensor, "n h w"], dim: int
) -> tuple[Float[Tensor, "n c H W"], Bool[Tensor, "n H W"]]:
    """Blur (n c h w) along ``dim``; sums are written out, for convolutions are rounded by TF32 and autocast."""
    offsets = torch.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = (-0.5 * (offsets / SSIM_SIGMA).square()).exp()
    weights = weights / weights.sum()
    shown = torch.where(rearrange(mask, "n h w -> n 1 h w"), images, 0.0)
    total = _weighted_window(shown, dim, weights.tolist())
    # A partial convolution: the sum over the mask's pixels, scaled up by the window over their number.
    number = _weighted_window(mask.float(), dim, SSIM_WINDOW * [1.0])
    scale = torch.where(number > 0, SSIM_WINDOW / number.clamp(min=1), 0.0)
    return total * rearrange(scale, "n h w -> n 1 h w"), number > 0


def _weighted_window(
    images: Float[Tensor, "..."],
    dim: int,
    weights: list[float],
) -> Float[Tensor, "..."]:
    length = images.shape[dim] - SSIM_WINDOW + 1
    total = weights[0] * images.narrow(dim, 0, length)
    for start, weight in enumerate(weights[1:], start=1):
        total = total.add_(images.narrow(dim, start, length), alpha=weight)
    return total
