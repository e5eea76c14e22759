"""Flicker, smoothness and motion: golden values, VBench's bugs by name, slow twins, and what has no value."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mvt4g.metrics.functional.motion import (
    dynamic_degree,
    flow_magnitude,
    motion_smoothness,
    moving_pairs_needed,
    sampling_step,
    temporal_flickering,
)
from mvt4g.metrics.networks.interpolation import linear_midpoint
from tests.reference import vbench_motion


def grey(*levels: float) -> torch.Tensor:
    """Frames of one grey each, levels in bytes."""
    return torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, 3, 4, 6) / 255


def noise(num_frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, 3, 5, 7), dtype=np.uint8)


def test_flicker_golden():
    assert float(temporal_flickering(grey(0, 255, 255))) == pytest.approx(0.5, abs=1e-12)


def test_a_still_does_not_flicker():
    assert float(temporal_flickering(grey(90, 90, 90))) == 1.0


@pytest.mark.parametrize(("levels", "score"), [((0, 50, 100, 150, 200), 1.0), ((0, 100, 0), 0.607843137)])
def test_smoothness_goldens(levels, score):
    assert float(motion_smoothness(grey(*levels), linear_midpoint)) == pytest.approx(score, abs=1e-7)


def test_vbench_drops_the_last_frame_of_an_even_number():
    smooth, jump = (motion_smoothness(grey(0, 50, 100, last), linear_midpoint) for last in (150, 255))
    assert float(smooth) == float(jump) == pytest.approx(1.0)
    assert float(motion_smoothness(grey(0, 50, 100, 255, 200), linear_midpoint)) < 0.8  # inside it counts


def test_vbench_cuts_interpolated_frames_to_bytes():
    video = grey(0, 51, 101)  # 50.5 between
    exact, cut = (float(motion_smoothness(video, linear_midpoint, cut_to_bytes=how)) for how in (False, True))
    assert exact == pytest.approx(1 - 0.5 / 255, abs=1e-6)
    assert cut == pytest.approx(1 - 1 / 255, abs=1e-6)


@pytest.mark.parametrize("num_frames", [0, 1, 2])
def test_too_few_frames_have_no_smoothness(num_frames):
    assert motion_smoothness(grey(*range(num_frames)), linear_midpoint).isnan()


@pytest.mark.parametrize("num_frames", [0, 1])
def test_one_frame_does_not_flicker_nor_rest(num_frames):
    assert temporal_flickering(grey(*range(num_frames))).isnan()


@given(seed=st.integers(0, 99), valid=st.lists(st.booleans(), min_size=1, max_size=9))
def test_flicker_and_smoothness_are_the_slow_twins(seed, valid):
    frames = noise(len(valid), seed)
    video, there = torch.from_numpy(frames).float() / 255, torch.tensor(valid)
    slow = vbench_motion.flickering(list(frames), valid)
    np.testing.assert_allclose(float(temporal_flickering(video, there)), slow, atol=1e-7)
    slow = vbench_motion.smoothness(list(frames), valid, lambda before, after: (before + after) / 2)
    np.testing.assert_allclose(float(motion_smoothness(video, linear_midpoint, there)), slow, atol=1e-7)
    np.testing.assert_allclose(
        float(motion_smoothness(video, linear_midpoint, there, pairs_at_once=1)), slow, atol=1e-7
    )


def test_the_twins_tell_frames_apart():
    frames = noise(5)
    straight = vbench_motion.smoothness(list(frames), [True] * 5, lambda before, after: (before + after) / 2)
    shuffled = vbench_motion.smoothness(list(frames[[1, 0, 2, 3, 4]]), [True] * 5, lambda b, a: (b + a) / 2)
    assert abs(straight - shuffled) > 1e-3


def test_flow_magnitude_is_the_slow_twin():
    flow = np.random.default_rng(0).normal(size=(4, 2, 9, 13)).astype(np.float32)
    found = flow_magnitude(torch.from_numpy(flow))
    np.testing.assert_allclose(found.numpy(), [vbench_motion.top_flow(pair) for pair in flow], rtol=1e-6)
    assert (found > flow_magnitude(torch.from_numpy(flow), share=1.0) * 1.5).all()


def test_vbench_has_no_motion_on_tiny_frames():
    """It takes int(0.05 * 16) = 0 pixels there, whose mean is NaN; we take one."""
    flow = torch.zeros(1, 2, 4, 4)
    flow[0, 0, 1, 2] = 5.0
    assert float(flow_magnitude(flow)) == 5.0


def test_dynamic_goldens():
    fast, at_threshold = (torch.full((15,), length, dtype=torch.float64) for length in (10.0, 6.0))
    assert float(dynamic_degree(fast, 16, 256)) == 1.0
    assert float(dynamic_degree(at_threshold, 16, 256)) == 0.0
    assert float(dynamic_degree(at_threshold, 16, 255)) == 1.0


@pytest.mark.parametrize(("moving", "dynamic"), [(3, 0.0), (4, 1.0)])
def test_a_quarter_of_the_frames_must_move(moving, dynamic):
    magnitudes = torch.tensor([10.0] * moving + [0.0] * (15 - moving), dtype=torch.float64)
    assert float(dynamic_degree(magnitudes, 16, 256)) == dynamic


@pytest.mark.parametrize(("num_frames", "ours", "vbench"), [(2, 1, 0), (6, 2, 2), (10, 3, 2), (14, 4, 4), (16, 4, 4)])
def test_vbench_rounds_ties_to_even(num_frames, ours, vbench):
    assert moving_pairs_needed(num_frames) == ours
    assert moving_pairs_needed(num_frames, compat=True) == vbench


def test_vbench_calls_two_still_frames_dynamic():
    still = torch.zeros(1, dtype=torch.float64)
    assert vbench_motion.vbench_is_dynamic([0.0], 2, 256)
    assert float(dynamic_degree(still, 2, 256, compat=True)) == 1.0
    assert dynamic_degree(still, 2, 256).isnan()


@pytest.mark.parametrize("compat", [False, True])
def test_no_frame_has_no_dynamic_degree(compat):
    assert dynamic_degree(torch.zeros(0, dtype=torch.float64), 0, 256, compat).isnan()


def test_frames_without_a_neighbour_have_no_dynamic_degree():
    assert dynamic_degree(torch.zeros(0, dtype=torch.float64), 5, 256).isnan()


def test_a_flow_that_is_no_number_has_no_dynamic_degree():
    assert dynamic_degree(torch.tensor([9.0, math.nan, 9.0], dtype=torch.float64), 4, 256).isnan()


@given(lengths=st.lists(st.sampled_from([0.0, 5.9, 6.0, 6.1, 30.0]), max_size=20))
def test_compat_is_vbench(lengths):
    magnitudes = torch.tensor(lengths, dtype=torch.float64)
    found = float(dynamic_degree(magnitudes, len(lengths) + 1, 256, compat=True))
    assert found == vbench_motion.vbench_is_dynamic(lengths, len(lengths) + 1, 256)


def test_ours_and_vbench_differ_on_a_tie():
    magnitudes = torch.tensor([10.0] * 2 + [0.0] * 7, dtype=torch.float64)
    assert float(dynamic_degree(magnitudes, 10, 256)) == 0.0
    assert float(dynamic_degree(magnitudes, 10, 256, compat=True)) == 1.0


@pytest.mark.parametrize(("fps", "step"), [(None, 1), (1, 1), (8, 1), (16, 2), (24, 3), (29.97, 4), (30, 4)])
def test_about_eight_frames_a_second_are_compared(fps, step):
    assert sampling_step(fps) == step
