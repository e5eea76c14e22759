"""Sheets of videos and images: everything is in its place, whatever the sizes."""

import torch

from mvt4g.viz.canvas import magnification, magnify, to_frame, to_image
from mvt4g.viz.tiles import film_strip, tile_images, tile_videos

GAP, CAPTION = 6, 22


def _plain(value: float, frames: int, height: int, width: int) -> torch.Tensor:
    return torch.full((frames, 3, height, width), value)


def test_tiles_stand_in_rows_and_columns() -> None:
    sheet = tile_videos([[_plain(0.2, 2, 10, 20), _plain(0.4, 2, 10, 30)], [_plain(0.6, 2, 8, 20)]])
    assert sheet.shape == (2, 3, GAP + 10 + GAP + 8 + GAP, GAP + 20 + GAP + 30 + GAP)
    for value, row, column in ((0.2, GAP + 5, GAP + 5), (0.4, GAP + 5, GAP + 20 + GAP + 5), (0.6, 2 * GAP + 14, GAP)):
        torch.testing.assert_close(sheet[:, :, row, column], torch.full((2, 3), value))


def test_smaller_videos_are_centred_and_shorter_ones_hold_their_last_frame() -> None:
    short = torch.stack([_plain(0.3, 1, 4, 4)[0], _plain(0.9, 1, 4, 4)[0]])
    sheet = tile_videos([[_plain(0.5, 4, 12, 4), short]])
    assert sheet.shape[0] == 4
    column = GAP + 4 + GAP + 2
    torch.testing.assert_close(sheet[:, 0, GAP + 6, column], torch.tensor([0.3, 0.9, 0.9, 0.9]))
    assert float(sheet[0, 0, GAP + 1, column]) < 0.15
    assert float(sheet[0, 0, GAP + 10, column]) < 0.15


def test_captions_are_written_above_and_fit() -> None:
    bare = tile_videos([[_plain(0.5, 1, 40, 120)]])
    sheet = tile_videos([[_plain(0.5, 1, 40, 120)]], [["reference"]])
    assert sheet.shape[-2] == bare.shape[-2] + CAPTION
    assert float(sheet[0, :, GAP : GAP + CAPTION].max()) > 0.7
    torch.testing.assert_close(sheet[0, :, GAP + CAPTION :], bare[0, :, GAP:])
    long = tile_videos([[_plain(0.5, 1, 40, 120)]], [["a caption that is far too long for a tile " * 4]])
    assert float(long[0, :, :, -GAP:].max()) < 0.15
    assert tile_videos([[_plain(0.5, 1, 4, 2)]], [["wide"]]).shape[-1] == 2 + 2 * GAP


def test_a_film_strip_shows_first_and_last_frame() -> None:
    ramp = torch.linspace(0, 1, 9)[:, None, None, None].expand(9, 3, 64, 64)
    strip = film_strip([ramp, 1 - ramp], ["one", "two"], columns=3)
    assert strip.shape == (3, GAP + 2 * (256 + CAPTION + GAP), GAP + 3 * (256 + GAP))
    row = GAP + CAPTION + 100
    torch.testing.assert_close(strip[0, row, [100, 362, 624]], torch.tensor([0.0, 0.5, 1.0]))


def test_images_tile_like_videos_of_one_frame() -> None:
    image = torch.rand(3, 8, 8)
    torch.testing.assert_close(tile_images([[image]]), tile_videos([[image[None]]])[0])


def test_magnifying_repeats_pixels_and_aims_at_a_legible_side() -> None:
    frame = torch.arange(12.0).reshape(1, 3, 4)
    assert magnify(frame, 2)[0, :, :4].tolist()[:2] == [[0, 0, 1, 1], [0, 0, 1, 1]]
    assert [magnification(*size) for size in ((48, 48), (64, 64), (128, 200), (480, 832))] == [5, 4, 2, 1]


def test_images_round_trip_through_pil() -> None:
    frame = torch.randint(0, 256, (3, 5, 7)) / 255
    torch.testing.assert_close(to_frame(to_image(frame)), frame)
    odd = torch.tensor([[[torch.nan, 7.0, -1.0]]]).expand(3, 1, 3)
    assert to_frame(to_image(odd))[0, 0].tolist() == [0.0, 1.0, 0.0]
