"""Cases of the metrics that compare a video with its truth."""

from functools import partial

import torch

from mvt4g.metrics.full_reference import VideoLPIPS, VideoPSNR, VideoSSIM
from mvt4g.metrics.masked import MaskedLPIPS, MaskedPSNR, MaskedSSIM
from tests.metrics.cases.case import MetricCase


def videos(seed: int, masked: bool = False) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(3, 4, 3, 14, 16, generator=generator)
    noise = (0.05 + 0.05 * seed) * torch.randn(target.shape, generator=generator)
    given = {
        "video": (target + noise).clamp(0, 1),
        "target_video": target,
        "valid_frames": torch.rand(3, 4, generator=generator) < 0.8,
    }
    if masked:
        given["mask"] = torch.rand(3, 4, 14, 16, generator=generator) < 0.3
        given["mask"][0, 0] = False
    return given


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return distance_map(a, b).mean(dim=(1, 2))


def distance_map(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).abs().mean(dim=1)


def case(make, masked: bool) -> MetricCase:
    updates = tuple(videos(seed, masked) for seed in range(3))
    floats = ("video", "target_video")
    return MetricCase(make, updates, split=tuple(updates[0]), half=floats, differentiable=floats)


CASES = {
    "VideoPSNR": case(VideoPSNR, masked=False),
    "VideoSSIM": case(VideoSSIM, masked=False),
    "VideoLPIPS": case(partial(VideoLPIPS, distance), masked=False),
    "MaskedPSNR": case(MaskedPSNR, masked=True),
    "MaskedSSIM": case(MaskedSSIM, masked=True),
    "MaskedLPIPS": case(partial(MaskedLPIPS, distance_map), masked=True),
}
