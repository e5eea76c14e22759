"""Midpoints: a blend, and a warp that follows what moves."""

import pytest
import torch

from mvt4g.metrics.networks.interpolation import FlowMidpoint, linear_midpoint
from mvt4g.metrics.video.motion_smoothness import MotionSmoothness


def sliding(num_frames: int, step: int = 2) -> torch.Tensor:
    """A noise picture that moves right by ``step`` pixels a frame."""
    wide = torch.rand(3, 16, 64, generator=torch.Generator().manual_seed(0))
    return torch.stack([wide[..., 24 - step * t : 56 - step * t] for t in range(num_frames)])


class Slide:
    """The flow of ``sliding`` two frames on, by which way it goes."""

    def __init__(self, before: torch.Tensor) -> None:
        self.before = before

    def __call__(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        sign = 1.0 if torch.equal(before, self.before) else -1.0
        flow = torch.zeros(len(before), 2, *before.shape[-2:])
        flow[:, 0] = 4.0 * sign
        return flow


def test_the_warp_finds_the_frame_between():
    before, between, after = sliding(3)[:, None]
    found = FlowMidpoint(Slide(before))(before, after)
    torch.testing.assert_close(found, between, rtol=0, atol=1e-5)
    assert (linear_midpoint(before, after) - between).abs().mean() > 0.1


def test_borders_come_from_the_frame_that_shows_them():
    """Left of the picture came in after, so that only the later frame has it, and the reverse at the right."""
    before, between, after = sliding(3)[:, None]
    found = FlowMidpoint(Slide(before))(before, after)
    for edge in (slice(0, 2), slice(-2, None)):
        torch.testing.assert_close(found[..., edge], between[..., edge], rtol=0, atol=1e-5)


def test_without_motion_both_are_the_mean():
    before, _, after = sliding(3)[:, None]
    still = FlowMidpoint(lambda a, b: torch.zeros_like(a[:, :2]))
    torch.testing.assert_close(still(before, after), linear_midpoint(before, after), rtol=0, atol=1e-6)


def test_a_flow_out_of_both_pictures_falls_back_to_the_mean():
    before, _, after = sliding(3)[:, None]

    def apart(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.full_like(a[:, :2], 1000.0 if torch.equal(a, before) else -1000.0)

    torch.testing.assert_close(FlowMidpoint(apart)(before, after), linear_midpoint(before, after))


def test_a_sliding_video_is_smooth_to_the_warp_alone():
    video = sliding(3)[None]
    linear, warped = MotionSmoothness(), MotionSmoothness(FlowMidpoint(Slide(video[:, 0])), protocol="flow_warp")
    for metric in (linear, warped):
        metric.update(video)
    assert float(warped.compute()["motion_smoothness_flow_warp"]) == pytest.approx(1.0, abs=1e-5)
    assert float(linear.compute()["motion_smoothness_linear"]) < 0.9
