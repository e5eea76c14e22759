"""Cutting, resizing and padding: pixels, masks, points and cameras follow alike."""

from fractions import Fraction

import pytest
import torch
from torchvision.transforms.functional import center_crop

from mvt4g.geometry.camera import intrinsics_from_fov, project_points
from mvt4g.geometry.framing import FitSpec, Framing, Window, show_window, torchvision_margin
from mvt4g.types import InputError


def cover(source: tuple[int, int], size: tuple[int, int], **fit) -> Framing:
    return FitSpec(**fit).framing(source, size)


CASES = [
    ((480, 854), (64, 64)),
    ((100, 50), (48, 48)),
    ((20, 30), (64, 64)),
    ((64, 64), (64, 64)),
    ((37, 91), (48, 80)),
]


def test_by_hand() -> None:
    framing = cover((480, 854), (64, 64))
    assert framing.resized == (64, 114)
    assert framing.corner == (0, 25)
    centre, inside = framing.points(torch.tensor([[427.0, 240.0], [0.0, 0.0]]))
    torch.testing.assert_close(centre[0], torch.tensor([32.0, 32.0]))
    assert inside.tolist() == [True, False]


@pytest.mark.parametrize(("source", "size"), CASES)
def test_the_frame_is_covered_and_keeps_its_shape(source: tuple[int, int], size: tuple[int, int]) -> None:
    framing = cover(source, size)
    (height, width), (top, left) = framing.resized, framing.corner
    assert height >= size[0]
    assert width >= size[1]
    assert height == size[0] or width == size[1]
    assert abs(height / source[0] - width / source[1]) <= 0.5 / min(source) + 1e-9
    assert 0 <= top <= height - size[0]
    assert 0 <= left <= width - size[1]
    assert framing.video(torch.rand(2, 3, *source)).shape == (2, 3, *size)
    assert framing.nearest(torch.zeros(2, *source, dtype=torch.long)).shape == (2, *size)


@pytest.mark.parametrize(("source", "size"), [((400, 600), (64, 64)), ((300, 200), (48, 80))])
def test_a_bright_spot_its_mask_and_its_point_go_to_the_same_place(
    source: tuple[int, int], size: tuple[int, int]
) -> None:
    """The centre of mass of a blurred spot moves as ``points`` says, to a twentieth of a pixel; so does the mask's."""
    framing = cover(source, size)
    x, y = source[1] / 2 + 21.0, source[0] / 2 - 13.0
    columns, rows = torch.arange(source[1]) + 0.5, torch.arange(source[0]) + 0.5
    spot = torch.exp(-((columns - x) ** 2 + (rows[:, None] - y) ** 2) / (2 * 12.0**2))
    want, inside = framing.points(torch.tensor([[x, y]]))
    assert bool(inside.all())
    for found, tolerance in (
        (framing.video(spot.expand(1, 3, *source))[0, 0], 0.05),
        (framing.nearest((spot > 0.3).long()[None])[0].float(), 0.3),
    ):
        at_x = (found.sum(0) * (torch.arange(size[1]) + 0.5)).sum() / found.sum()
        at_y = (found.sum(1) * (torch.arange(size[0]) + 0.5)).sum() / found.sum()
        torch.testing.assert_close(torch.stack([at_x, at_y]), want[0], atol=tolerance, rtol=0)


@pytest.mark.parametrize(("source", "size"), CASES)
def test_projecting_then_framing_is_projecting_with_the_framed_camera(
    source: tuple[int, int], size: tuple[int, int]
) -> None:
    framing = cover(source, size)
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
    assert cover((40, 40), (13, 13)).nearest(mask).unique().tolist() == [0, 7]


def test_video_stays_in_range_and_is_untouched_where_it_fits() -> None:
    noise = (torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    torch.testing.assert_close(cover((64, 64), (64, 64)).video(noise), noise, rtol=0, atol=0)
    smaller = cover((64, 64), (30, 50)).video(noise)
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
    assert cover(source, size).sentence() == sentence


@pytest.mark.parametrize(("source", "size"), [((64, 99), (64, 64)), ((64, 97), (64, 64)), ((101, 40), (40, 40))])
def test_odd_margins_are_split_as_torchvision_does(source: tuple[int, int], size: tuple[int, int]) -> None:
    """Source: torchvision.transforms.functional.center_crop, run."""
    picture = torch.rand(1, 3, *source, generator=torch.Generator().manual_seed(0))
    framing = cover(source, size)
    assert framing.resized == source, "nothing is resized here"
    assert torch.equal(framing.video(picture), center_crop(picture, list(size)))


def test_margins_by_hand() -> None:
    assert [torchvision_margin(spare) for spare in (0, 1, 2, 3, 4, 5, 33, 35)] == [0, 0, 1, 2, 2, 2, 16, 18]


@pytest.mark.parametrize(
    ("position", "corner"), [((0.0, 0.5), (0, 0)), ((0.5, 0.5), (0, 18)), ((1.0, 0.0), (0, 36)), ((0.25, 0.3), (0, 9))]
)
def test_what_is_kept_lies_where_position_says(position: tuple[float, float], corner: tuple[int, int]) -> None:
    assert cover((64, 100), (64, 64), position=position).corner == corner
    turned = cover((100, 64), (64, 64), position=position[::-1])
    assert turned.corner == corner[::-1]


FITS = [
    {"mode": "cover", "position": (1.0, 0.0)},
    {"mode": "letterbox"},
    {"mode": "letterbox", "position": (0.0, 1.0)},
    {"mode": "squeeze"},
    {"mode": "cover", "box": (7, 3, 31, 35)},
    {"mode": "letterbox", "box": (0, 0, 25, 40)},
    {"mode": "squeeze", "box": (2, 30, 60, 41)},
]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("source", "size"), [((41, 60), (24, 24)), ((41, 60), (17, 48)), ((41, 60), (80, 33))])
def test_every_fit_takes_pixels_points_cameras_and_the_box_along(fit: dict, source, size) -> None:
    """A picture whose colour is its own place: each pixel of the result is of where ``crop_xyxy`` says."""
    framing = cover(source, size, **fit)
    y, x = torch.meshgrid(torch.arange(source[0]) + 0.5, torch.arange(source[1]) + 0.5, indexing="ij")
    video = framing.video(torch.stack([x / source[1], y / source[0], torch.ones_like(x)])[None])[0]
    assert video.shape == (3, *size)
    left, top, right, bottom = framing.crop_xyxy
    scale = framing.scale_xy
    assert (right - left) * scale[0] == pytest.approx(size[1])
    assert (bottom - top) * scale[1] == pytest.approx(size[0])
    rows, columns = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    source_x, source_y = left + columns / scale[0], top + rows / scale[1]
    margin_x, margin_y = 1 + 1 / scale[0], 1 + 1 / scale[1]  # the filter's reach at the edges of the window
    window = framing.window
    inner = (source_x > window.left + margin_x) & (source_x < window.left + window.width - margin_x)
    inner &= (source_y > window.top + margin_y) & (source_y < window.top + window.height - margin_y)
    assert bool(inner.any())
    for channel, side, want in ((0, source[1], source_x), (1, source[0], source_y)):
        off = (video[channel] * side - want)[inner]
        assert abs(float(off.mean())) < 0.02
        assert float(off.abs().max()) < 0.15, "the ripple of a sampled triangle; a shift by half a pixel would be 0.5"

    outside = (source_x < window.left) | (source_x > window.left + window.width)
    outside |= (source_y < window.top) | (source_y > window.top + window.height)
    assert torch.equal(video[2] == 0, outside), "black bars lie outside of the source, and nowhere else"
    assert bool(outside.any()) == (framing.resized[0] < size[0] or framing.resized[1] < size[1])
    flags = framing.nearest(torch.ones(1, *source, dtype=torch.bool))[0]
    assert torch.equal(flags, ~outside)
    shown = torch.zeros_like(flags)
    shown[framing.shown_xyxy[1] : framing.shown_xyxy[3], framing.shown_xyxy[0] : framing.shown_xyxy[2]] = True
    assert torch.equal(flags, shown)

    back = torch.stack([source_x, source_y], dim=-1)
    framed, inside = framing.points(back)
    torch.testing.assert_close(framed, torch.stack([columns, rows], dim=-1), atol=1e-3, rtol=0)
    assert bool(inside.all())
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.0, 0.0, 5.0])
    intrinsics = intrinsics_from_fov(1.0, *source)
    pixels, _ = project_points(points, torch.eye(4), intrinsics)
    want, _ = project_points(points, torch.eye(4), framing.intrinsics(intrinsics))
    torch.testing.assert_close(framing.points(pixels)[0], want, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize(("was", "now"), [(9, 3), (3, 9), (7, 5), (480, 64), (1080, 480)])
def test_nearest_is_the_pixel_that_holds_the_centre(was: int, now: int) -> None:
    maps = torch.arange(was).expand(1, was, was)
    taken = show_window((was, was), Window(0, 0, was, was), (now, now)).nearest(maps)[0, 0].tolist()
    assert taken == [next(k for k in range(was) if k + 1 > Fraction(2 * i + 1, 2) * was / now) for i in range(now)]


@pytest.mark.parametrize(
    ("fit", "sentence"),
    [
        ({"mode": "letterbox"}, "96x48 resized to 64x32, black bars make it 64x64"),
        ({"mode": "squeeze"}, "96x48 resized to 64x64"),
        ({"position": (0.0, 0.5)}, "96x48 resized to 128x64, of which 64x64 from column 0, row 0 is kept"),
        ({"box": (10, 0, 74, 48), "mode": "squeeze"},
         "96x48, of which 64x48 from column 10, row 0 is taken, resized to 64x64"),
    ],
)  # fmt: skip
def test_every_fit_is_said(fit: dict, sentence: str) -> None:
    assert cover((48, 96), (64, 64), **fit).sentence() == sentence


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ({"mode": "stretch"}, "size.fit.mode: got 'stretch', want one of cover, letterbox, squeeze"),
        ({"position": (0.5, 1.5)}, r"size.fit.position: got \(0.5, 1.5\), want each in \[0, 1\]"),
        ({"box": (5, 0, 5, 9)}, r"size.fit.box: got \[5, 0, 5, 9\], want left < right"),
        ({"box": (0, 0, 5, 49)}, r"a.mp4: size.fit.box: got \[0, 0, 5, 49\], want it inside 96x48 pixels"),
    ],
)
def test_bad_fits_are_named(fit: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FitSpec(**fit).framing((48, 96), (64, 64), "a.mp4")
