"""The truth about query points, from what tests state at latent frames."""

import torch
from torch import Tensor

from mvt4g.types import PointTruth


def truth_of(
    queries: Tensor,
    target_tracks: Tensor,
    target_visible: Tensor,
    query_valid: Tensor | None = None,
    frame_times: Tensor | None = None,
    width: int = 64,
) -> PointTruth:
    """Put tracks (b v f q 2) and visibility (b v f q) of latent frames at the video frames these stand for.

    What does not fit stays as it is, for those who are to refuse it.
    """
    times = torch.arange(target_tracks.shape[2]) if frame_times is None else frame_times
    valid = torch.ones(queries.shape[:2], dtype=torch.bool) if query_valid is None else query_valid
    tracks, visible = at_video_frames(target_tracks, times), at_video_frames(target_visible, times)
    return PointTruth(queries, tracks, visible, valid, times, (width, width))


def at_video_frames(values: Tensor, times: Tensor) -> Tensor:
    """Return values (b v f ...) at video frames, zeros between."""
    if times.ndim != 1 or values.ndim < 4 or values.shape[2] != len(times):
        return values
    whole = values.new_zeros(*values.shape[:2], int(times.max()) + 1, *values.shape[3:])
    whole[:, :, times] = values
    return whole


def with_truth(update: dict) -> dict:
    """Return keyword arguments whose truth, told in parts, is one argument."""
    names = ("queries", "target_tracks", "target_visible", "query_valid", "frame_times")
    parts = {name: update[name] for name in names}
    return {name: value for name, value in update.items() if name not in names} | {"truth": truth_of(**parts)}
