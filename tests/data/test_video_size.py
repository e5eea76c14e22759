"""Which frames a model takes of a video."""

import pytest

from mvt4g.data.frame_selection import FrameSelection
from mvt4g.data.video_size import VideoSize
from mvt4g.types import InputError


@pytest.mark.parametrize(
    ("size", "available", "kept"),
    [
        (VideoSize(num_frames=5), 90, (0, 1, 2, 3, 4)),
        (VideoSize(num_frames=5), 3, (0, 1, 2)),
        (VideoSize(num_frames=5, time="spread"), 9, (0, 2, 4, 6, 8)),
        (VideoSize(num_frames=5, time="spread"), 5, (0, 1, 2, 3, 4)),
        (VideoSize(num_frames=81, temporal_stride=4), 40, tuple(range(37))),
        (VideoSize(num_frames=9, temporal_stride=4, time="spread"), 8, (0, 2, 4, 5, 7)),
    ],
)
def test_frames_are_chosen(size: VideoSize, available: int, kept: tuple[int, ...]) -> None:
    chosen = size.choose_frames([frame / 24 for frame in range(available)], "a")
    if size.time == "spread":
        assert (chosen[0], chosen[-1], len(chosen)) == (0, available - 1, len(kept))
        assert max(abs(a - b) for a, b in zip(chosen, kept, strict=True)) <= 1
    else:
        assert chosen == kept
    assert (len(chosen) - 1) % size.temporal_stride == 0


@pytest.mark.parametrize(
    ("options", "kept", "available", "said"),
    [
        ({}, (0, 1, 2), 3, "all 3 frames"),
        ({}, (0, 1, 2), 9, "frames 0 to 2 of 9"),
        ({"time": "spread"}, (0, 4, 8), 9, "3 frames of 9: 0, 4, 8 (evenly spread)"),
        ({"frames": FrameSelection(step=2)}, tuple(range(0, 40, 2)), 99,
         "20 frames, 2 apart from 0 to 38, of 99 (one frame in 2)"),
        ({"frames": FrameSelection(start=3, end=9)}, (3, 4, 5), 99, "frames 3 to 5 of 99 (frames from 3 to before 9)"),
        ({"frames": FrameSelection(start_s=1.5, fps=8.0)}, (36, 39, 42), 99,
         "3 frames of 99: 36, 39, 42 (from 1.5 s, the frames nearest in time at 8 a second)"),
        ({"frames": FrameSelection(fps=2.0)}, (0, 3, 3, 5), 6,
         "4 frames of 6: 0, 3, 3, 5, 1 of them once more (the frames nearest in time at 2 a second)"),
        ({"frames": FrameSelection(end_s=2.0)}, (0, 1, 3, 4, 6, 7, 9, 10, 12), 99,
         "9 frames of 99: 0, 1, 3, 4, 6, 7, ..., 12 (from 0 s to before 2 s)"),
    ],
)  # fmt: skip
def test_chosen_frames_are_said(options: dict, kept: tuple[int, ...], available: int, said: str) -> None:
    assert VideoSize(**options).describe_frames(kept, available) == said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 0}, "size.height: got 0"),
        ({"num_frames": 6, "temporal_stride": 4}, r"size.num_frames: got 6, want 4\*m \+ 1"),
        ({"num_frames": 1}, r"size.num_frames: got 1, want 1\*m \+ 1 with m at least 1"),
        ({"time": "last"}, "size.time: got 'last', want one of first, spread"),
    ],
)
def test_bad_sizes_are_named(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        VideoSize(**options)


def test_a_video_that_is_too_short_is_named() -> None:
    with pytest.raises(InputError, match=r"a\.mp4: got 4 frames, want at least 5"):
        VideoSize(num_frames=9, temporal_stride=4).choose_frames([0.0, 0.1, 0.2, 0.3], "a.mp4")
    with pytest.raises(InputError, match=r"a\.mp4: got 2 frames of 4, want at least 5"):
        VideoSize(num_frames=9, temporal_stride=4, frames=FrameSelection(step=2)).choose_frames(
            [0.0, 1.0, 2.0, 3.0], "a.mp4"
        )


def test_selection_comes_before_first_and_spread() -> None:
    times = [frame / 24 for frame in range(100)]
    part = FrameSelection(start=10, end=51, step=2)
    assert VideoSize(num_frames=5, frames=part).choose_frames(times, "a") == (10, 12, 14, 16, 18)
    assert VideoSize(num_frames=5, frames=part, time="spread").choose_frames(times, "a") == (10, 20, 30, 40, 50)
    assert VideoSize(num_frames=5, frames=FrameSelection(fps=8.0)).choose_frames(times, "a") == (0, 3, 6, 9, 12)
