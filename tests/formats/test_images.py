"""Folders of frames and masks of ids, and every kind of bad image named."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.images import VOID, frame_paths, read_frames, read_images, read_mask
from mvt4g.types import InputError
from tests.made_up_davis import write_palette


def _save(path: Path, value: int, size: tuple[int, int] = (8, 6)) -> None:
    Image.new("RGB", size, (value, 0, 255 - value)).save(path)


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for frame in (10, 2, 1):
        _save(tmp_path / f"frame{frame}.png", frame)
    (tmp_path / "notes.txt").write_text("no frame")
    (tmp_path / "._frame0.png").write_bytes(b"macOS leaves these")
    video = read_frames(tmp_path)
    assert video.shape == (3, 3, 6, 8)
    torch.testing.assert_close(video[:, 0, 0, 0] * 255, torch.tensor([1.0, 2.0, 10.0]))
    torch.testing.assert_close(video[:, 2, 0, 0] * 255, torch.tensor([254.0, 253.0, 245.0]))
    assert len(read_frames(tmp_path, max_frames=2)) == 2


def test_natural_order_is_total() -> None:
    names = ["b", "10", "a2", "2", "a10", "a", "02"]
    assert sorted(names, key=natural_key) == ["2", "02", "10", "a", "a2", "a10", "b"]


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned a quarter clockwise
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
    assert read_frames(tmp_path).shape == (1, 3, 8, 6)


def test_palette_masks_keep_ids_and_void(tmp_path: Path) -> None:
    write_palette(tmp_path / "m.png", np.array([[0, 1, 2], [255, 0, 2]]))
    assert read_mask(tmp_path / "m.png").tolist() == [[0, 1, 2], [VOID, 0, 2]]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_grey_masks_of_0_and_255_are_one_object(tmp_path: Path, mode: str) -> None:
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert(mode).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").tolist() == [[0, 1], [1, 0]]


def test_grey_ids_and_black_and_white_masks_are_read(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3], [1, 0]], np.uint8)).save(tmp_path / "ids.png")
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "bits.png")
    assert read_mask(tmp_path / "ids.png").tolist() == [[0, 3], [1, 0]]
    assert read_mask(tmp_path / "bits.png").tolist() == [[0, 1]]


def test_masks_that_could_mean_two_things_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 128, 255]], np.uint8)).save(tmp_path / "soft.png")
    with pytest.raises(InputError, match=r"soft\.png: got grey values \[0, 128, 255\], want 0 and 255 alone"):
        read_mask(tmp_path / "soft.png")
    Image.new("RGB", (2, 2), (128, 0, 0)).save(tmp_path / "coloured.png")
    with pytest.raises(InputError, match=r"coloured\.png: got a colour image \(mode RGB\), want a palette"):
        read_mask(tmp_path / "coloured.png")
    Image.fromarray(np.array([[1000]], np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match=r"deep\.png: got an image of mode I;16"):
        read_mask(tmp_path / "deep.png")


def test_a_missing_or_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: no such folder"):
        frame_paths(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: got no image, want frames"):
        read_frames(tmp_path / "empty")
    with pytest.raises(InputError, match="empty list"):
        read_images([])


@pytest.mark.parametrize("kept", [0, 20, 300])
def test_a_broken_jpeg_is_named(tmp_path: Path, kept: int) -> None:
    _save(tmp_path / "0.jpg", 1, (64, 64))
    _save(tmp_path / "1.jpg", 1, (64, 64))
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:kept])
    with pytest.raises(InputError, match=r"1\.jpg: cannot be read as an image .* want a whole one"):
        read_frames(tmp_path)


def test_frames_of_two_sizes_are_named(tmp_path: Path) -> None:
    _save(tmp_path / "0.png", 1)
    _save(tmp_path / "1.png", 1, (9, 6))
    with pytest.raises(InputError, match=r"1\.png: got a frame of 9x6, want 8x6 as 0\.png"):
        read_frames(tmp_path)


def test_16_bit_frames_and_missing_files_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1000]], np.uint16)).save(tmp_path / "0.png")
    with pytest.raises(InputError, match=r"0\.png: got pixels of mode I;16, want 8 bits"):
        read_frames(tmp_path)
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        read_images([tmp_path / "gone.png"])
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        read_mask(tmp_path / "gone.png")


def _png_of(width: int, height: int) -> bytes:
    """Return a PNG that says it has this size, and has next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(bytes(1000))), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.filterwarnings("error")
def test_size_is_checked_before_pixels_and_by_our_limit_alone(tmp_path, monkeypatch):
    (tmp_path / "large.png").write_bytes(_png_of(20000, 20000))
    with pytest.raises(
        InputError, match=r"large\.png: got an image of 20000x20000, want at most 134,217,728 pixels; --f"
    ):
        read_images([tmp_path / "large.png"])
    (tmp_path / "allowed.png").write_bytes(_png_of(10000, 10000))  # Pillow would warn
    with pytest.raises(InputError, match=r"allowed\.png: cannot be read as an image"):
        read_images([tmp_path / "allowed.png"])
    monkeypatch.setenv("MVT4G_FILE_MEMORY", "0.0625")
    Image.new("RGB", (1000, 1000)).save(tmp_path / "small.png")
    assert read_images([tmp_path / "small.png"] * 5).shape == (5, 3, 1000, 1000)
    with pytest.raises(
        InputError, match=r"got 6 frames of 1000x1000, 68\.7 MiB, want at most 64\.0 MiB; --file-memory"
    ):
        read_images([tmp_path / "small.png"] * 6)


def test_what_a_file_is_goes_by_its_content(tmp_path):
    """Pillow would start Ghostscript for PostScript of any name."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")
    with pytest.raises(InputError, match=r"a\.png: cannot be read as an image"):
        read_images([tmp_path / "a.png"])
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "b.png", "BMP")
    assert read_images([tmp_path / "b.png"])[0, :, 0, 0].tolist() == [1.0, 0.0, 0.0]
