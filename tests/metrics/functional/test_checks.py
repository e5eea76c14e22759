"""Wrong shapes and ranges are refused by the name of the argument."""

import pytest
import torch

from mvt4g.metrics.functional.checks import check_shape, unit_video
from mvt4g.types import InputError


def test_a_right_shape_gives_its_sizes():
    assert check_shape("video", torch.zeros(2, 5, 3, 8, 6), "b t 3 h w", t=5) == {"b": 2, "t": 5, "h": 8, "w": 6}


@pytest.mark.parametrize("shape", [(2, 4, 3, 8, 6), (2, 5, 1, 8, 6), (5, 3, 8, 6), (2, 5, 3, 8, 6, 1)])
def test_a_wrong_shape_is_named(shape):
    with pytest.raises(InputError, match=r"video: got shape \(.*want \(b, t, 3, h, w\) with t=5"):
        check_shape("video", torch.zeros(shape), "b t 3 h w", t=5)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 4, 3), (2, 3, 3)])
def test_an_axis_that_is_named_twice_is_looked_at_twice(shape):
    for axes in ("b 4 4", "b d d"):
        if shape[1] != shape[2] or axes == "b 4 4":
            with pytest.raises(InputError, match=rf"poses: got shape \({shape[0]}, {shape[1]}, {shape[2]}\)"):
                check_shape("poses", torch.zeros(shape), axes)
    assert check_shape("poses", torch.zeros(2, 4, 4), "b d d") == {"b": 2, "d": 4}


def test_bytes_become_unit_floats():
    assert unit_video("video", torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])


def test_half_precision_is_promoted():
    assert unit_video("video", torch.ones(2, dtype=torch.float16)).dtype == torch.float32


@pytest.mark.parametrize("value", [-1.0, 255.0, float("nan"), float("inf")])
def test_values_outside_the_range_are_refused(value):
    with pytest.raises(InputError, match=r"video: got values .* want \[0, 1\]"):
        unit_video("video", torch.tensor([0.5, value]))


def test_other_integers_are_refused():
    with pytest.raises(InputError, match=r"video: got torch\.int64"):
        unit_video("video", torch.zeros(3, dtype=torch.int64))
