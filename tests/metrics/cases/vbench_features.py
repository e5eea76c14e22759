"""Cases of the VBench dimensions that look at features of frames."""

from functools import partial

import torch
from torch import Tensor

from mvt4g.metrics.video.aesthetic_quality import AestheticQuality
from mvt4g.metrics.video.background_consistency import BackgroundConsistency
from mvt4g.metrics.video.subject_consistency import SubjectConsistency
from tests.metrics.cases.case import MetricCase


def corner_colours(frames: Tensor) -> Tensor:
    """A toy extractor of 12 numbers: the colours near the corners."""
    return frames[:, :, 1::10, 2::9][:, :, :2, :2].flatten(1) - 0.5


def weighted(unit: Tensor) -> Tensor:
    """A toy rating: a fixed linear head."""
    return unit @ torch.linspace(-1, 3, unit.shape[1], device=unit.device)[:, None] + 4


def videos(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    valid = torch.rand(3, 5, generator=generator) < 0.8
    valid[:, :2] = True
    return {"video": torch.rand(3, 5, 3, 12, 20, generator=generator), "valid_frames": valid}


def case(make) -> MetricCase:
    return MetricCase(
        make=make,
        updates=(videos(0), videos(1), videos(2)),
        split=("video", "valid_frames"),
        half=("video",),
        differentiable=("video",),
    )


CASES = {
    "SubjectConsistency": case(partial(SubjectConsistency, corner_colours)),
    "SubjectConsistency by frame": case(partial(SubjectConsistency, corner_colours, None, average="frame")),
    "BackgroundConsistency": case(partial(BackgroundConsistency, corner_colours, frames_at_once=4)),
    "AestheticQuality": case(partial(AestheticQuality, corner_colours, weighted)),
}
