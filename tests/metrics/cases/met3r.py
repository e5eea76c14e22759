"""Cases of MEt3R and of the same on colour patches."""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from mvt4g.metrics.networks.geometry import PairGeometry, geometry_from_depth
from mvt4g.metrics.video.met3r import MEt3R, WarpRGB5
from tests.metrics.cases.case import MetricCase
from tests.metrics.made_up_pairs import camera, turned
from tests.metrics.view_records import with_views


def pooled_colours(images: Tensor) -> Tensor:
    """Stands for a network: one feature to each 2x2 pixels."""
    return functional.avg_pool2d(images, 2).movedim(1, -1)


def flat_world(images: Tensor) -> PairGeometry:
    """Stands for a 3R model: sees a wall, and the second camera so far to the right that the wall moves by 2 pixels."""
    height, width = images.shape[-2:]
    depth = torch.full((2, height, width), 2.0, device=images.device)
    first_from_second = torch.eye(4, device=images.device)
    first_from_second[0, 3] = 2 * 2.0 / width
    intrinsics = camera(float(width), height, width).to(images.device)
    return geometry_from_depth(depth, intrinsics.expand(2, 3, 3), first_from_second)


def videos(seed: int, frames: int = 3, size: tuple[int, int] = (8, 12)) -> dict[str, Tensor]:
    """Two videos of two moving cameras before a rough wall, and half the picture dynamic."""
    draw = torch.Generator().manual_seed(seed)
    lead, (height, width) = (2, frames), size
    dynamic = torch.zeros(*lead, height, width, dtype=torch.bool)
    dynamic[..., : width // 2] = True
    poses = [
        turned(0.0, 0.02 * frame, 0.0, translation=(0.1 * view, 0.05 * frame, 0.0))
        for view in (0, 1)
        for frame in range(frames)
    ]
    poses = torch.stack(poses).unflatten(0, (2, frames))[:, None].expand(2, *lead, 4, 4)
    intrinsics = camera(float(width), height, width).expand(*lead, 3, 3)
    return {
        "video": torch.rand(*lead, 3, height, width, generator=draw),
        "reference_video": torch.rand(*lead, 3, height, width, generator=draw),
        "target_depth": 2 + 0.1 * torch.rand(*lead, height, width, generator=draw),
        "reference_depth": 2 + 0.1 * torch.rand(*lead, height, width, generator=draw),
        "target_cam_from_world": poses[1],
        "reference_cam_from_world": poses[0],
        "target_intrinsics": intrinsics,
        "reference_intrinsics": intrinsics,
        "target_dynamic": dynamic,
        "valid_frames": torch.rand(*lead, generator=draw) < 0.8,
    }


def chosen(seed: int, size: tuple[int, int], *names: str) -> dict[str, Tensor]:
    every = videos(seed, size=size)
    return {name: every[name] for name in names}


CROSS = tuple(videos(0))
ONE_VIEW = ("video", "target_depth", "target_cam_from_world", "target_intrinsics")
IMAGES = ("video", "reference_video")


def features_of(seed: int) -> dict[str, Tensor]:
    """Features in place of images, at half the resolution."""
    given = videos(seed)
    for name, video in (("target_features", "video"), ("reference_features", "reference_video")):
        pooled = functional.avg_pool3d(given.pop(video), (1, 2, 2))
        given[name] = pooled.movedim(2, -1)
    return given


def case(make: partial, *names: str, size: tuple[int, int] = (8, 12)) -> MetricCase:
    updates = tuple(chosen(seed, size, *names) for seed in range(3))
    images = tuple(name for name in names if name in IMAGES)
    return MetricCase(make, updates, split=names, half=images, differentiable=images, arguments=with_views)


FEATURES = ("target_features", "reference_features")
CASES = {
    "MEt3R": case(partial(MEt3R, pooled_colours), *CROSS),
    "MEt3R dynamic, tolerant": case(partial(MEt3R, pooled_colours, region="dynamic", occlusion_tolerance=0.1), *CROSS),
    "MEt3R static, one way": case(
        partial(MEt3R, pooled_colours, region="static", symmetric=False, min_coverage=0.2), *CROSS
    ),
    "MEt3R of frame pairs": case(partial(MEt3R, pooled_colours, pairs="consecutive"), *ONE_VIEW),
    "MEt3R by a 3R model": case(partial(MEt3R, pooled_colours, flat_world), *IMAGES),
    "MEt3R as the authors' code": case(
        partial(MEt3R, pooled_colours, flat_world, reference_compat=True), *IMAGES, size=(12, 12)
    ),
    "MEt3R of features": MetricCase(
        make=MEt3R,
        updates=tuple(features_of(seed) for seed in range(3)),
        split=tuple(features_of(0)),
        half=FEATURES,
        differentiable=FEATURES,
        arguments=with_views,
    ),
    "WarpRGB5": case(partial(WarpRGB5, occlusion_tolerance=0.1), *CROSS),
    "WarpRGB5 of frame pairs by a 3R model": case(partial(WarpRGB5, flat_world, pairs="consecutive"), "video"),
}
