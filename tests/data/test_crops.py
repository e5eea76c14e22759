import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mvt4g.data.crops import CropSpec, Window, crop_clip
from mvt4g.types import InputError
from tests.data.made_up_clips import moving_clip, projected, video_and_cameras


def windows_of(spec, clip, count=200):
    return [spec.draw(clip, np.random.default_rng(seed)) for seed in range(count)]


@given(
    top=st.integers(0, 9), left=st.integers(0, 12), rows=st.integers(4, 14), columns=st.integers(5, 19),
    height=st.integers(4, 40), width=st.integers(4, 40),
)  # fmt: skip
def test_points_in_space_fall_on_the_tracks_of_any_crop(top, left, rows, columns, height, width):
    clip = moving_clip()
    windows = [Window(top, left, rows, columns), Window(24 - rows, 32 - columns, rows, columns)]
    cropped = crop_clip(clip, windows, (height, width))
    assert cropped.video.shape == (2, 3, 3, height, width)
    pixels, _ = projected(clip.points_world, cropped.cameras)
    seen = clip.visible
    assert (pixels - cropped.tracks)[seen].abs().max() < 1e-3
    stale, _ = projected(clip.points_world, clip.cameras)
    assert (stale - cropped.tracks)[seen].abs().max() > 1, "negative control: K of the whole image is another"


def test_what_leaves_the_image_is_no_longer_visible():
    clip = moving_clip()
    cropped = crop_clip(clip, [Window(6, 8, 12, 16)] * 2, (24, 32))
    x, y = clip.tracks.unbind(dim=-1)
    assert torch.equal(cropped.visible, clip.visible & (x >= 8) & (x < 24) & (y >= 6) & (y < 18))
    assert 0 < int(cropped.visible.sum()) < int(clip.visible.sum())
    assert torch.equal(cropped.points_world, clip.points_world)


def test_a_crop_without_resizing_is_a_slice_of_every_map():
    clip = moving_clip()
    cropped = crop_clip(clip, [Window(2, 3, 10, 12)] * 2, (10, 12))
    for field in ("video", "depth", "instances", "dynamic", "covisible"):
        assert torch.equal(getattr(cropped, field), getattr(clip, field)[..., 2:12, 3:15]), field
    assert torch.equal(cropped.tracks, clip.tracks - torch.tensor([3.0, 2.0]))


def test_maps_take_the_nearest_pixel():
    clip = moving_clip()
    cropped = crop_clip(clip, [Window(3, 6, 9, 15)] * 2, (3, 5))
    assert torch.equal(cropped.depth[0, 0], clip.depth[0, 0, 4:12:3, 7:21:3]), "a third of the size: the middle of 3x3"
    assert torch.equal(cropped.instances[1, 2], clip.instances[1, 2, 4:12:3, 7:21:3])


def test_a_ramp_stays_where_it_is_in_the_image():
    clip = moving_clip(height=32, width=32)
    ramp = (torch.arange(32) + 0.5) / 32
    clip = crop_clip(clip, [Window(0, 0, 32, 32)] * 2, (32, 32))
    clip.video[:] = ramp
    half = crop_clip(clip, [Window(8, 8, 16, 16)] * 2, (8, 8))
    want = (8 + (torch.arange(8) + 0.5) * 2) / 32
    torch.testing.assert_close(half.video[0, 0, 0, 3, 1:-1], want[1:-1])


def test_the_largest_window_has_the_sample_s_shape_and_touches_two_sides():
    clip = moving_clip()
    found = {window for pair in windows_of(CropSpec((16, 16)), clip) for window in pair}
    assert {(window.top, window.height, window.width) for window in found} == {(0, 24, 24)}
    assert {window.left for window in found} == set(range(9))
    assert CropSpec((16, 16)).centre(clip) == [Window(0, 4, 24, 24)] * 2


def test_shares_are_drawn_and_windows_stay_inside():
    clip = moving_clip()
    for first, second in windows_of(CropSpec(share=(0.5, 1.0)), clip):
        assert first == second
        assert 12 <= first.height <= 24
        assert first.top + first.height <= 24
        assert first.left + first.width <= 32
    assert any(a != b for a, b in windows_of(CropSpec(share=(0.5, 1.0), alike=False), clip))


def test_video_and_cameras_are_enough():
    cropped = crop_clip(video_and_cameras(), [Window(0, 0, 24, 24)] * 2, (12, 12))
    assert cropped.video.shape[-2:] == (12, 12)
    assert cropped.tracks is cropped.depth is cropped.visible is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (((0, 4),), r"crop\.size: got \(0, 4\)"),
        ((None, (0.0, 1.0)), r"crop\.share: got \(0\.0, 1\.0\)"),
        ((None, (0.5, 1.2)), r"crop\.share: got \(0\.5, 1\.2\)"),
        ((None, (0.9, 0.5)), r"crop\.share: got \(0\.9, 0\.5\)"),
    ],
)
def test_bad_values_are_named(values, says):
    with pytest.raises(InputError, match=says):
        CropSpec(*values)
