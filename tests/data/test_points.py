import numpy as np
import torch

from mvt4g.data.points import take_points
from tests.data.made_up_clips import moving_clip, video_and_cameras


def test_points_that_are_seen_are_drawn_in_their_order():
    clip = moving_clip()
    part = take_points(clip, 8, np.random.default_rng(0))
    assert part.point_valid.all()
    rows = [int((clip.points_world[0] == point).all(dim=-1).nonzero()) for point in part.points_world[0]]
    assert rows == sorted(set(rows))
    for field in ("tracks", "visible"):
        assert torch.equal(getattr(part, field), getattr(clip, field)[:, :, rows]), field
    assert torch.equal(part.point_instance, clip.point_instance[rows])
    assert part.visible.any(dim=1).any(dim=0).all()
    assert all(clip.point_valid[rows])


def test_every_point_that_is_seen_is_drawn_some_time_and_no_other():
    clip = moving_clip()
    seen = (clip.visible.any(dim=1).any(dim=0) & clip.point_valid).nonzero()[:, 0]
    drawn = {
        tuple(point.tolist())
        for seed in range(60)
        for point in take_points(clip, 8, np.random.default_rng(seed)).points_world[0]
    }
    assert drawn == {tuple(clip.points_world[0, row].tolist()) for row in seen}
    assert len(seen) < len(clip.point_valid)


def test_what_is_left_over_is_padding():
    clip = moving_clip()
    part = take_points(clip, 60, np.random.default_rng(0))
    count = int(part.point_valid.sum())
    assert 8 < count < 40
    assert part.tracks.shape == (2, 3, 60, 2)
    assert not part.point_valid[count:].any()
    assert not part.visible[:, :, count:].any()


def test_a_clip_without_tracks_has_padding_alone():
    part = take_points(video_and_cameras(), 5, np.random.default_rng(0))
    assert part.tracks.shape == (2, 3, 5, 2)
    assert not part.visible.any()
    assert not part.point_valid.any()
    assert part.points_world is part.point_instance is None
