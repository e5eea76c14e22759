"""Cases of the camera metrics."""

from functools import partial

import torch

from mvt4g.metrics.camera.camera_pose import CameraPoseError, RelativePoseAccuracy
from tests.metrics.cases.case import MetricCase
from tests.metrics.made_up_paths import disturbed, path

INPUTS = ("pred_world_from_cam", "target_world_from_cam", "registered")


def cameras(seed: int) -> dict[str, torch.Tensor]:
    """Three videos, one of which fails in the second update."""
    target = path(3, 6, seed=seed)
    registered = torch.rand(3, 6, generator=torch.Generator().manual_seed(seed)) < 0.9
    registered[:, :2] = True
    if seed == 1:
        registered[1] = False
    pred = disturbed(target, seed, turn=0.05 * (seed + 1))
    pred[~registered] = torch.nan
    return dict(zip(INPUTS, (pred.float(), target.float(), registered), strict=True))


UPDATES = tuple(cameras(seed) for seed in range(3))
ERROR = partial(CameraPoseError, on_failure="skip", orthonormalize=True)
COMMON = {"updates": UPDATES, "split": INPUTS, "half": INPUTS[:2]}

CASES = {
    "CameraPoseError": MetricCase(make=ERROR, **COMMON),
    "CameraPoseError nan": MetricCase(make=partial(ERROR, on_failure="nan"), **COMMON),
    "CameraPoseError camI2V": MetricCase(make=partial(ERROR, protocol="camI2V", on_failure="penalty"), **COMMON),
    "CameraPoseError redirector": MetricCase(make=partial(ERROR, protocol="redirector"), **COMMON),
    "RelativePoseAccuracy": MetricCase(make=partial(RelativePoseAccuracy, orthonormalize=True), **COMMON),
}
