"""Cases of the metrics of point tracks."""

from functools import partial

import torch

from mvt4g.metrics.tracks.by_pair import PCKByPair, TAPVidByPair, TAPVidPooled
from mvt4g.metrics.tracks.geometry_score import GeometryScore
from mvt4g.metrics.tracks.pck import PCK
from mvt4g.metrics.tracks.pck_t import PCKT
from mvt4g.metrics.tracks.tapvid import TAPVid
from mvt4g.metrics.tracks.tapvid_3d import TAPVid3D
from mvt4g.metrics.tracks.track_in_mask import TrackInMask
from mvt4g.types import PointTruth
from tests.metrics.cases import met3r
from tests.metrics.cases.case import MetricCase
from tests.metrics.view_records import with_views


def tracks(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = 64 * torch.rand(3, 5, 20, 2, generator=generator)
    pred = target + (1 + seed) * torch.randn(3, 5, 20, 2, generator=generator)
    return {"pred": pred, "target": target, "visible": torch.rand(3, 5, 20, generator=generator) < 0.7}


def tapvid_videos(seed: int) -> dict[str, torch.Tensor]:
    """Three videos of 48x64 with errors of a few pixels and points of every kind."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.tensor([64.0, 48.0]) * torch.rand(3, 6, 12, 2, generator=generator)
    frame = torch.randint(6, (3, 12, 1), generator=generator).float()
    flags = {name: torch.rand(3, 12, generator=generator) for name in ("same_view", "dynamic", "point_valid")}
    errors = (0.2 + seed + flags["dynamic"])[:, None, :, None] * torch.randn(target.shape, generator=generator)
    return {
        "queries": torch.cat([frame, torch.zeros(3, 12, 2)], dim=-1),
        "target": target,
        "target_visible": torch.rand(3, 6, 12, generator=generator) < 0.7,
        "pred": target + errors,
        "pred_visible": torch.rand(3, 6, 12, generator=generator) < 0.7,
        **{name: value < 0.6 for name, value in flags.items()},
    }


def tapvid_3d_videos(seed: int) -> dict[str, torch.Tensor]:
    """Three videos whose prediction is of another scale."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(3, 6, 12, 3, generator=generator) + torch.tensor([0.0, 0.0, 6.0])
    error = 0.05 * (1 + seed) * torch.randn(3, 6, 12, 3, generator=generator)
    return {
        "target": target,
        "target_visible": torch.rand(3, 6, 12, generator=generator) < 0.7,
        "pred": 1.7 * (target + error),
        "pred_visible": torch.rand(3, 6, 12, generator=generator) < 0.7,
        "intrinsics": torch.diag(torch.tensor([100.0, 120.0, 1.0])).repeat(3, 1, 1),
        "query_frames": torch.randint(6, (3, 12), generator=generator).float(),
        "point_valid": torch.rand(3, 12, generator=generator) < 0.8,
    }


def keypoints(seed: int) -> dict[str, torch.Tensor]:
    """Three videos of 48x64, seven pairs of frames each."""
    generator = torch.Generator().manual_seed(seed)
    target = 48 * torch.rand(3, 7, 9, 2, generator=generator)
    return {
        "pred": target + (2 + seed) * torch.randn(3, 7, 9, 2, generator=generator),
        "target": target,
        "visible": torch.rand(3, 7, 9, generator=generator) < 0.5,
    }


def pair_tracks(seed: int) -> dict[str, torch.Tensor]:
    """Two clips of 48x64 whose points are queried in either view."""
    generator = torch.Generator().manual_seed(seed)
    true_tracks = torch.tensor([64.0, 48.0]) * torch.rand(2, 2, 5, 14, 2, generator=generator)
    view, frame = (torch.randint(most, (2, 14), generator=generator) for most in (2, 5))
    start = true_tracks[torch.arange(2)[:, None], view, frame, torch.arange(14)]
    return {
        "tracks": true_tracks + (1 + seed) * torch.randn(true_tracks.shape, generator=generator),
        "visible": torch.rand(2, 2, 5, 14, generator=generator) < 0.7,
        "queries": torch.cat([view[..., None], frame[..., None], start], dim=-1),
        "true_tracks": true_tracks,
        "true_visible": torch.rand(2, 2, 5, 14, generator=generator) < 0.7,
        "valid": torch.rand(2, 14, generator=generator) < 0.9,
        "dynamic": torch.rand(2, 14, generator=generator) < 0.5,
    }


def with_point_truth(update: dict) -> dict:
    """Return keyword arguments whose truth, told in parts, is one argument."""
    truth = PointTruth(
        queries=update["queries"],
        tracks=update["true_tracks"],
        visible=update["true_visible"],
        valid=update["valid"],
        frame_times=torch.arange(5),
        image_size=(48, 64),
        dynamic=update["dynamic"],
    )
    return {name: update[name] for name in ("tracks", "visible") if name in update} | {"truth": truth}


PAIRS = tuple(pair_tracks(seed) for seed in range(3))
POSITIONS = tuple({name: value for name, value in update.items() if name != "visible"} for update in PAIRS)


def masked_tracks(seed: int) -> dict[str, torch.Tensor]:
    """Three videos of 8x10, the left half of which is an object."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor([10.0, 8.0])
    mask = torch.zeros(3, 4, 8, 10, dtype=torch.bool)
    mask[..., : 4 + seed] = True
    moment = torch.cat([torch.zeros(3, 6, 1), torch.randint(4, (3, 6, 1), generator=generator)], dim=-1)
    return {
        "tracks": size * torch.rand(3, 2, 4, 6, 2, generator=generator),
        "visible": torch.rand(3, 2, 4, 6, generator=generator) < 0.7,
        "queries": torch.cat([moment, size * torch.rand(3, 6, 2, generator=generator)], dim=-1),
        "reference_dynamic": mask,
    }


def scored_views(seed: int) -> dict[str, torch.Tensor]:
    """Points through two views of two videos, whose cameras are beside one another."""
    known = met3r.videos(seed, frames=4)
    generator = torch.Generator().manual_seed(seed)
    names = (
        "video",
        *(f"{view}_{part}" for view in ("target", "reference") for part in ("cam_from_world", "intrinsics")),
    )
    return {name: known[name] for name in names} | {
        "tracks": torch.tensor([12.0, 8.0]) * torch.rand(2, 2, 4, 9, 2, generator=generator),
        "visible": torch.rand(2, 2, 4, 9, generator=generator) < 0.9,
        "confidence": torch.rand(2, 2, 4, 9, generator=generator),
        "cycle_px": 4 * torch.rand(2, 9, generator=generator),
        "point_dynamic": torch.rand(2, 9, generator=generator) < 0.5,
    }


CASES = {
    "GeometryScore": MetricCase(
        make=GeometryScore,
        updates=tuple(scored_views(seed) for seed in range(3)),
        split=tuple(scored_views(0)),
        half=("tracks", "confidence", "cycle_px"),
        arguments=with_views,
    ),
    "PCKByPair": MetricCase(
        make=partial(PCKByPair, threshold_px=2.0),
        updates=POSITIONS,
        split=tuple(POSITIONS[0]),
        half=("tracks", "true_tracks"),
        arguments=with_point_truth,
    ),
    "TAPVidByPair": MetricCase(
        make=TAPVidByPair,
        updates=PAIRS,
        split=tuple(PAIRS[0]),
        half=("tracks", "true_tracks"),
        arguments=with_point_truth,
    ),
    "TAPVidPooled": MetricCase(
        make=TAPVidPooled,
        updates=PAIRS,
        split=tuple(PAIRS[0]),
        half=("tracks", "true_tracks"),
        arguments=with_point_truth,
    ),
    "TrackInMask": MetricCase(
        make=TrackInMask,
        updates=tuple(masked_tracks(seed) for seed in range(3)),
        split=tuple(masked_tracks(0)),
        half=("tracks", "queries"),
    ),
    "PCK": MetricCase(
        make=partial(PCK, threshold_px=2.0),
        updates=(tracks(0), tracks(1), tracks(2)),
        split=("pred", "target", "visible"),
        half=("pred", "target"),
    ),
    "TAPVid": MetricCase(
        make=partial(TAPVid, image_size=(48, 64)),
        updates=(tapvid_videos(0), tapvid_videos(1), tapvid_videos(2)),
        split=tuple(tapvid_videos(0)),
        half=("queries", "target", "pred"),
    ),
    "TAPVid3D": MetricCase(
        make=TAPVid3D,
        updates=(tapvid_3d_videos(0), tapvid_3d_videos(1)),
        split=tuple(tapvid_3d_videos(0)),
        half=("target", "pred", "intrinsics", "query_frames"),
    ),
    "PCKT": MetricCase(
        make=partial(PCKT, image_size=(48, 64)),
        updates=(keypoints(0), keypoints(1)),
        split=("pred", "target", "visible"),
        half=("pred", "target"),
    ),
}
