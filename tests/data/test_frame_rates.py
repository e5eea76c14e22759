import math
from collections import Counter

import numpy as np
import pytest
import torch

from mvt4g.data.frame_rates import FrameSpec, at_stride, select_frames
from mvt4g.types import InputError
from tests.data.made_up_clips import moving_clip


def drawn(spec, available, count=1200):
    return [spec.draw(available, np.random.default_rng(seed), "clip") for seed in range(count)]


def test_every_rate_that_fits_and_every_start_is_drawn():
    frames = drawn(FrameSpec(3, (1, 2, 5)), 6)
    assert {tuple(entry) for entry in frames} == {
        (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 2, 4), (1, 3, 5),
    }  # fmt: skip
    strides = Counter(entry.step for entry in frames)
    assert abs(strides[1] - 600) < 3 * math.sqrt(300), "stride 5 does not fit; the others come alike"


def test_off_is_all_frames_and_draws_nothing():
    rng = np.random.default_rng(0)
    assert FrameSpec().draw(7, rng, "clip") is None
    assert FrameSpec().first(7, "clip") is None
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_a_single_frame_and_a_clip_that_just_fits():
    assert list(FrameSpec(1).draw(1, np.random.default_rng(0), "clip")) == [0]
    assert list(FrameSpec(3, (2,)).draw(5, np.random.default_rng(0), "clip")) == [0, 2, 4]


def test_held_out_clips_start_at_frame_0_at_the_first_rate_that_fits():
    assert list(FrameSpec(3, (4, 2)).first(9, "clip")) == [0, 4, 8]
    assert list(FrameSpec(3, (4, 2)).first(8, "clip")) == [0, 2, 4]


def test_a_clip_that_is_too_short_is_named():
    for call in (lambda spec: spec.first(4, "scene 7"), lambda spec: spec.draw(4, np.random.default_rng(0), "scene 7")):
        with pytest.raises(InputError, match=r"scene 7: got 4 frames, want at least 5 \(sampling\.frames\)"):
            call(FrameSpec(3, (4, 2)))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((0,), r"frames\.count: got 0, want at least 1"),
        ((3, ()), r"frames\.strides: got \(\), want one or more"),
        ((3, (0,)), r"frames\.strides: got \(0,\)"),
        ((None, (2,)), r"frames\.strides: got \(2,\) without a count"),
        ((3, (1,), 1.5), r"frames\.reversed: got 1\.5, want in \[0, 1\]"),
        ((3, (1,), float("nan")), r"frames\.reversed: got nan, want in \[0, 1\]"),
    ],
)
def test_bad_values_are_named(values, says):
    with pytest.raises(InputError, match=says):
        FrameSpec(*values)


def test_frames_are_taken_of_every_field():
    clip = moving_clip(frames=4)
    part = select_frames(clip, [1, 3])
    for field in ("video", "tracks", "visible", "depth", "instances", "dynamic", "covisible"):
        assert torch.equal(getattr(part, field), getattr(clip, field)[:, [1, 3]]), field
    assert torch.equal(part.points_world, clip.points_world[[1, 3]])
    assert torch.equal(part.cameras.cam_from_world, clip.cameras.cam_from_world[:, [1, 3]])
    assert torch.equal(part.point_instance, clip.point_instance)


def test_the_rate_follows_the_stride():
    clip = moving_clip()
    assert at_stride(clip, 1) is clip
    assert at_stride(clip, 3).fps == 8.0
