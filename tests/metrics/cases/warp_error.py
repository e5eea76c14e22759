"""Cases of the error of a warped view, by true depth and by the best one."""

from functools import partial

import torch
from torch import Tensor

from mvt4g.metrics.video.epipolar_colour import EpipolarColour
from mvt4g.metrics.video.warp_error import WarpError
from tests.metrics.cases import met3r
from tests.metrics.cases.case import MetricCase
from tests.metrics.view_records import with_views

GEOMETRY = tuple(
    f"{view}_{part}" for view in ("target", "reference") for part in ("depth", "cam_from_world", "intrinsics")
)
COMMON = ("reference_video", *GEOMETRY, "valid_frames")


def case(make: partial, *names: str) -> MetricCase:
    updates = tuple({name: known(seed)[name] for name in (*names, *COMMON)} for seed in range(3))
    images = tuple(name for name in updates[0] if name.endswith("video"))
    return MetricCase(make, updates, split=(*names, *COMMON), half=images, arguments=with_views)


def known(seed: int) -> dict[str, Tensor]:
    """Two videos of two cameras before a rough wall, the true target view, and what moves in the reference."""
    found = met3r.videos(seed)
    generator = torch.Generator().manual_seed(100 + seed)
    found["target_video"] = torch.rand(found["video"].shape, generator=generator)
    found["reference_dynamic"] = found["target_dynamic"].flip(-1)
    return found


CAMERAS = tuple(name for name in GEOMETRY if not name.endswith("depth"))
COLOURS = ("video", "reference_video", *CAMERAS, "valid_frames")

CASES = {
    "EpipolarColour": MetricCase(
        make=EpipolarColour,
        updates=tuple({name: known(seed)[name] for name in COLOURS} for seed in range(3)),
        split=COLOURS,
        half=("video", "reference_video"),
        arguments=with_views,
    ),
    "WarpError": case(partial(WarpError), "video"),
    "WarpError dynamic": case(partial(WarpError, region="dynamic"), "video", "reference_dynamic"),
    "WarpError of the truth": case(partial(WarpError, of_truth=True), "target_video"),
}
