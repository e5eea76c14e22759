"""Colours of video files: as tagged, guessed where no tag says, and tagged by our own writers."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from mvt4g.formats.video import probe_video, read_video, write_archive_video, write_video
from mvt4g.formats.video_colour import ColourTags, guessed_matrix, planes_from_rgb, rgb_from_planes
from mvt4g.types import InputError
from tests.reference.video_colour import rgb_slow, stored_slow

COLOUR = (200, 40, 90)
BARS = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191)]
BARS += [(0, 0, 0), (255, 255, 255), COLOUR, (60, 120, 200), (250, 180, 150)]


def write_stored(
    path: Path,
    levels: tuple[float, float, float],
    *,
    pixel_format: str = "yuv420p",
    bits: int = 8,
    size: tuple[int, int] = (32, 32),
    tags: tuple[int, int, int, int] = (2, 0, 2, 2),
) -> None:
    """Write a lossless video of one stored colour, with tags of matrix, range, transfer and primaries."""
    height, width = size
    sizes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    kind = np.uint16 if bits > 8 else np.uint8
    planes = [np.full(shape, round(level), kind) for shape, level in zip(sizes, levels, strict=True)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=12)
        stream.height, stream.width, stream.pix_fmt = height, width, pixel_format
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_trc, context.color_primaries = tags
        for _ in range(2):
            frame = VideoFrame(width, height, pixel_format)
            for plane, values in zip(frame.planes, planes, strict=True):
                rows = np.zeros((plane.height, plane.line_size // values.itemsize), kind)
                rows[:, : plane.width] = values
                plane.update(rows)
            frame.colorspace, frame.color_range = tags[:2]
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def middle(path: Path) -> np.ndarray:
    video, _ = read_video(path)
    return (video[0, :, video.shape[2] // 2, video.shape[3] // 2] * 255).numpy()


@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("pixel_format", "bits"), [("yuv420p", 8), ("yuv420p10le", 10)])
def test_the_tagged_matrix_and_range_are_used(
    tmp_path: Path, matrix: int, full: bool, pixel_format: str, bits: int
) -> None:
    levels = stored_slow(COLOUR, matrix, full, bits)
    tags = (matrix, 2 if full else 1, 1, 1)
    write_stored(tmp_path / "a.mkv", levels, pixel_format=pixel_format, bits=bits, tags=tags)
    assert np.abs(middle(tmp_path / "a.mkv") - COLOUR).max() < (2 if bits == 8 else 0.5)


def test_a_wrong_matrix_or_range_would_be_seen(tmp_path: Path) -> None:
    """Negative control of the test above: each tag changes the colour by more than it allows."""
    levels = stored_slow(COLOUR, 1, False, 8)
    for tags in ((6, 1, 1, 1), (1, 2, 1, 1)):
        write_stored(tmp_path / f"{tags[0]}.mkv", levels, tags=tags)
        assert np.abs(middle(tmp_path / f"{tags[0]}.mkv") - COLOUR).max() > 8


@pytest.mark.parametrize(("size", "matrix"), [((480, 832), 6), ((576, 720), 6), ((578, 720), 1), ((64, 1280), 1)])
def test_a_file_without_tags_is_guessed_by_its_size(tmp_path: Path, size: tuple[int, int], matrix: int) -> None:
    write_stored(tmp_path / "a.mkv", stored_slow(COLOUR, matrix, False, 8), size=size)
    assert np.abs(middle(tmp_path / "a.mkv") - COLOUR).max() < 2
    assert guessed_matrix(*size) == matrix


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ((9, 1, 16, 9), r"transfer PQ \(HDR\)"),
        ((9, 1, 18, 9), r"transfer HLG \(HDR\)"),
        ((1, 1, 9, 1), "transfer number 9 of ITU-T H.273"),
        ((10, 1, 1, 1), "matrix BT.2020 constant luminance"),
        ((1, 1, 1, 11), "primaries DCI-P3"),
    ],
)
def test_colours_that_are_none_of_a_screen_are_refused_by_name(
    tmp_path: Path, tags: tuple[int, int, int, int], what: str
) -> None:
    write_stored(tmp_path / "a.mkv", (100, 120, 150), tags=tags)
    with pytest.raises(InputError, match=rf"a.mkv: got colours of {what}, want SDR video"):
        read_video(tmp_path / "a.mkv")
    with pytest.raises(InputError, match=what):
        probe_video(tmp_path / "a.mkv")


@pytest.mark.parametrize(
    ("primaries", "transfer", "values", "want"),
    [
        (9, 14, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # grey stays grey
        (12, 13, (0.917488, 0.200287, 0.138561), (1.0, 0.0, 0.0)),  # sRGB's red in Display P3 (CSS Color 4)
        (9, 14, (0.8138, 0.2914, 0.1353), (1.0, 0.0, 0.0)),  # red: BT.2087 has (0.6274, 0.0691, 0.0164) of light
        (6, 6, (0.8, 0.2, 0.4), (0.8, 0.2, 0.4)),  # standard definition counts as a screen
        (1, 4, (0.5, 0.5, 0.5), (0.5029, 0.5029, 0.5029)),  # gamma 2.2
        (1, 8, (0.214041, 0.0, 1.0), (0.5, 0.0, 1.0)),  # light itself
    ],
)
def test_primaries_and_transfers_become_a_screens(
    primaries: int, transfer: int, values: tuple[float, ...], want: tuple[float, ...]
) -> None:
    green, blue, red = (np.full((4, 4), round(65535 * value), np.uint16) for value in (values[1], values[2], values[0]))
    out = torch.empty(3, 4, 4)
    rgb_from_planes(green, (blue, red), 16, ColourTags(0, True, transfer, primaries), out)
    assert out[:, 2, 2].tolist() == pytest.approx(want, abs=0.004)


@pytest.mark.parametrize("subsampling", [(1, 1), (1, 2), (2, 2), (1, 4), (4, 4), (2, 1)])
@pytest.mark.parametrize("size", [(130, 16), (13, 15)])
def test_planes_become_the_rgb_of_the_slow_twin(subsampling: tuple[int, int], size: tuple[int, int]) -> None:
    rng, (down, across), (height, width) = np.random.default_rng(0), subsampling, size
    luma = rng.integers(16, 236, size, np.uint8)
    coarse = (-(-height // down), -(-width // across))
    chroma = tuple(rng.integers(16, 241, coarse, np.uint8) for _ in range(2))
    out = torch.empty(3, height, width)
    rgb_from_planes(luma, (chroma[0], chroma[1]), 8, ColourTags(1, False, 1, 1), out)
    assert np.abs(out.numpy() - rgb_slow(luma, chroma, 1, down, across)).max() < 1e-5


def test_grey_is_of_full_range_unless_tagged() -> None:
    out = torch.empty(3, 2, 2)
    rgb_from_planes(np.full((2, 2), 128, np.uint8), None, 8, ColourTags(), out)
    assert out[:, 0, 0].tolist() == pytest.approx([128 / 255] * 3)
    rgb_from_planes(np.full((2, 2), 126, np.uint8), None, 8, ColourTags(full_range=False), out)
    assert out[:, 0, 0].tolist() == pytest.approx([110 / 219] * 3)


def test_chroma_that_is_written_comes_back_where_it_was() -> None:
    """A ramp of colour stays where it is to a hundredth of a pixel: both directions have one chroma position."""
    ramp = np.linspace(60, 190, 64)
    rgb = np.stack([np.tile(ramp, (32, 1)), np.full((32, 64), 120), np.tile(ramp[::-1], (32, 1))], axis=-1)
    luma, chroma = planes_from_rgb(rgb.round().astype(np.uint8), 6, subsampled=True)
    out = torch.empty(3, 32, 64)
    rgb_from_planes(luma, (chroma[0], chroma[1]), 8, ColourTags(6, False, 1, 1), out)
    difference = (out.permute(1, 2, 0).numpy() * 255 - rgb)[:, 2:-2]
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.3  # a pixel of offset is 2 levels of the ramp


def bars(size: tuple[int, int]) -> torch.Tensor:
    height, width = size
    colours = torch.tensor(BARS)[torch.arange(width) * len(BARS) // width]
    return (colours.T[None, :, None] / 255).expand(3, 3, height, width)


@pytest.mark.parametrize("size", [(48, 192), (720, 1280)])
def test_bars_come_back_from_our_writers_and_say_what_they_are(tmp_path: Path, size: tuple[int, int]) -> None:
    write_video(tmp_path / "a.mp4", bars(size), 12)
    write_archive_video(tmp_path / "b.mkv", bars(size), 12, "visually_lossless")
    write_archive_video(tmp_path / "c.mkv", bars(size), 12)
    columns = [round((bar + 0.5) * size[1] / len(BARS)) for bar in range(len(BARS))]
    for name, tolerance, matrix in (("a.mp4", 4, 6), ("b.mkv", 3, 6), ("c.mkv", 0, 0)):
        video, _ = read_video(tmp_path / name)
        shown = (video[1, :, size[0] // 2, columns].T * 255).numpy()
        assert np.abs(shown - BARS).max() <= tolerance + 1e-4
        with av.open(str(tmp_path / name)) as file:
            context = file.streams.video[0].codec_context
            tags = (context.colorspace, context.color_range, context.color_primaries, context.color_trc)
        assert tuple(map(int, tags)) == (matrix, 1 if matrix else 2, 1, 13)
