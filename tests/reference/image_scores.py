"""PSNR, SSIM and their masked forms from their definitions: one frame, one window, one pixel at a time, in NumPy."""

import math

import numpy as np

WINDOW, SIGMA, C1, C2 = 11, 1.5, 0.01**2, 0.03**2


def psnr(pred: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Frames (3 h w) in [0, 1]."""
    total, number = 0.0, 0
    _, height, width = pred.shape
    for row in range(height):
        for column in range(width):
            if mask is None or mask[row, column]:
                total += float(((pred[:, row, column] - target[:, row, column]) ** 2).sum())
                number += 3
    return -10 * math.log10(total / number)


def gaussian() -> np.ndarray:
    weights = np.array([math.exp(-0.5 * ((i - WINDOW // 2) / SIGMA) ** 2) for i in range(WINDOW)])
    return weights / weights.sum()


def window_ssim(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """SSIM of one window of one channel under weights that add to one."""
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    variance_x, variance_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
    covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance * (2 * covariance + C2) / (variance_x + variance_y + C2)


def ssim(pred: np.ndarray, target: np.ndarray, padded: bool) -> float:
    """Frames (3 h w); ``padded`` reflects five pixels on each side first."""
    weights = np.outer(gaussian(), gaussian())
    if padded:
        pred, target = (np.pad(image, ((0, 0), (5, 5), (5, 5)), mode="reflect") for image in (pred, target))
    _, height, width = pred.shape
    scores = [
        window_ssim(pred[c, r : r + WINDOW, k : k + WINDOW], target[c, r : r + WINDOW, k : k + WINDOW], weights)
        for c in range(3)
        for r in range(height - WINDOW + 1)
        for k in range(width - WINDOW + 1)
    ]
    return float(np.mean(scores))


def partial_blur(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blur (h w) across over the mask's pixels, scaled by 11 over their number; return where there is one."""
    height, width = image.shape
    weights = gaussian()
    blurred, seen = np.zeros((height, width - 10)), np.zeros((height, width - 10), dtype=bool)
    for row in range(height):
        for left in range(width - 10):
            inside = [i for i in range(WINDOW) if mask[row, left + i]]
            if inside:
                total = sum(weights[i] * image[row, left + i] for i in inside)
                blurred[row, left], seen[row, left] = total * WINDOW / len(inside), True
    return blurred, seen


def masked_ssim(pred: np.ndarray, target: np.ndarray, mask: np.ndarray, count_empty_windows: bool) -> float:
    """Frames (3 h w), mask (h w): DyCheck's partial convolution, across then down."""

    def blur(image):
        across, seen = partial_blur(image, mask)
        down, seen = partial_blur(across.T, seen.T)
        return down.T, seen.T

    scores = []
    for x, y in zip(pred, target, strict=True):
        (mean_x, seen), (mean_y, _) = blur(x), blur(y)
        square_x, square_y, product = (blur(values)[0] for values in (x * x, y * y, x * y))
        for index in np.ndindex(mean_x.shape):
            if not (seen[index] or count_empty_windows):
                continue
            a, b = mean_x[index], mean_y[index]
            variance_a, variance_b = max(square_x[index] - a * a, 0.0), max(square_y[index] - b * b, 0.0)
            covariance = product[index] - a * b
            covariance = math.copysign(min(math.sqrt(variance_a * variance_b), abs(covariance)), covariance)
            luminance = (2 * a * b + C1) / (a * a + b * b + C1)
            scores.append(luminance * (2 * covariance + C2) / (variance_a + variance_b + C2))
    return float(np.mean(scores)) if scores else math.nan
