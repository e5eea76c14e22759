"""Overlapping windows: for an answer that does not depend on the window, a boundary changes nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.inference.windows import track_in_windows, windows_over
from mvt4g.types import InputError

VIEWS = 2


def path(view: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
    """How far everything has moved in a view and frame."""
    return torch.stack([3.0 * view + 0.5 * frame, -2.0 * view + 0.25 * frame**2], dim=-1)


class Exact:
    """Knows the motion, so that a query anywhere tells the whole track; a point is seen while its x is under 12."""

    def __init__(self) -> None:
        self.asked: list[tuple[range, torch.Tensor]] = []

    def __call__(self, window: range, queries: torch.Tensor) -> VideoTracks:
        self.asked.append((window, queries[0].clone()))
        view, frame = torch.meshgrid(torch.arange(VIEWS), torch.arange(window.start, window.stop), indexing="ij")
        start = queries[0, :, 2:] - path(queries[0, :, 0], queries[0, :, 1] + window.start)
        tracks = path(view.float(), frame.float())[:, :, None] + start
        return VideoTracks(tracks[None], tracks[None, ..., 0] < 12, torch.exp(-tracks[None, ..., 1].abs() / 100))


@settings(max_examples=60, deadline=None)
@given(
    num_frames=st.integers(2, 23), length=st.integers(2, 9), data=st.data(),
)  # fmt: skip
def test_a_boundary_changes_nothing(num_frames, length, data):
    overlap = data.draw(st.integers(1, length - 1))
    frames = data.draw(st.lists(st.integers(0, num_frames - 1), min_size=1, max_size=5))
    queries = torch.tensor([[[i % 2, frame, 1.5 * i, 7.0 - i] for i, frame in enumerate(frames)]], dtype=torch.float32)
    whole = Exact()(range(num_frames), queries)
    found = track_in_windows(Exact(), queries, windows_over(num_frames, length, overlap))
    torch.testing.assert_close(found.tracks, whole.tracks, rtol=0, atol=1e-3)
    assert torch.equal(found.visible, whole.visible)
    torch.testing.assert_close(found.confidence, whole.confidence)


@pytest.mark.parametrize(
    ("num_frames", "length", "overlap", "starts"),
    [(10, 4, 2, [0, 2, 4, 6]), (9, 4, 2, [0, 2, 4, 5]), (4, 4, 1, [0]), (3, 4, 1, [0]), (11, 5, 1, [0, 4, 6])],
)
def test_windows_cover_the_video(num_frames, length, overlap, starts):
    windows = windows_over(num_frames, length, overlap)
    assert [window.start for window in windows] == starts
    assert {frame for window in windows for frame in window} == set(range(num_frames))
    assert all(len(window) == min(length, num_frames) for window in windows)


@pytest.mark.parametrize("overlap", [0, 4])
def test_windows_must_share_frames_and_move_on(overlap):
    with pytest.raises(InputError, match=f"overlap: got {overlap} with windows of 4"):
        windows_over(9, 4, overlap)


def test_the_next_query_is_the_most_confident_position_that_is_seen():
    """Of the frames shared, 2 and 3, the point is seen in view 0 alone, and more surely in frame 2."""
    exact = Exact()
    queries = torch.tensor([[[0.0, 0.0, 9.5, 0.0]]])
    track_in_windows(exact, queries, windows_over(6, 4, 2))
    (_, first), (window, second) = exact.asked
    assert first.tolist() == [[0.0, 0.0, 9.5, 0.0]]
    assert window == range(2, 6)
    assert second.tolist() == [[0.0, 0.0, 10.5, 1.0]], "frame 2 of the video is frame 0 of its window"


def test_windows_are_asked_only_for_queries_they_can_answer():
    exact = Exact()
    queries = torch.tensor([[[0.0, 8.0, 1.0, 1.0], [0.0, 0.0, 2.0, 2.0]]])
    track_in_windows(exact, queries, windows_over(10, 4, 2))
    assert [(window.start, len(asked)) for window, asked in exact.asked] == [
        (0, 1), (2, 1), (4, 1), (6, 2), (4, 1), (2, 1), (0, 1),
    ]  # fmt: skip


def off_by_two(window: range, queries: torch.Tensor) -> VideoTracks:
    """Off by 2 px everywhere, and as sure of it anywhere."""
    found = Exact()(window, queries)
    return VideoTracks(found.tracks + 2.0, torch.ones_like(found.visible), torch.ones_like(found.confidence))


def test_a_query_is_asked_as_it_is_in_every_window_that_holds_its_frame():
    """Frame 3 lies in the first two windows: the second does not take over the first one's error."""
    queries = torch.tensor([[[0.0, 3.0, 5.0, 5.0], [1.0, 4.0, 5.0, 5.0]]])
    found = track_in_windows(off_by_two, queries, windows_over(8, 4, 2))
    whole = Exact()(range(8), queries)
    off = (found.tracks - whole.tracks)[0, 0, :, :, 0].T
    assert off[0].tolist() == pytest.approx([2, 2, 2, 2, 2, 2, 4, 4])
    assert off[1].tolist() == pytest.approx([4, 4, 2, 2, 2, 2, 2, 2]), "home is frames 2 to 5; 4 to 7 hold it too"


@pytest.mark.parametrize(
    ("frames", "says"), [([], "got none"), ([0.0, 8.0], "got frames 0 to 8, want 0 to 7"), ([-1.0], "got frames -1")]
)
def test_queries_outside_the_windows_are_refused(frames, says):
    queries = torch.zeros(1, len(frames), 4)
    queries[0, :, 1] = torch.tensor(frames)
    with pytest.raises(InputError, match=f"queries: {says}"):
        track_in_windows(Exact(), queries, windows_over(8, 4, 2))


def test_an_answer_that_drifts_is_that_of_the_window_nearest_the_query():
    """Negative control: a tracker that is off by 1 px a window shows where the boundaries are."""

    def drifting(window: range, queries: torch.Tensor) -> VideoTracks:
        found = Exact()(window, queries)
        return VideoTracks(found.tracks + 1.0, found.visible, found.confidence)

    queries = torch.tensor([[[0.0, 0.0, 0.0, 0.0]]])
    whole = Exact()(range(8), queries)
    found = track_in_windows(drifting, queries, windows_over(8, 4, 2))
    off = (found.tracks - whole.tracks)[0, 0, :, 0, 0]
    assert off.tolist() == pytest.approx([1, 1, 1, 1, 2, 2, 3, 3])
