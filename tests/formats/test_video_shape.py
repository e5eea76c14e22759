"""The shape of frames: pixel aspect, rotation and mirroring are applied, and each frame is changed as it comes."""

import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from mvt4g.formats.video import iterate_video, probe_video, read_video
from mvt4g.types import InputError
from tests.formats.made_videos import encode, pictures, remux, set_display_matrix

CORNERS = np.zeros((48, 64, 3), np.uint8)  # four quarters of different grey, which tell all turns and mirrors apart
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32], CORNERS[24:, 32:] = 40, 100, 160, 220


def quarters(video: Tensor) -> list[list[int]]:
    """Return the levels of the four quarters' middles."""
    height, width = video.shape[2:]
    rows, columns = (height // 4, height - height // 4), (width // 4, width - width // 4)
    return [[round(float(video[0, :, row, column].mean()) * 255 / 20) * 20 for column in columns] for row in rows]


@pytest.mark.parametrize(
    ("x_from_xy", "y_from_xy", "want"),
    [
        ((1, 0), (0, 1), [[40, 100], [160, 220]]),
        ((0, -1), (1, 0), [[160, 40], [220, 100]]),  # a quarter clockwise
        ((-1, 0), (0, -1), [[220, 160], [100, 40]]),  # a half
        ((0, 1), (-1, 0), [[100, 220], [40, 160]]),  # a quarter counter-clockwise
        ((-1, 0), (0, 1), [[100, 40], [220, 160]]),  # left and right change places
        ((1, 0), (0, -1), [[160, 220], [40, 100]]),  # up and down
        ((0, 1), (1, 0), [[40, 160], [100, 220]]),  # about the diagonal
        ((0, -1), (-1, 0), [[220, 100], [160, 40]]),  # about the other one
    ],
)
def test_the_display_matrix_turns_and_mirrors(
    tmp_path: Path, x_from_xy: tuple[int, int], y_from_xy: tuple[int, int], want: list[list[int]]
) -> None:
    path = tmp_path / "a.mp4"
    encode(path, "libx264", [CORNERS] * 3)
    set_display_matrix(path, x_from_xy, y_from_xy)
    video, _ = read_video(path)
    assert quarters(video) == want
    assert tuple(video.shape[2:]) == probe_video(path).image_size == ((48, 64) if x_from_xy[0] else (64, 48))


def test_an_odd_angle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, "libx264", [CORNERS] * 3)
    set_display_matrix(path, (0.866, -0.5), (0.5, 0.866))
    with pytest.raises(InputError, match=r"a.mp4: got frames that are turned by 30.0 degrees, want quarter turns"):
        probe_video(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(2), (48, 128)),  # anamorphic: wider
        (Fraction(1, 2), (96, 64)),  # the other side is stretched, no pixel is lost
        (Fraction(64, 45), (48, 91)),
        (Fraction(1), (48, 64)),
    ],
)
def test_pixels_are_made_square(tmp_path: Path, name: str, aspect: Fraction, size: tuple[int, int]) -> None:
    def set_aspect(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    codec = "mpeg4" if name == "a.avi" else "libx264"
    encode(tmp_path / name, codec, [CORNERS] * 3, prepare=set_aspect)
    video, _ = read_video(tmp_path / name)
    assert tuple(video.shape[2:]) == probe_video(tmp_path / name).image_size == size
    assert quarters(video) == [[40, 100], [160, 220]]


def test_pixels_are_made_square_before_they_are_turned(tmp_path: Path) -> None:
    def set_aspect(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    encode(tmp_path / "a.mp4", "libx264", [CORNERS] * 3, prepare=set_aspect)
    set_display_matrix(tmp_path / "a.mp4", (0, -1), (1, 0))
    assert probe_video(tmp_path / "a.mp4").image_size == (128, 48)
    assert quarters(read_video(tmp_path / "a.mp4")[0]) == [[160, 40], [220, 100]]


def test_pixels_of_an_absurd_shape_are_refused(tmp_path: Path) -> None:
    def set_aspect(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(9)

    encode(tmp_path / "a.mp4", "libx264", [CORNERS] * 3, prepare=set_aspect)
    with pytest.raises(InputError, match=r"a.mp4: got pixels of aspect 9, want one between 1:8 and 8:1"):
        read_video(tmp_path / "a.mp4")


def test_a_size_that_changes_is_refused(tmp_path: Path) -> None:
    encode(tmp_path / "small.m2v", "mpeg2video", pictures(12, (32, 32)), ticks=25)
    encode(tmp_path / "large.m2v", "mpeg2video", pictures(12), ticks=25)
    (tmp_path / "both.m2v").write_bytes((tmp_path / "small.m2v").read_bytes() + (tmp_path / "large.m2v").read_bytes())
    with pytest.raises(InputError, match=r"both.m2v: got frames of sizes \[\(32, 32\), \(64, 64\)\], want one size"):
        read_video(tmp_path / "both.m2v")


def test_frames_are_changed_as_they_come(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", "libx264", pictures(12))
    every, _ = read_video(tmp_path / "a.mp4")
    seen = []

    def shrink(frame: Tensor) -> Tensor:
        seen.append(tuple(frame.shape))
        return frame[..., ::2, 10:20]

    small, fps = read_video(tmp_path / "a.mp4", frames=range(2, 12, 2), change=shrink)
    assert torch.equal(small, every[2::2, :, ::2, 10:20])
    assert seen == [(1, 3, 64, 64)] * 5
    assert fps == 6


def test_no_frame_is_held_after_the_next_is_asked_for(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", "libx264", pictures(6))
    before: weakref.ref[Tensor] | None = None
    for frame in iterate_video(tmp_path / "a.mp4"):
        assert before is None or before() is None
        rgb = frame.rgb
        before = weakref.ref(rgb)
        del frame, rgb


def test_a_remuxed_file_keeps_its_shape(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", "libx264", [CORNERS] * 3)
    remux(tmp_path / "a.mp4", tmp_path / "a.mkv", lambda packets: packets)
    assert torch.equal(read_video(tmp_path / "a.mp4")[0], read_video(tmp_path / "a.mkv")[0])
