"""Cases of the metrics of point tracks."""

from functools import partial

import torch

from mvt4g.metrics.pck import PCK
from tests.metrics.cases.case import MetricCase


def tracks(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = 64 * torch.rand(3, 5, 20, 2, generator=generator)
    pred = target + (1 + seed) * torch.randn(3, 5, 20, 2, generator=generator)
    return {"pred": pred, "target": target, "visible": torch.rand(3, 5, 20, generator=generator) < 0.7}


CASES = {
    "PCK": MetricCase(
        make=partial(PCK, threshold_px=2.0),
        updates=(tracks(0), tracks(1), tracks(2)),
        split=("pred", "target", "visible"),
        half=("pred", "target"),
    )
}
