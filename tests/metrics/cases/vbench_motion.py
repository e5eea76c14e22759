"""Cases of the metrics of imaging quality and motion, with toy networks."""

from functools import partial

import torch

from mvt4g.metrics.networks.interpolation import FlowMidpoint
from mvt4g.metrics.video.dynamic_degree import DynamicDegree
from mvt4g.metrics.video.imaging_quality import ImagingFrames, ImagingQuality
from mvt4g.metrics.video.motion_smoothness import MotionSmoothness
from mvt4g.metrics.video.temporal_flickering import TemporalFlickering
from tests.metrics.cases.case import MetricCase


def videos(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    video = (torch.rand(3, 7, 3, 8, 10, generator=generator) * (0.3 + 0.2 * seed)).cumsum(dim=1).remainder(1.0)
    valid = torch.ones(3, 7, dtype=torch.bool)
    valid[1, 5:] = False
    valid[2, 2:] = seed == 0
    return {"video": video, "valid_frames": valid}


def contrast(images: torch.Tensor) -> torch.Tensor:
    return 100 * images.std(dim=(1, 2, 3))


def toy_flow(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    return 2 * (after - before)[:, :2]


UPDATES = (videos(0), videos(1), videos(2))
BATCHED = {"updates": UPDATES, "split": ("video", "valid_frames"), "half": ("video",)}
CASES = {
    "ImagingQuality": MetricCase(
        make=partial(ImagingQuality, contrast, ImagingFrames(side=9), frames_at_once=3), **BATCHED
    ),
    "TemporalFlickering": MetricCase(make=TemporalFlickering, **BATCHED),
    "MotionSmoothness": MetricCase(make=MotionSmoothness, **BATCHED),
    "MotionSmoothness-warped": MetricCase(
        make=partial(MotionSmoothness, FlowMidpoint(toy_flow), protocol="flow_warp", pairs_at_once=2), **BATCHED
    ),
    "DynamicDegree": MetricCase(make=partial(DynamicDegree, toy_flow, fps=16, pairs_at_once=2), **BATCHED),
}
