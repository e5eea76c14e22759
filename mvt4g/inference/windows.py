"""Overlapping windows over long videos: a query is carried from the window it lies in to those before and after."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.types import InputError

TrackWindow = Callable[[range, Float[Tensor, "1 q 4"]], VideoTracks]
"""Tracks queries whose frames count from the window's first one; a batch of one clip."""


def windows_over(num_frames: int, length: int, overlap: int, option: str = "tracker.overlap") -> list[range]:
    """Return windows of ``length`` frames that share ``overlap`` or more with the one before; the last ends the video.

    Args:
        num_frames: Of the video.
        length: Of a window.
        overlap: Least number of frames shared.
        option: What a message calls ``overlap``.

    Raises:
        InputError: If windows would not move on, or share no frame.
    """
    if not 0 < overlap < length:
        raise InputError(f"{option}: got {overlap} with windows of {length} frames, want 1 to {length - 1}")
    if num_frames <= length:
        return [range(num_frames)]
    last = num_frames - length
    # The last window may share more than ``overlap``: all are of one length, which the codec takes.
    starts = [*range(0, last, length - overlap), last]
    return [range(start, start + length) for start in starts]


def track_in_windows(
    track: TrackWindow,
    queries: Float[Tensor, "1 q 4"],
    windows: list[range],
) -> VideoTracks:
    """Track query points through a whole video, window by window.

    A query is tracked in every window that holds its frame, and a frame's answer is that of the first of them, its
    home, or else of the window nearest to it. Beyond, the query is carried forwards and backwards: in the frames that
    the next window shares, the most confident of those positions in either view at which it is seen (or of all, where
    it is seen nowhere) becomes the query of the next window.

    Args:
        track: Answers for one window.
        queries: (view, video frame, x, y), pixels.
        windows: Of ``windows_over``.

    Raises:
        InputError: If there is no query, or one outside the windows.
    """
    frames = queries[0, :, 1]
    if not len(frames):
        raise InputError("queries: got none, want at least one (view, frame, x, y)")
    if not (frames.min() >= 0 and frames.max() < windows[-1].stop):
        got = f"frames {frames.min():g} to {frames.max():g}"
        raise InputError(f"queries: got {got}, want 0 to {windows[-1].stop - 1}")
    carried = CarriedTracks(queries, windows)
    # Forwards through all windows, then backwards: a query's home may lie anywhere.
    for number in range(len(windows)):
        carried.visit(number, number - 1, track)
    for number in carried.earlier_windows():
        carried.visit(number, number + 1, track)
    return carried.tracks


class CarriedTracks:
    """Tracks of query points that are carried from window to window; ``track_in_windows`` says how.

    Windows are visited from the first to the last, each right after the one before it, and then those of
    ``earlier_windows``: backwards to the first.

    Args:
        queries: (view, video frame, x, y), pixels; at least one, all inside the windows.
        windows: Of ``windows_over``.
    """

    def __init__(self, queries: Float[Tensor, "1 q 4"], windows: list[range]) -> None:
        self.queries = queries
        self.windows = windows
        self.home = _home_windows(queries[0, :, 1], windows)
        self._gathered: _Gathered | None = None

    @property
    def tracks(self) -> VideoTracks:
        """What is known; zeros in frames that no visited window has answered."""
        assert self._gathered is not None, "every query has a home, which is visited"
        return self._gathered.tracks

    def earlier_windows(self) -> range:
        """Return the windows, last first, that some query has to be carried back to: those before the last home."""
        return range(int(self.home.max()) - 1, -1, -1)

    def visit(self, number: int, came_from: int, track: TrackWindow) -> None:
        """Track in one window all queries that have reached it, those that lie in it and those carried there.

        Args:
            number: Of the window.
            came_from: The neighbour that was visited before it; -1 before the first window.
            track: Answers for this window; called once, or not at all where no query has reached it.
        """
        forwards = came_from < number
        window = self.windows[number]
        frames = self.queries[0, :, 1]
        reached = self.home <= number if forwards else self.home > number
        chosen = reached.nonzero()[:, 0]
        if not len(chosen):
            return
        asked = self.queries[0, chosen].clone()
        carried = (frames[chosen] < window.start) | (frames[chosen] >= window.stop)
        if self._gathered is not None and bool(carried.any()):
            shared = _shared(window, self.windows[came_from])
            asked[carried] = self._gathered.best(chosen[carried], shared)
        asked[:, 1] -= window.start
        found = track(window, asked[None])
        if self._gathered is None:
            self._gathered = _Gathered.empty(found, self.windows[-1].stop, self.queries.shape[1])
        self._gathered.add(found, window, chosen)

    def state(self) -> dict[str, Shaped[Tensor, "..."]]:
        """Return what ``restore`` goes on from; empty before any query was tracked."""
        if self._gathered is None:
            return {}
        return {**vars(self._gathered.tracks), "known": self._gathered.known}

    def restore(self, state: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Go on from a ``state`` of the same queries and windows."""
        if state:
            tracks = VideoTracks(state["tracks"], state["visible"], state["confidence"])
            self._gathered = _Gathered(tracks, state["known"])


@dataclass(frozen=True)
class _Gathered:
    """What is known so far of every query; ``known`` is True in the frames that have an answer."""

    tracks: VideoTracks
    known: Bool[Tensor, "t q"]

    @staticmethod
    def empty(like: VideoTracks, num_frames: int, num_queries: int) -> "_Gathered":
        shape = (1, like.tracks.shape[1], num_frames, num_queries)
        tracks = like.tracks.new_zeros(*shape, 2)
        nothing = VideoTracks(tracks, like.visible.new_zeros(shape), like.confidence.new_zeros(shape))
        known = torch.zeros(num_frames, num_queries, dtype=torch.bool, device=tracks.device)
        return _Gathered(nothing, known)

    def best(self, chosen: Int[Tensor, " p"], frames: range) -> Float[Tensor, "p 4"]:
        """Return the queries (view, video frame, x, y) to go on from: the best positions in these frames."""
        shared = slice(frames.start, frames.stop)
        tracks = self.tracks.tracks[0, :, shared][:, :, chosen].flatten(0, 1)
        confidence = self.tracks.confidence[0, :, shared][:, :, chosen]
        visible = self.tracks.visible[0, :, shared][:, :, chosen]
        # Confidence is at most 1: a position at which the point is seen comes before all others.
        score = confidence + visible
        moment = score.flatten(0, 1).argmax(dim=0)
        xy = tracks[moment, torch.arange(len(chosen), device=moment.device)]
        view = moment // len(frames)
        frame = frames.start + moment % len(frames)
        when = torch.stack([view, frame], dim=-1)
        return torch.cat([when.to(xy.dtype), xy], dim=-1)

    def add(self, found: VideoTracks, window: range, chosen: Int[Tensor, " p"]) -> None:
        """Take in a window's answer in the frames that have none yet."""
        frame = torch.arange(window.start, window.stop, device=chosen.device)[:, None]
        new = ~self.known[frame, chosen]
        for name in ("tracks", "visible", "confidence"):
            whole = getattr(self.tracks, name)
            part = getattr(found, name)
            kept = new[..., None] if name == "tracks" else new
            before = whole[0][:, frame, chosen]
            whole[0][:, frame, chosen] = torch.where(kept, part[0], before)
        self.known[frame, chosen] = True


def _home_windows(
    frames: Float[Tensor, " q"],
    windows: list[range],
) -> Int[Tensor, " q"]:
    stops = frames.new_tensor([window.stop for window in windows])
    return torch.searchsorted(stops, frames.contiguous(), right=True)


def _shared(window: range, other: range) -> range:
    return range(max(window.start, other.start), min(window.stop, other.stop))
