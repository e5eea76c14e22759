"""Video files: what is written is read back, and every kind of bad file is named."""

import os
import wave
from pathlib import Path

import pytest
import torch

from mvt4g.formats.video import VideoInfo, probe_video, read_video, write_video
from mvt4g.types import InputError, RunStopped


def _scene(frames: int = 6, height: int = 48, width: int = 64) -> torch.Tensor:
    """A red-green ramp whose blue grows with the frame: smooth, so that 4:2:0 loses little."""
    ramp_y, ramp_x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    blue = torch.linspace(0.1, 0.9, frames)[:, None, None].expand(frames, height, width)
    return torch.stack([ramp_x.expand_as(blue), ramp_y.expand_as(blue), blue], dim=1)


def test_round_trip_keeps_pixels_frames_and_rate(tmp_path: Path) -> None:
    video = _scene()
    write_video(tmp_path / "new" / "a.mp4", video, fps=12.5)
    read, fps = read_video(tmp_path / "new" / "a.mp4")
    assert fps == 12.5
    assert read.shape == video.shape
    assert (read - video).abs().mean() < 0.01
    info = probe_video(tmp_path / "new" / "a.mp4")
    assert info == VideoInfo((0.0, 0.08, 0.16, 0.24, 0.32, 0.4), (48, 64), stated_fps=12.5, tick_s=1 / 12800)
    assert info.num_frames == 6
    assert info.fps == 12.5
    assert (read.flip(1) - video).abs().mean() > 0.1  # negative control: red and blue swapped


def test_odd_sizes_are_made_even_by_repeating_the_last_row_and_column(tmp_path: Path) -> None:
    video = _scene(2, 33, 47)
    write_video(tmp_path / "a.mp4", video, fps=24)
    read, _ = read_video(tmp_path / "a.mp4")
    assert read.shape == (2, 3, 34, 48)
    assert (read[:, :, :33, :47] - video).abs().mean() < 0.02
    assert (read[:, :, 33] - read[:, :, 32]).abs().mean() < 0.02


def test_frames_can_be_cut_and_picked(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", _scene(9), fps=24)
    every, _ = read_video(tmp_path / "a.mp4")
    first, _ = read_video(tmp_path / "a.mp4", max_frames=4)
    picked, _ = read_video(tmp_path / "a.mp4", frames=(1, 4, 8))
    torch.testing.assert_close(first, every[:4])
    torch.testing.assert_close(picked, every[[1, 4, 8]])
    with pytest.raises(InputError, match=r"a.mp4: got 9 frames, want frames up to 9"):
        read_video(tmp_path / "a.mp4", frames=(0, 9))


def test_a_phone_video_is_turned_upright(tmp_path: Path) -> None:
    """The display matrix of an MP4's track header says how a player turns the frames: here a quarter clockwise."""
    path = tmp_path / "a.mp4"
    video = _scene()
    write_video(path, video, fps=24)
    content = path.read_bytes()
    one, w = (1 << 16).to_bytes(4, "big"), (1 << 30).to_bytes(4, "big")
    minus, zero = (-(1 << 16) & 0xFFFFFFFF).to_bytes(4, "big"), bytes(4)
    upright = one + zero + zero + zero + one + zero + zero + zero + w
    quarter = zero + one + zero + minus + zero + zero + zero + zero + w  # x' = -y, y' = x: clockwise on screen
    at = content.index(upright, content.index(b"tkhd"))
    path.write_bytes(content[:at] + quarter + content[at + len(quarter) :])
    read, _ = read_video(path)
    clockwise = video.rot90(-1, (2, 3))
    assert read.shape == clockwise.shape
    assert (read - clockwise).abs().mean() < 0.01


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.mp4: no such file"):
        read_video(tmp_path / "none.mp4")


def test_a_text_file_named_mp4_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("hello, I am no video\n" * 50)
    with pytest.raises(InputError, match=r"a.mp4: cannot be read as a video .* want a whole video file"):
        read_video(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"a.mp4"):
        probe_video(tmp_path / "a.mp4")


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("faststart", [False, True])
def test_a_truncated_file_is_named_wherever_its_index_stands(tmp_path: Path, kept: float, faststart: bool) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, _scene(20), fps=24)
    if faststart:
        path.write_bytes(_index_first(path.read_bytes()))
        assert len(read_video(path)[0]) == 20
    os.truncate(path, int(kept * path.stat().st_size))
    with pytest.raises(InputError, match=r"a.mp4: .* want (a|the) whole"):
        read_video(path)


def _index_first(content: bytes) -> bytes:
    """Move the index (moov) of an MP4 before its data, as web servers want it."""
    boxes, position = {}, 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        boxes[content[position + 4 : position + 8]] = content[position : position + length]
        position += length
    moov = bytearray(boxes[b"moov"])
    table = moov.index(b"stco") + 8
    for entry in range(int.from_bytes(moov[table : table + 4], "big")):
        at = table + 4 + 4 * entry
        moov[at : at + 4] = (int.from_bytes(moov[at : at + 4], "big") + len(moov)).to_bytes(4, "big")
    rest = b"".join(box for name, box in boxes.items() if name not in (b"ftyp", b"moov"))
    return boxes[b"ftyp"] + bytes(moov) + rest


def test_a_sound_file_has_no_video_stream(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.mp4"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16_000))
    with pytest.raises(InputError, match=r"a.mp4: got no video stream, want one"):
        read_video(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "frames", "fps", "message"),
    [
        ("a.mp4", 0, 24.0, "got 0 frames to write"),
        ("a.mp4", 2, 0.0, "got fps 0.0"),
        ("a.mp4", 2, float("nan"), "got fps nan"),
        ("a.avi", 2, 24.0, "got suffix '.avi'"),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(
    tmp_path: Path, name: str, frames: int, fps: float, message: str
) -> None:
    with pytest.raises(InputError, match=rf"{name}: {message}"):
        write_video(tmp_path / name, _scene(6)[:frames], fps)
    with pytest.raises(InputError, match="all finite"):
        write_video(tmp_path / "nan.mp4", _scene() * torch.nan, 24.0)
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_midway_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, _scene(), fps=24)
    before = path.read_bytes()

    def fail(_: object, __: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(RunStopped, match=r"a.mp4: cannot be written \(No space left"):
        write_video(path, _scene(2), fps=24)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("seed", [1, 2])
def test_equal_videos_give_equal_bytes(tmp_path: Path, seed: int) -> None:
    """Of these two x264 at its defaults made three files and more in twelve calls."""
    coarse = torch.rand(1, 3, 5, 8, 8, generator=torch.Generator().manual_seed(seed))
    video = torch.nn.functional.interpolate(coarse, (5, 64, 64), mode="trilinear")[0].transpose(0, 1)
    written = set()
    for _ in range(8):
        write_video(tmp_path / "video.mp4", video, fps=24)
        written.add((tmp_path / "video.mp4").read_bytes())
    assert len(written) == 1
