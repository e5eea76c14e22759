"""Smoothness with interpolators of one's own: the key names them, and they get what they were promised."""

import pytest
import torch

from mvt4g.metrics.video.motion_smoothness import MotionSmoothness
from mvt4g.types import InputError


def ramp(num_frames: int) -> torch.Tensor:
    return torch.arange(0, 20 * num_frames, 20, dtype=torch.uint8).reshape(1, -1, 1, 1, 1).expand(1, -1, 3, 4, 6)


def later(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    return after


def test_the_key_names_the_interpolator():
    default, own = MotionSmoothness(), MotionSmoothness(later, protocol="later")
    for metric in (default, own):
        metric.update(ramp(5))
    assert {key: float(value) for key, value in default.compute().items()} == pytest.approx(
        {"motion_smoothness_linear": 1.0}, abs=1e-6
    )
    assert {key: float(value) for key, value in own.compute().items()} == pytest.approx(
        {"motion_smoothness_later": 1 - 20 / 255}, abs=1e-6
    )


def test_another_interpolator_cannot_be_called_linear():
    with pytest.raises(InputError, match="protocol: got linear for another interpolator"):
        MotionSmoothness(later)


def test_the_interpolator_gets_even_frames_few_at_a_time():
    seen = []

    def recorded(before, after):
        seen.append([(255 * frames[:, 0, 0, 0]).round().tolist() for frames in (before, after)])
        return (before + after) / 2

    MotionSmoothness(recorded, protocol="recorded", pairs_at_once=2).update(ramp(8))
    assert seen == [[[0, 40], [40, 80]], [[80], [120]]]


def test_videos_under_three_frames_have_no_value_and_are_counted():
    metric = MotionSmoothness()
    metric.update(ramp(2))
    metric.update(ramp(5).expand(2, -1, -1, -1, -1), torch.tensor([[True, True, False, True, True], [True] * 5]))
    assert metric.per_video("motion_smoothness_linear").isnan().tolist() == [True, True, False]
    assert float(metric.compute()["motion_smoothness_linear"]) == pytest.approx(1.0)


@pytest.mark.usefixtures("without_shape_hook")
def test_an_interpolator_of_another_size_is_refused():
    metric = MotionSmoothness(lambda before, after: before[..., :3], protocol="cut")
    with pytest.raises(InputError, match="interpolator: got shape"):
        metric.update(ramp(3))


def test_no_pairs_at_once_is_refused():
    with pytest.raises(InputError, match="pairs_at_once: got 0"):
        MotionSmoothness(pairs_at_once=0)
