"""The error of a warped view: what it sees, by clips of a wall of which all is known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mvt4g.metrics.functional.warp_error import warp_error
from mvt4g.metrics.video.warp_error import WarpError
from mvt4g.types import InputError, MultiViewClip, ViewRecord
from tests.systems.wall import DEPTH, wall_batch


def view(clip: MultiViewClip, index: int) -> ViewRecord:
    cameras = clip.cameras[:, index]
    return ViewRecord(clip.video[:, index], clip.depth[:, index], cameras.cam_from_world, cameras.intrinsics)


def warp_errors(target_video: Tensor, clip: MultiViewClip, region: Tensor | None = None) -> Tensor:
    return warp_error(target_video, view(clip, 1), view(clip, 0), region)


def test_the_true_target_video_warps_onto_the_reference():
    clip = wall_batch(0, 1, 2)
    assert warp_errors(clip.video[:, 1], clip).max() < 1e-5


def test_warp_error_grows_with_wrong_content():
    clip = wall_batch(0)
    noise = torch.rand(clip.video[:, 1].shape, generator=torch.Generator().manual_seed(0)) - 0.5
    small, large = (warp_errors(clip.video[:, 1] + scale * noise, clip).item() for scale in (0.2, 0.8))
    assert small == pytest.approx(0.05, rel=0.1)  # the mean of |0.2 * uniform(-0.5, 0.5)|
    assert large == pytest.approx(0.2, rel=0.1)


def test_warp_error_grows_with_wrong_depth():
    clip = wall_batch(2)
    errors = [
        warp_errors(clip.video[:, 1], replace(clip, depth=torch.full_like(clip.depth, depth))).item()
        for depth in (DEPTH, 1.2 * DEPTH, 2 * DEPTH)
    ]
    assert errors[0] < 1e-5
    assert 0.03 < errors[1] < errors[2]


def test_warp_error_of_a_region_counts_its_pixels_alone():
    """Disparity of clip 0 is 2 px: what is wrong right of column 16 shows right of column 18 of the reference."""
    clip = wall_batch(0)
    region = torch.zeros(1, 3, 32, 32, dtype=torch.bool)
    region[..., :16] = True
    wrong = clip.video[:, 1].clone()
    wrong[..., 16:] += 0.5
    assert warp_errors(wrong, clip, region).item() < 1e-5
    assert warp_errors(wrong, clip, ~region).item() > 0.4
    assert warp_errors(wrong, clip, torch.ones_like(region)).item() == warp_errors(wrong, clip).item()
    assert warp_errors(wrong, clip, torch.zeros_like(region)).isnan().all()


def test_clips_without_a_common_pixel_have_no_warp_error():
    clip = wall_batch(0, 1)
    clip.depth[1] = 0
    assert warp_errors(clip.video[:, 1], clip).isnan().tolist() == [False, True]


def test_padding_counts_nowhere_and_the_truth_is_scored_by_its_own_video():
    clip = wall_batch(0, 1)
    wrong = clip.video[:, 1].clone()
    wrong[:, 2] = 1 - wrong[:, 2]
    target, reference = view(clip, 1), view(clip, 0)
    there = torch.tensor([[True, True, False]]).expand(2, -1)
    found = {}
    for name, valid in (("whole", None), ("without the last frame", there)):
        metric = WarpError()
        metric.update(wrong, target, reference, valid)
        found[name] = float(metric.compute())
    assert found["whole"] > 0.05
    assert found["without the last frame"] < 1e-5
    floor = WarpError(of_truth=True)
    floor.update(wrong, target, reference)
    assert floor.compute() < 1e-5


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (WarpError(), "target_depth"),
        (WarpError(region="dynamic"), "reference_dynamic"),
        (WarpError(of_truth=True), "target_video"),
    ],
)
def test_what_is_missing_is_named(metric, name):
    clip = wall_batch(0)
    view_of, _, part = name.partition("_")
    views = {"target": view(clip, 1), "reference": view(clip, 0)}
    views[view_of] = replace(views[view_of], **{part: None})
    with pytest.raises(InputError, match=f"{name}: got nothing"):
        metric.update(clip.video[:, 1], **views)


def test_another_region_is_refused(without_shape_hook):
    with pytest.raises(InputError, match="region: got 'static', want one of all, dynamic"):
        WarpError(region="static")
