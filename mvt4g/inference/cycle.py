"""How far query points come back from the other view: what a tracking head says of itself, without any truth."""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor

from mvt4g.inference.video_tracks import VideoTracks, at_video_frames
from mvt4g.types import TrackPrediction


@torch.no_grad()
def cycle_distance(
    track: Callable[[Float[Tensor, "b q 4"]], TrackPrediction],
    queries: Float[Tensor, "b q 4"],
    found: VideoTracks,
) -> Float[Tensor, "b q"]:
    """Return how far from its query each point lands that is carried to the other view's frame and back, pixels.

    NaN where the point is not seen in the other view's frame of the query's own time.

    Args:
        track: Tracks queries in the same two videos.
        queries: (view, video frame, x, y), pixels; of two views.
        found: Where it tracked them.
    """
    view = queries[..., 0].long()
    frame = queries[..., 1].long()
    there = _at(found.tracks, 1 - view, frame)
    seen = _at(rearrange(found.visible, "b v t q -> b v t q 1"), 1 - view, frame)[..., 0]
    # The head takes a point outside the image too, as long as it is a number.
    start = torch.where(there.isfinite(), there, 0.0)
    asked = torch.cat([(1 - view)[..., None].to(start), frame[..., None].to(start), start], dim=-1)
    back = at_video_frames(track(asked), found.tracks.shape[-3])
    distance = torch.linalg.vector_norm(_at(back.tracks, view, frame) - queries[..., 2:], dim=-1)
    return torch.where(seen, distance, torch.nan)


def _at(
    values: Shaped[Tensor, "b v t q c"],
    view: Shaped[Tensor, "b q"],
    frame: Shaped[Tensor, "b q"],
) -> Shaped[Tensor, "b q c"]:
    """Return each point's value in a view and frame of its own."""
    batch, _, _, points, _ = values.shape
    clip = torch.arange(batch, device=values.device)[:, None]
    return values[clip, view, frame, torch.arange(points, device=values.device)]
