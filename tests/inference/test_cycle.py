"""How far points come back from the other view, on a head that is told what to say."""

import torch

from mvt4g.inference.cycle import cycle_distance
from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.types import TrackPrediction

FRAMES, POINTS = 3, 4


class ToldHead:
    """Moves every query by (3, 4) in the other view, and keeps what it was asked."""

    def __call__(self, queries: torch.Tensor) -> TrackPrediction:
        self.asked = queries
        tracks = queries[:, None, None, :, 2:].expand(1, 1, FRAMES, POINTS, 2)
        moved = torch.cat([tracks, tracks + torch.tensor([3.0, 4.0])], dim=1)
        is_first = (queries[..., 0] == 0)[:, None, None, :, None]
        positions = torch.where(is_first, moved, moved.flip(1))[None]
        logits = torch.zeros(1, 1, 2, FRAMES, POINTS)
        return TrackPrediction(positions, logits, logits, torch.arange(FRAMES))


def test_points_are_asked_anew_where_they_were_found_and_measured_at_home():
    queries = torch.tensor([[[0, 1, 5, 5], [1, 0, 9, 2], [0, 2, 7, 7], [0, 0, 1, 1]]]).float()
    tracks = 20 * torch.rand(1, 2, FRAMES, POINTS, 2, generator=torch.Generator().manual_seed(0))
    tracks[0, 1, 2, 2] = torch.nan
    visible = torch.ones(1, 2, FRAMES, POINTS, dtype=torch.bool)
    visible[0, 1, 2, 2] = False  # not seen, and nowhere
    visible[0, 0, 1, 0] = False  # in its own view, which does not count
    head = ToldHead()
    found = VideoTracks(tracks, visible, torch.ones(1, 2, FRAMES, POINTS))
    distance = cycle_distance(head, queries, found)
    assert head.asked[0, :, :2].tolist() == [[1, 1], [0, 0], [1, 2], [1, 0]]
    for number, (view, frame, x, y) in enumerate(queries[0].long().tolist()):
        there = tracks[0, 1 - view, frame, number]
        wanted = torch.nan if number == 2 else float((there + torch.tensor([3.0, 4.0]) - torch.tensor([x, y])).norm())
        torch.testing.assert_close(float(distance[0, number]), float(wanted), equal_nan=True, atol=1e-4, rtol=0)
