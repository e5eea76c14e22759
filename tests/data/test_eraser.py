import math

import numpy as np
import pytest
import torch

from mvt4g.data.eraser import Box, EraserSpec
from mvt4g.types import InputError
from tests.data.made_up_clips import moving_clip, video_and_cameras

ALWAYS = EraserSpec(probability=1.0, boxes=(2, 4), side=(0.1, 0.5))


def test_points_in_a_box_are_occluded_and_no_others():
    clip = moving_clip(points=400)
    out = ALWAYS.draw(clip, np.random.default_rng(0))
    erased = (out.video != clip.video).any(dim=2)
    lost = clip.visible & ~out.visible
    assert int(lost.sum()) > 20
    for view, frame, point in lost.nonzero():
        x, y = clip.tracks[view, frame, point].floor().long()
        assert erased[view, frame, y, x]
    for view, frame, point in out.visible.nonzero():
        x, y = clip.tracks[view, frame, point].floor().long()
        assert not erased[view, frame, y, x]


def test_the_first_frame_and_the_target_stay_and_so_does_the_input():
    clip = moving_clip()
    video, visible = clip.video.clone(), clip.visible.clone()
    out = ALWAYS.draw(clip, np.random.default_rng(0))
    assert torch.equal(out.video[:, 0], video[:, 0])
    assert torch.equal(out.video[1], video[1])
    assert not torch.equal(out.video[0], video[0])
    assert torch.equal(clip.video, video)
    assert torch.equal(clip.visible, visible)
    for field in ("tracks", "points_world", "depth", "instances"):
        assert getattr(out, field) is getattr(clip, field), field
    both = EraserSpec(1.0, side=(0.1, 0.5), views=(0, 1)).draw(clip, np.random.default_rng(0))
    assert not torch.equal(both.video[1], video[1])


def test_a_box_is_of_its_own_mean_colour():
    clip = moving_clip()
    out = EraserSpec(1.0, (1, 1), (0.25, 0.25)).draw(clip, np.random.default_rng(3))
    rows, columns = (out.video[0, 1] != clip.video[0, 1]).any(dim=0).nonzero().unbind(dim=1)
    box = slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)
    assert max(box[0].stop - box[0].start, box[1].stop - box[1].start) <= 8, "a quarter of 32 pixels"
    mean = clip.video[0, 1][:, *box].mean(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(out.video[0, 1][:, *box], mean.expand_as(out.video[0, 1][:, *box]))


def test_frames_are_hit_as_often_as_asked_for():
    clip = moving_clip(frames=2)
    hit = sum(
        not torch.equal(EraserSpec(0.3).draw(clip, np.random.default_rng(seed)).video, clip.video)
        for seed in range(300)
    )
    assert abs(hit - 90) < 3 * math.sqrt(300 * 0.3 * 0.7) + 6, "a box of one pixel changes nothing"


def test_video_and_cameras_are_enough():
    assert ALWAYS.draw(video_and_cameras(), np.random.default_rng(0)).visible is None


def test_a_box_s_far_sides_are_outside():
    xy = torch.tensor([[1.0, 2.0], [4.0, 2.0], [3.99, 5.99], [3.0, 6.0]])
    assert Box(2, 1, 6, 4).covers(xy).tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"probability": -0.1}, "probability: got -0.1"),
        ({"boxes": (0, 3)}, r"boxes: got \(0, 3\)"),
        ({"side": (0.5, 0.1)}, r"side: got \(0\.5, 0\.1\)"),
        ({"views": (2,)}, r"views: got \(2,\)"),
    ],
)
def test_bad_values_are_named(values, says):
    with pytest.raises(InputError, match=rf"sampling\.augment\.eraser\.{says}"):
        EraserSpec(**values)
