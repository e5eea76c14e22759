"""Cases of the metrics that compare a video with its truth."""

from functools import partial

import torch

from mvt4g.metrics.video.frechet_video import FrechetVideoDistance
from mvt4g.metrics.video.full_reference import CodecPSNR, VideoLPIPS, VideoPSNR, VideoSSIM
from mvt4g.metrics.video.masked import MaskedLPIPS, MaskedPSNR, MaskedSSIM
from mvt4g.metrics.video.velocity_error import VelocityError
from mvt4g.metrics.video.view_synchronisation import ViewSynchronisation
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


def corner(video: torch.Tensor) -> torch.Tensor:
    """Two features a video: fewer than the videos of any update, so that no covariance is rank-deficient."""
    return video[:, 0, 0, 0, :2]


def whole_videos(seed: int) -> dict[str, torch.Tensor]:
    given = videos(seed)
    del given["valid_frames"]
    return given


def patches(frames: torch.Tensor) -> torch.Tensor:
    """A feature every four pixels: the colours there, without their mean."""
    cells = torch.nn.functional.pixel_unshuffle(frames, 4)
    return (cells - cells.mean(dim=1, keepdim=True)).movedim(1, -1)


def view_pair(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    reference = torch.rand(2, 5, 3, 12, 16, generator=generator)
    shift = seed % 3 - 1
    noise = 0.1 * torch.randn(reference.shape, generator=generator)
    poses = torch.eye(4).repeat(2, 5, 1, 1)
    moved = poses.clone()
    moved[..., 0, 3] = 0.1 + 0.1 * torch.rand(2, 5, generator=generator)
    intrinsics = torch.tensor([[20.0, 0.0, 8.0], [0.0, 20.0, 6.0], [0.0, 0.0, 1.0]]).repeat(2, 5, 1, 1)
    valid = torch.ones(2, 5, dtype=torch.bool)
    valid[0, 4] = False
    return {
        "video": (reference.roll(shift, dims=1) + noise).clamp(0, 1),
        "reference_video": reference,
        "valid_frames": valid,
        "target_cam_from_world": moved,
        "reference_cam_from_world": poses,
        "target_intrinsics": intrinsics,
        "reference_intrinsics": intrinsics,
    }


def case(make, masked: bool) -> MetricCase:
    updates = tuple(videos(seed, masked) for seed in range(3))
    floats = ("video", "target_video")
    return MetricCase(make, updates, split=tuple(updates[0]), half=floats, differentiable=floats)


def coded(seed: int) -> dict[str, torch.Tensor]:
    given = videos(seed)
    return {"codec_output": given["video"], "codec_input": given["target_video"], "valid_frames": given["valid_frames"]}


def velocities(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(3, 4, 2, 5, 6, generator=generator) for name in ("velocity", "true_velocity")}


CASES = {
    "CodecPSNR": MetricCase(
        CodecPSNR,
        tuple(coded(seed) for seed in range(3)),
        split=tuple(coded(0)),
        half=("codec_output", "codec_input"),
    ),
    "VelocityError": MetricCase(
        VelocityError,
        tuple(velocities(seed) for seed in range(3)),
        split=tuple(velocities(0)),
        half=tuple(velocities(0)),
    ),
    "VideoPSNR": case(VideoPSNR, masked=False),
    "VideoSSIM": case(VideoSSIM, masked=False),
    "VideoLPIPS": case(partial(VideoLPIPS, distance), masked=False),
    "MaskedPSNR": case(MaskedPSNR, masked=True),
    "MaskedSSIM": case(MaskedSSIM, masked=True),
    "MaskedLPIPS": case(partial(MaskedLPIPS, distance_map), masked=True),
    "FrechetVideoDistance": MetricCase(
        partial(FrechetVideoDistance, corner, feature_dim=2),
        tuple(whole_videos(seed) for seed in range(3)),
        split=("video", "target_video"),
        half=("video", "target_video"),
    ),
    "ViewSynchronisation": MetricCase(
        partial(ViewSynchronisation, patches, min_similarity=0.3, max_offset=2),
        tuple(view_pair(seed) for seed in range(3)),
        split=tuple(view_pair(0)),
        half=("video", "reference_video"),
    ),
}
