"""Which frames a model takes of a video."""

import pytest

from mvt4g.data.video_size import VideoSize, describe_frames
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
    chosen = size.choose_frames(available, "a")
    if size.time == "spread":
        assert (chosen[0], chosen[-1], len(chosen)) == (0, available - 1, len(kept))
        assert max(abs(a - b) for a, b in zip(chosen, kept, strict=True)) <= 1
    else:
        assert chosen == kept
    assert (len(chosen) - 1) % size.temporal_stride == 0


def test_chosen_frames_are_said() -> None:
    assert describe_frames((0, 1, 2), 3) == "all 3 frames"
    assert describe_frames((0, 1, 2), 9) == "frames 0 to 2 of 9"
    assert describe_frames((0, 4, 8), 9) == "3 of 9 frames, evenly spread (0, 4, 8)"


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
        VideoSize(num_frames=9, temporal_stride=4).choose_frames(4, "a.mp4")
