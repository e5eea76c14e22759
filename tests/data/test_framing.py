"""The rule that makes any video fit a model: pixels, masks, points and cameras follow it alike."""

import pytest
import torch

from mvt4g.data.framing import Framing, VideoSize, describe_frames
from mvt4g.geometry.camera import intrinsics_from_fov, project_points
from mvt4g.types import InputError

CASES = [
    ((480, 854), (64, 64)),
    ((100, 50), (48, 48)),
    ((20, 30), (64, 64)),
    ((64, 64), (64, 64)),
    ((37, 91), (48, 80)),
]


def test_by_hand() -> None:
    framing = Framing((480, 854), (64, 64))
    assert framing.resized == (64, 114)
    assert framing.corner == (0, 25)
    centre, inside = framing.points(torch.tensor([[427.0, 240.0], [0.0, 0.0]]))
    torch.testing.assert_close(centre[0], torch.tensor([32.0, 32.0]))
    assert inside.tolist() == [True, False]


@pytest.mark.parametrize(("source", "size"), CASES)
def test_the_frame_is_covered_and_keeps_its_shape(source: tuple[int, int], size: tuple[int, int]) -> None:
    framing = Framing(source, size)
    (height, width), (top, left) = framing.resized, framing.corner
    assert height >= size[0]
    assert width >= size[1]
    assert height == size[0] or width == size[1]
    assert abs(height / source[0] - width / source[1]) <= 0.5 / min(source) + 1e-9
    assert 0 <= top <= height - size[0]
    assert 0 <= left <= width - size[1]
    assert framing.video(torch.rand(2, 3, *source)).shape == (2, 3, *size)
    assert framing.mask(torch.zeros(2, *source, dtype=torch.long)).shape == (2, *size)


@pytest.mark.parametrize(("source", "size"), [((400, 600), (64, 64)), ((300, 200), (48, 80))])
def test_a_bright_spot_its_mask_and_its_point_go_to_the_same_place(
    source: tuple[int, int], size: tuple[int, int]
) -> None:
    """The centre of mass of a blurred spot moves as ``points`` says, to a twentieth of a pixel; so does the mask's."""
    framing = Framing(source, size)
    x, y = source[1] / 2 + 21.0, source[0] / 2 - 13.0
    columns, rows = torch.arange(source[1]) + 0.5, torch.arange(source[0]) + 0.5
    spot = torch.exp(-((columns - x) ** 2 + (rows[:, None] - y) ** 2) / (2 * 12.0**2))
    want, inside = framing.points(torch.tensor([[x, y]]))
    assert bool(inside.all())
    for found, tolerance in (
        (framing.video(spot.expand(1, 3, *source))[0, 0], 0.05),
        (framing.mask((spot > 0.3).long()[None])[0].float(), 0.3),
    ):
        at_x = (found.sum(0) * (torch.arange(size[1]) + 0.5)).sum() / found.sum()
        at_y = (found.sum(1) * (torch.arange(size[0]) + 0.5)).sum() / found.sum()
        torch.testing.assert_close(torch.stack([at_x, at_y]), want[0], atol=tolerance, rtol=0)


@pytest.mark.parametrize(("source", "size"), CASES)
def test_projecting_then_framing_is_projecting_with_the_framed_camera(
    source: tuple[int, int], size: tuple[int, int]
) -> None:
    framing = Framing(source, size)
    points = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.0, 0.0, 5.0])
    intrinsics = intrinsics_from_fov(1.0, *source)
    pixels, _ = project_points(points, torch.eye(4), intrinsics)
    framed, _ = project_points(points, torch.eye(4), framing.intrinsics(intrinsics))
    torch.testing.assert_close(framing.points(pixels)[0], framed, atol=1e-3, rtol=1e-5)
    if source != size:
        wrong, _ = project_points(points, torch.eye(4), intrinsics)
        assert (framing.points(pixels)[0] - wrong).abs().max() > 1


def test_mask_ids_are_not_mixed() -> None:
    mask = torch.zeros(1, 40, 40, dtype=torch.long)
    mask[:, :, 20:] = 7
    assert Framing((40, 40), (13, 13)).mask(mask).unique().tolist() == [0, 7]


def test_video_stays_in_range_and_is_untouched_where_it_fits() -> None:
    noise = (torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    torch.testing.assert_close(Framing((64, 64), (64, 64)).video(noise), noise, rtol=0, atol=0)
    smaller = Framing((64, 64), (30, 50)).video(noise)
    assert 0 <= float(smaller.min()) < float(smaller.max()) <= 1


@pytest.mark.parametrize(
    ("source", "size", "sentence"),
    [
        ((480, 854), (64, 64), "854x480 resized to 114x64, of which the centre 64x64 is kept"),
        ((64, 64), (64, 64), "64x64 as it is"),
        ((128, 128), (64, 64), "128x128 resized to 64x64"),
        ((480, 854), (480, 832), "854x480, of which the centre 832x480 is kept"),
    ],
)
def test_the_rule_is_said(source: tuple[int, int], size: tuple[int, int], sentence: str) -> None:
    assert Framing(source, size).sentence() == sentence


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
