"""Parts and rates of a video, by hand and against a loop."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvt4g.data.frame_selection import FrameSelection, nearest_in_time
from mvt4g.types import InputError

EVEN = [frame / 24 for frame in range(48)]
UNEVEN = [frame / 24 for frame in range(12)] + [0.5 + frame / 8 for frame in range(12)]
"""24 a second for half a second, then 8."""


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({}, range(48)),
        ({"start": 40}, range(40, 48)),
        ({"end": 5}, range(5)),
        ({"start": 3, "end": 20, "step": 4}, (3, 7, 11, 15, 19)),
        ({"start_s": 1.0, "end_s": 1.25}, range(24, 30)),
        ({"start_s": 1.01, "end_s": 9.0}, range(25, 48)),
        ({"start": 30, "start_s": 1.0}, range(30, 48)),
        ({"fps": 24.0}, range(48)),
        ({"fps": 8.0}, range(0, 48, 3)),
        ({"fps": 8.0, "start": 1}, range(1, 48, 3)),
        ({"fps": 10.0, "end": 24}, (0, 2, 5, 7, 10, 12, 14, 17, 19, 22)),
        ({"fps": 0.1}, (0,)),
    ],
)
def test_parts_by_hand(options, want):
    """At 10 a second frame 2.4 is wanted, then 4.8, 7.2, ..., 21.6."""
    assert FrameSelection(**options).of(EVEN, "a") == tuple(want)


def test_rates_of_an_uneven_video_go_by_time():
    """12 a second is over the second half's 8: there frames stand twice, as a player shows them."""
    assert FrameSelection(fps=4.0).of(UNEVEN, "a") == (0, 6, 12, 14, 16, 18, 20, 22)
    assert FrameSelection(fps=8.0).of(UNEVEN, "a")[:6] == (0, 3, 6, 9, 12, 13)
    kept = FrameSelection(fps=12.0).of(UNEVEN, "a")
    assert kept[:8] == (0, 2, 4, 6, 8, 10, 12, 13)
    times = np.array(UNEVEN)[list(kept)]
    assert np.abs(times - np.arange(len(kept)) / 12).max() <= 1 / 16 + 1e-9
    assert len(set(kept)) < len(kept)


def test_a_span_cuts_both_ends():
    assert FrameSelection().of(EVEN, "a", (0.5, 1.0)) == tuple(range(12, 25))
    assert FrameSelection(start=2).of(EVEN, "a", (-1.0, 0.1)) == (2,)


@given(
    times=st.lists(st.integers(0, 400), min_size=1, max_size=20, unique=True),
    moments=st.lists(st.integers(-50, 450), max_size=20),
)
def test_nearest_is_what_a_loop_finds(times, moments):
    times = sorted(times)
    found = nearest_in_time([time / 40 for time in times], [moment / 40 for moment in moments])
    want = [min(range(len(times)), key=lambda k: (abs(times[k] - moment), k)) for moment in moments]
    assert found.tolist() == want


@given(st.floats(0.5, 24.0), st.integers(1, 60))
def test_no_moment_is_further_than_half_a_frame(fps, count):
    times = np.arange(count) / 24
    kept = FrameSelection(fps=fps).of(times.tolist(), "a")
    moments = np.arange(len(kept)) / fps
    assert np.abs(times[list(kept)] - moments).max() <= 0.5 / 24 + 2e-6
    assert all(after > before for before, after in itertools.pairwise(kept))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 5, "end": 5}, "frames: got start 5 and end 5, want 0 <= start < end"),
        ({"start_s": 2.0, "end_s": 1.0}, "frames: got start_s 2.0 and end_s 1.0"),
        ({"step": 0}, "size.frames.step: got 0, want at least 1"),
        ({"fps": 0.0}, "size.frames.fps: got 0.0, want more than 0"),
        ({"folder_fps": -1.0}, "size.frames.folder_fps: got -1.0"),
        ({"fps": 8.0, "step": 2}, "size.frames: got step 2 and fps 8.0, want one of them"),
        ({"fps": 30.0}, "a: size.frames.fps: got 30, want at most 24, the video's own rate: frames are not made up"),
        ({"start": 48}, "a: got 48 frames, none of them frames from 48"),
        ({"start_s": 2.5}, "a: got 48 frames, none of them from 2.5 s"),
    ],
)
def test_what_cannot_be_is_named(options, message):
    with pytest.raises(InputError, match=message):
        FrameSelection(**options).of(EVEN, "a")
